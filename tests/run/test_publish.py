"""A run becomes the committed reference: what is replaced is said, what it did not make stays."""

import json

import pytest

from nrsed_lib.artefacts import shown_folder
from nrsed_lib.errors import PipelineError
from nrsed_lib.profile import load_profile
from nrsed_lib.run import publish as publishing
from nrsed_lib.run.publish import publish
from nrsed_lib.store import write_json

OPEN = load_profile("open", {"seed": 0})  # of recordings: outputs of notebooks are left alone
OLD = {"stages": {"01": {"seconds": 1.0}, "09": {"seconds": 2.0}},
       "runs": [{"ran": ["01"]}, {"ran": ["01", "09"]}]}  # fmt: skip
NEW = {"stages": {"01": {"seconds": 4.0}}, "runs": [{"ran": ["01"], "command": "new"}]}


@pytest.fixture
def there(tmp_path, monkeypatch):
    """The reference's folder, with one table that the run has made anew, one as it was, one that it has not made."""
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path / "runs"))
    monkeypatch.setattr(publishing, "REFERENCE", tmp_path)
    monkeypatch.setattr(publishing, "state", lambda _, id_, seed: "done" if id_ == "01" else "missing")
    here, there = shown_folder(OPEN), tmp_path / "open"
    for folder, run, tables in (
        (here, NEW, {"a": "2", "b": "1", "d": "1"}),
        (there, OLD, {"a": "1", "b": "1", "c": "1"}),
    ):
        (folder / "figures").mkdir(parents=True)
        write_json(folder / "run.json", run)
        for name, text in tables.items():
            (folder / f"{name}.csv").write_text(text)
    (here / "figures" / "f.png").write_text("picture")
    (here / "counts").mkdir()
    (here / "counts" / "seed0.npz").write_text("counts")
    (here / "work").mkdir()
    (here / "work" / "x.csv").write_text("not a result")
    return there


def test_what_is_replaced_and_what_is_kept_is_said(there):
    said = dict(line.split(": ")[::-1] for line in publish(OPEN))
    assert {path.removeprefix(f"{there}/"): what for path, what in said.items()} == {
        "a.csv": "replaced", "b.csv": "unchanged", "d.csv": "new", "figures/f.png": "new",
        "counts/seed0.npz": "new",
        "c.csv": "kept, the run made no other", "run.json": "written",
    }  # fmt: skip
    assert (there / "a.csv").read_text() == "2" and not (there / "work").exists()


def test_run_json_still_says_what_made_the_tables_that_stay(there):
    list(publish(OPEN))
    made = json.loads((there / "run.json").read_text())
    assert made["stages"] == {"01": {"seconds": 4.0}, "09": {"seconds": 2.0}} and made["stage_seconds"] == 6.0
    assert made["runs"] == [{"ran": ["01", "09"]}, {"ran": ["01"], "command": "new"}]


def test_a_run_that_is_behind_is_not_published(there, monkeypatch):
    monkeypatch.setattr(publishing, "state", lambda _, id_, seed: "stale" if id_ == "05" else "done")
    with pytest.raises(PipelineError, match="not up to date: 05_lass_model-seed0;"):
        list(publish(OPEN))
    monkeypatch.setattr(publishing, "state", lambda *_: "missing")
    with pytest.raises(PipelineError, match="nothing to publish"):
        list(publish(OPEN))
    assert (there / "a.csv").read_text() == "1"


def test_outputs_are_copied_and_cells_stay(tmp_path):
    def notebook(name, source, outputs):
        cells = [
            {"cell_type": "code", "id": "x", "source": source, "outputs": outputs, "execution_count": len(outputs)}
        ]
        (tmp_path / name).write_text(json.dumps({"cells": cells}))
        return tmp_path / name

    target = publishing._with_outputs(notebook("a", ["shown"], []), notebook("b", ["parameters"], ["out"]))
    (cell,) = json.loads(target.read_text())["cells"]
    assert cell["source"] == ["shown"] and cell["outputs"] == ["out"] and cell["execution_count"] == 1
