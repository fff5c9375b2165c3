"""The lines that a run shows of its jobs, made from what these leave on disk."""

import io
import os
import time

import pytest

from nrsed_lib.artefacts import job_name
from nrsed_lib.profile import load_profile
from nrsed_lib.run.jobs import done_parts, executed, log_of
from nrsed_lib.run.progress import Progress, clock

SMOKE = load_profile("smoke")
BAR = "theta:  40%|####      | 200/500 [00:40<01:00,  5.0it/s]"
JOBS = [("03", 0), ("05", 0)]
NAMES = [job_name(*job) for job in JOBS]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    for name in NAMES:
        log_of(SMOKE, name).parent.mkdir(parents=True, exist_ok=True)


def progress(out, expected=None, like_here=True) -> Progress:
    return Progress(SMOKE, JOBS, expected or {}, like_here, out)


def write(path, text, later=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() + later,) * 2)


def test_percent_and_time_left_are_the_bars_where_nothing_else_is_known():
    out = Terminal()
    shown = progress(out)
    write(log_of(SMOKE, NAMES[0]), f"loading\n\r{BAR}")
    shown.show()
    assert out.getvalue().splitlines() == [f"{NAMES[0]}:  40%  01:00 left  theta 200/500"]


def test_time_left_follows_the_reference_and_the_pace_of_what_ended():
    shown = progress(io.StringIO(), dict(zip(NAMES, (100.0, 50.0), strict=True)), like_here=False)
    now = time.time()
    write(log_of(SMOKE, NAMES[1]), BAR)
    shown.running = dict.fromkeys(NAMES, now - 30)
    assert shown.line(NAMES[1], now).startswith(f"{NAMES[1]}:  40%  01:00 left")  # another machine's seconds
    write(executed(SMOKE, *JOBS[0]), "{}")
    shown.show()  # 30 s where 100 were expected
    assert shown.pace == pytest.approx(0.3, abs=0.01)
    assert shown.line(NAMES[1], now - 25).startswith(f"{NAMES[1]}:  33%  0:10 left")


def test_a_terminal_is_rewritten_and_a_pipe_is_not():
    terminal, pipe = Terminal(), io.StringIO()
    for later, out in enumerate((terminal, pipe)):
        shown = progress(out)
        write(log_of(SMOKE, NAMES[0]), BAR, later)
        shown.show()
        shown.show()
        write(executed(SMOKE, *JOBS[0]), "{}")
        shown.close()
        executed(SMOKE, *JOBS[0]).unlink()
    *_, last = terminal.getvalue().split("\x1b[1F\x1b[J")
    assert terminal.getvalue().count("\x1b[1F\x1b[J") == 2 and last == f"{NAMES[0]}: done in 0:00\n"
    assert pipe.getvalue() == f"{NAMES[0]}: done in 0:00\n"


def test_what_stopped_is_said_once():
    out = io.StringIO()
    shown = progress(out)
    write(log_of(SMOKE, NAMES[0]), BAR)
    write(log_of(SMOKE, NAMES[0]).with_suffix(".error"), "why")
    shown.show()
    shown.show()
    assert out.getvalue() == f"{NAMES[0]}: stopped\n"


def test_parts_that_jobs_of_their_own_have_left_are_counted():
    out, jobs = Terminal(), [("06", 0)]
    shown = Progress(SMOKE, jobs, {}, False, out)
    write(done_parts(SMOKE, *jobs[0]) / "clean", "")
    shown.show()
    assert out.getvalue() == f"{job_name(*jobs[0])}:  33%  1 of 3 parts\n"


def test_a_clock():
    assert [clock(s) for s in (0, 42.4, 725, 3600)] == ["0:00", "0:42", "12:05", "1:00:00"]
