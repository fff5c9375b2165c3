"""What a notebook keeps of what its cells wrote."""

import io
import json

from tqdm import tqdm

from nrsed_lib.run.execute import note, settled


def test_progress_bars_are_kept_as_they_ended():
    """One loop in another, twice, as tqdm writes them; `leave=None` clears an inner bar."""
    stream = io.StringIO()
    for _ in tqdm(range(2), desc="all", file=stream, mininterval=0):
        for leave in (None, True):
            for _ in tqdm(range(3), desc=f"inner, leave {leave}", file=stream, mininterval=0, leave=leave):
                pass
    stream.write("a warning\n  in two lines\n")
    lines = settled(stream.getvalue()).splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        "  in two lines", "a warning", "all", "inner, leave True", "inner, leave True",
    ]  # fmt: skip
    assert all("100%" in line for line in lines if ":" in line)
    assert settled("no bar\n\nis here\n") == "no bar\n\nis here\n"


def test_streams_are_joined_and_an_erased_one_is_left_out(tmp_path):
    def stream(name, text):
        return {"output_type": "stream", "name": name, "text": [text]}

    picture = {"output_type": "display_data", "data": {}, "metadata": {}}
    outputs = [
        stream("stdout", "a\n"),
        stream("stderr", "0%"),
        picture,
        stream("stdout", "b\n"),
        stream("stderr", "\r   \r"),
    ]
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": outputs}]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}}))
    note(tmp_path / "n.ipynb", {"key": "k"})
    kept = json.loads((tmp_path / "n.ipynb").read_text())
    assert kept["cells"][1]["outputs"] == [{**stream("stdout", ""), "text": ["a\n", "b\n"]}, picture]
    assert kept["metadata"]["nrsed"] == {"key": "k"}
