"""Killed parents, what killed processes leave, clocks that are set back, and a scheduler that forgets or lies."""

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nrsed_lib.artefacts import shown_folder
from nrsed_lib.data.desed import users
from nrsed_lib.errors import PipelineError
from nrsed_lib.paths import ROOT
from nrsed_lib.processes import is_there
from nrsed_lib.profile import load_profile
from nrsed_lib.run import pipeline, publish
from nrsed_lib.run.jobs import executed, log_of, work
from nrsed_lib.run.progress import Progress
from nrsed_lib.store import atomic, sweep

pytestmark = pytest.mark.timeout(600)
SMOKE = load_profile("smoke")
SOON_S = 120  # a few seconds when nothing else runs

# Who is ended, and how.
ENDED = {
    "snakemake-KILL": signal.SIGKILL,
    "shell-HUP": signal.SIGHUP,  # the terminal was closed
    "pool-KILL": signal.SIGKILL,
}


def until(happened, what: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """All that each command had started, when the command alone was ended: most of the time is their start."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NRSED")} | {"PYTHONPATH": str(ROOT)}
    busy, running, started = Path(__file__).with_name("busy.py"), {}, {}
    try:
        for name in ENDED:
            folder = tmp_path_factory.mktemp(name)
            words = [sys.executable, str(busy), name.partition("-")[0], str(folder)]
            running[name] = folder, subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
        for name, (folder, process) in running.items():
            until(lambda f=folder, p=process: (f / "begun").exists() or p.poll() is not None, f"{name} never began")
            started[name] = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.send_signal(ENDED[name])
        for _, process in running.values():
            process.wait(SOON_S)
        yield started
    finally:
        family = [one for some in started.values() for one in some if one.is_running()]
        for one in (*family, *(process for _, process in running.values())):
            one.kill()


@pytest.mark.parametrize("name", ENDED)
def test_who_is_started_ends_with_who_started_it(ended, name):
    family = ended[name]
    assert len(family) >= 2, "the command had started nothing"
    until(lambda: not [one for one in family if is_there(one.pid)], f"still there: {family}")


# A file below the results, whether somebody holds it, how old it is (s) -> whether it stays.
LEFT = {
    ".theta-ab12cd_9.safetensors": (False, 3600, False),
    ".table1-abcdefgh.png": (False, 3600, False),
    ".01_data_preparation-12345678.ipynb": (False, 3600, False),
    ".key-abcdefgh": (False, 3600, False),
    ".train-0123456789abcdef-abcdefgh.npy": (False, 3600, False),
    ".facts-full-abcdefgh.json": (False, 3600, False),
    ".note.csv-4711": (False, 3600, False),
    ".theta-abcdefgh.safetensors": (True, 3600, True),
    ".03_sed_training-seed0-abcdefgh.ipynb": (True, 10 * 86400, True),
    ".new-abcdefgh.csv": (False, 5, True),
    ".set back-abcdefgh.csv": (False, -3600, False),
    ".train-0123456789abcdef.lock": (False, 3600, True),
    "table1.csv": (False, 3600, True),
    "theta-abcdefgh.safetensors": (False, 3600, True),
    ".gitignore": (False, 3600, True),
    ".sums": (False, 3600, True),
    ".my-own-notes.txt": (False, 3600, True),
    "key.txt": (False, 3600, True),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_nobody_holds_is_swept(tmp_path, name):
    held, age, stays = LEFT[name]
    file = tmp_path / "work" / "03" / name
    file.parent.mkdir(parents=True)
    with file.open("w") as handle:
        if held:
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.utime(file, (time.time() - age,) * 2)
        if not held:
            handle.close()
        sweep(tmp_path)
        assert file.exists() == stays


def test_a_file_is_held_while_it_is_written(tmp_path):
    with atomic(tmp_path / "a.csv") as temporary:
        temporary.write_text("1")
        os.utime(temporary, (1, 1))
        sweep(tmp_path)
        assert temporary.exists()
    assert [*tmp_path.iterdir()] == [tmp_path / "a.csv"]


def test_what_a_killed_writer_leaves_is_swept(tmp_path):
    code = "import os, pathlib, nrsed_lib.store as s\nwith s.atomic(pathlib.Path('a')): os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    (left,) = tmp_path.iterdir()
    os.utime(left, (1, 1))
    sweep(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_what_a_link_in_the_making_points_to_stays(tmp_path):
    (tmp_path / "shard.npy").touch()
    (tmp_path / ".test.npy-4711").symlink_to(tmp_path / "shard.npy")
    os.utime(tmp_path / ".test.npy-4711", (1, 1), follow_symlinks=False)
    sweep(tmp_path)
    assert [*tmp_path.iterdir()] == [tmp_path / "shard.npy"]


# A note of another user of a shard -> whether a shard that nobody takes is then removed.
NOTES = {
    ".abc-12345678.json:": True,  # what a kill left
    '.abc-12345678.json:{"user"': True,
    "0123.json:": False,  # damaged: it may say that its user takes the shard
    '0123.json:{"user"': False,
    "0123.json:null": False,
    "0123.json:[]": False,
    '0123.json:{"user": 3, "shard": 4}': False,
    '0123.json:{"shard": "train-0123456789abcdef"}': False,
    '0123.json:{"user": "/gone", "shard": "train-0123456789abcdef"}': True,
}


@pytest.mark.parametrize("note", NOTES)
def test_the_list_of_users_never_blocks(tmp_path, note):
    name, _, content = note.partition(":")
    shard, mine = (tmp_path / f"train-{key * 16}.npy" for key in "0a")
    for file in (shard, mine):
        file.touch()
    (tmp_path / "me").mkdir()
    users.take(mine, "train", tmp_path / "me")
    (tmp_path / "users" / "train" / name).write_text(content)
    users.remove_unwanted(tmp_path, "train")
    assert shard.exists() != NOTES[note] and mine.exists()


def test_no_temporary_file_is_published(tmp_path):
    for name in ("table1.csv", ".table1-abcdefgh.csv", "figures/a.png", "figures/.a-abcdefgh.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = {file.name for pattern in publish.PUBLISHED for file in tmp_path.glob(pattern)}
    assert found == {"table1.csv", "a.png"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    log_of(SMOKE, "x").parent.mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("hours", [-1000, -1, 1, 1000])
def test_progress_does_not_ask_the_clock_what_is_new(place, monkeypatch, hours):
    """Logs of earlier runs are from a time that may not have come yet, those of this run from one long ago."""
    log = log_of(SMOKE, "03_sed_training-seed0")
    log.write_text("old")
    os.utime(log, (time.time() + 3600 * hours,) * 2)
    progress = Progress(SMOKE, [("03", 0)], {}, False, io.StringIO())
    progress.show()
    assert not progress.running
    log.write_text("new: this run's")
    os.utime(log, (time.time() - 3600 * hours,) * 2)
    progress.show()
    assert set(progress.running) == {"03_sed_training-seed0"}


# What the scheduler says in the end, and which notebooks there are then -> what the run says.
BOTH = "not done: 01_data_preparation-seed0, 02_llm_noise_selection-seed0;"
TOLD = {
    "well, and nothing is done": (0, [], (BOTH, "the same command resumes")),
    "well, and one is missing": (0, ["01"], ("not done: 02_llm_noise_selection-seed0;", "the same command resumes")),
    "ill, and nothing is done": (1, [], (BOTH, "last words", "snakemake.log")),
    "ill, and one is missing": (1, ["02"], ("not done: 01_data_preparation-seed0;", "last words")),
    "killed": (-9, [], (BOTH, "last words")),
    "ill, and all is done": (1, ["01", "02"], ("not done: no notebook;", "last words")),
    "well, and all is done": (0, ["01", "02"], ()),
}


@pytest.mark.parametrize("told", TOLD)
def test_a_run_has_failed_when_anything_is_not_done(place, monkeypatch, told):
    returned, there, wanted = TOLD[told]

    def scheduler(line, more, log, progress):
        log.write("last words\n")
        log.flush()
        for notebook in there:
            executed(SMOKE, notebook, 0).parent.mkdir(exist_ok=True)
            executed(SMOKE, notebook, 0).write_text("{}")
        return returned, 0

    monkeypatch.setattr(pipeline, "_supervised", scheduler)
    waiting = [("01", 0), ("02", 0)]
    if wanted:
        with pytest.raises(PipelineError) as error:
            pipeline._run_and_record([], {}, SMOKE, waiting, "")
        assert all(word in str(error.value) for word in wanted)
        assert not (shown_folder(SMOKE) / "run.json").exists()
    else:
        pipeline._run_and_record([], {}, SMOKE, waiting, "")
        assert len(json.loads((shown_folder(SMOKE) / "run.json").read_text())["runs"]) == 1


def test_a_run_that_was_killed_leaves_nothing_for_the_next_one_to_trip_over(place, monkeypatch):
    left = work(SMOKE) / "notebooks" / ".01_data_preparation-abcdefgh.ipynb"
    left.parent.mkdir()
    left.touch()
    os.utime(left, (1, 1))
    monkeypatch.setattr(pipeline, "_supervised", lambda *_: (1, 0))
    with pytest.raises(PipelineError):
        pipeline._run_and_record([], {}, SMOKE, [("01", 0)], "")
    assert not left.exists()


def test_another_run_in_the_folder_is_said_and_its_words_stay(place):
    fault = log_of(SMOKE, "01_data_preparation").with_suffix(".error")
    fault.write_text("of the other run")
    (work(SMOKE) / "run.lock").touch()
    with pipeline.FileLock(work(SMOKE) / "run.lock"), pytest.raises(PipelineError, match="another run is writing to"):
        pipeline._run_and_record([], {}, SMOKE, [("01", 0)], "")
    assert fault.read_text() == "of the other run"
