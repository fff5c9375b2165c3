"""Seconds beside results: of what was made, however quickly, and of nothing that was only looked at."""

import json
import time

from nrsed_lib.run.provenance import last_line, watched


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
