"""Seconds beside results: of what was made, however quickly, and of nothing that was only looked at."""

import json
import subprocess
import sys
import time

import pytest

from nrsed_lib.errors import DataError
from nrsed_lib.history import made_on
from nrsed_lib.run.provenance import last_line, said_of, watched


def seconds(folder) -> float:
    return json.loads((folder / "facts.json").read_text())["seconds"]


def test_what_is_made_already_keeps_its_time(tmp_path):
    with watched("made", tmp_path / "log", tmp_path):
        time.sleep(0.02)
    took = seconds(tmp_path)
    assert took >= 0.02
    with watched("shown", tmp_path / "log", tmp_path):  # in the same second
        pass
    assert seconds(tmp_path) == took


def test_the_time_before_a_kill_counts(tmp_path):
    with watched("made", tmp_path / "log", tmp_path):
        pass
    killed = json.loads((tmp_path / "facts.json").read_text()) | {"finished": False, "seconds": 7.125}
    (tmp_path / "facts.json").write_text(json.dumps(killed))
    with watched("resumed", tmp_path / "log", tmp_path):
        pass
    assert 7.125 <= seconds(tmp_path) < 7.125 + 60


def test_the_last_state_of_a_bar_inside_another_is_found(tmp_path):
    log = tmp_path / "log"
    assert last_line(log) == ""
    log.write_text("all:  50%|#  | 1/2\n\rinner: 100%|###| 3/3\x1b[A\n\r              \r\x1b[A")
    assert last_line(log) == "inner: 100%|###| 3/3"


def test_what_processes_it_started_have_computed_counts(tmp_path):
    busy = "import time\nwhile time.process_time() < 0.5: pass"
    with watched("made", tmp_path / "log", tmp_path):
        subprocess.run([sys.executable, "-c", busy], check=True)
    assert json.loads((tmp_path / "facts.json").read_text())["cpu_seconds"] >= 0.5


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DataError("a.wav is silent"), "a.wav is silent"),
        (ValueError("no"), "made: ValueError: no; this is a fault of nrsed's"),
    ],
)
def test_what_stopped_a_job_is_kept_for_who_started_it(tmp_path, error, said):
    log = tmp_path / "made.log"
    with pytest.raises(type(error)), watched("made", log, tmp_path):
        raise error
    assert said_of(log).partition(": the whole story is in ")[0] == said
    with watched("made", log, tmp_path):
        pass
    assert said_of(log) == ""


def test_trees_are_those_of_the_commit():
    trees = made_on()["trees"]
    asked = subprocess.run(["git", "ls-tree", "HEAD", *trees], capture_output=True, text=True, check=True).stdout
    assert trees == {line.split()[3]: line.split()[2] for line in asked.splitlines()}
