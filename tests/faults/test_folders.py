"""Folders that the environment names, disks that cannot be written to, errors that nobody foresaw: one line each."""

import errno
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nrsed_lib import paths
from nrsed_lib.errors import FolderError, PipelineError
from nrsed_lib.paths import FOLDERS, NOTEBOOKS, ROOT
from nrsed_lib.run import cli, faults, provenance

# What a variable says -> the folder, from the one where the command was started ({here}); None: the default.
NAMED = {
    "": None,
    " ": None,
    "\t": None,
    "results": "{here}/results",
    "./results": "{here}/results",
    "results/": "{here}/results",
    "a/../results": "{here}/results",
    "..": "{here}/..",
    ".": "{here}",
    "~": "{here}/home",
    "~/results": "{here}/home/results",
    "{here}/results": "{here}/results",
    "{here}/made": "{here}/made",
    "{here}/link": "{here}/link",
    "link/new": "{here}/link/new",
    "it's here, too": "{here}/it's here, too",
    "a $HOME {x} %s;ls": "{here}/a $HOME {x} %s;ls",
    "é 音": "{here}/é 音",
    "-x": "{here}/-x",
}
# What it may not say -> what is said, besides the variable and what it says.
WRONG = {
    "{here}/file": ("file is no folder", "name a folder"),
    "file": ("file is no folder", "unset"),
    "{here}/file/below/it": ("file is no folder", "unset"),
    "/dev/null": ("/dev/null is no folder",),
    "/dev/null/x": ("/dev/null is no folder",),
    "{here}/nowhere": ("nowhere points to nothing", "name a folder"),
    "{here}/nowhere/below": ("nowhere points to nothing",),
    "{here}/loop": ("loop points to nothing",),
    "{here}/loop/below": ("loop points to nothing",),
    "{here}/fifo": ("fifo is no folder",),
    "~nobody-at-all/x": ("home", "whole path"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "made").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "made")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in FOLDERS:
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.mark.parametrize("variable", FOLDERS)
@pytest.mark.parametrize("said", NAMED)
def test_a_folder_is_counted_from_where_the_command_was_started(here, monkeypatch, variable, said):
    default = FOLDERS[variable]()
    monkeypatch.setenv(variable, said.replace("{here}", str(here)))
    wanted = NAMED[said] and Path(os.path.normpath(NAMED[said].replace("{here}", str(here))))
    assert FOLDERS[variable]() == (wanted or default)
    paths.settle()
    monkeypatch.chdir(NOTEBOOKS)  # as a kernel
    assert FOLDERS[variable]() == (wanted or default)
    assert os.environ.get(variable) == (wanted and str(wanted))
    assert not (here / "results").exists()  # nothing is made by asking


@pytest.mark.parametrize("variable", FOLDERS)
@pytest.mark.parametrize("said", WRONG)
def test_what_can_be_no_folder_is_said_with_its_variable(here, monkeypatch, variable, said):
    monkeypatch.setenv(variable, value := said.replace("{here}", str(here)))
    with pytest.raises(FolderError) as error:
        paths.settle()
    message = str(error.value)
    assert all(word in message for word in (f"{variable}={value[:80]}", *WRONG[said])) and "\n" not in message


def test_a_kernel_of_jupyter_counts_from_where_jupyter_was_started(here, monkeypatch):
    monkeypatch.setenv("PWD", str(here))
    monkeypatch.setenv("NRSED_RESULTS", "results")
    monkeypatch.chdir(NOTEBOOKS)
    assert paths.results_root() == here / "results"


def test_a_working_directory_that_is_gone_is_said(here, monkeypatch):
    monkeypatch.setenv("NRSED_CACHE", "cache")
    (here / "gone away").mkdir()
    monkeypatch.chdir(here / "gone away")
    (here / "gone away").rmdir()
    with pytest.raises(FolderError, match=r"NRSED_CACHE=cache: .*name a folder by its whole path"):
        paths.cache_root()


@pytest.mark.parametrize("variable", ["NRSED_RESULTS", "NRSED_CACHE"])
@pytest.mark.parametrize("folder", ["/proc/nrsed", "/sys/nrsed", "{here}/" + "x" * 300])
def test_a_folder_that_cannot_be_written_to_is_said_before_anything_runs(here, monkeypatch, variable, folder):
    monkeypatch.setenv(variable, folder.replace("{here}", str(here)))
    with pytest.raises(FolderError, match=rf"cannot be written to \(.+\); name another in {variable}"):
        paths.to_write(variable)


def refused(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


# An error -> what is said of it.
SAID = {
    "full disk": (refused(errno.ENOSPC, "{results}/a.npy"), "a.npy: no space left", "make room", "NRSED_RESULTS"),
    "quota": (refused(errno.EDQUOT, "{results}/a"), "quota", "make room", "NRSED_RESULTS"),
    "not allowed": (refused(errno.EACCES, "{results}/x"), "x: permission denied", "NRSED_RESULTS"),
    "not allowed elsewhere": (refused(errno.EACCES, "/etc/x"), "/etc/x: permission denied", "allow it"),
    "read-only": (refused(errno.EROFS, "{results}/x"), "read-only", "NRSED_RESULTS"),
    "a file for a folder": (refused(errno.ENOTDIR, "/etc/passwd/x"), "/etc/passwd/x: not a directory", "name another"),
    "a folder for a file": (refused(errno.EISDIR, "/etc"), "/etc: is a directory", "name another"),
    "too long": (refused(errno.ENAMETOOLONG, "/" + "x" * 300), "too long", "name another"),
    "too many files": (refused(errno.EMFILE, "/a"), "too many open files", "ulimit"),
    "a broken disk": (refused(errno.EIO, "/a"), "/a: input/output error", "disk"),
    "memory": (MemoryError("Unable to allocate 3 TiB"), "not enough memory", "3 TiB", "--cores 1"),
    "a known fault": (PipelineError("this; do that"), "this; do that"),
    "unforeseen": (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero", "fault of nrsed's", ".log"),
    "of many lines": (ValueError("one\ntwo\nthree"), "ValueError: one;", "fault of nrsed's"),
    "very long": (KeyError("x" * 10_000), "KeyError: 'xxx", "fault of nrsed's"),
    "empty": (AssertionError(), "AssertionError: ;", "fault of nrsed's"),
    "no letters": (ValueError("\udcff"), "ValueError", "fault of nrsed's"),
}


@pytest.mark.parametrize("name", SAID)
def test_an_error_is_one_line(here, monkeypatch, name):
    monkeypatch.setenv("NRSED_RESULTS", str(here / "results"))
    error, *wanted = SAID[name]
    if isinstance(error, OSError):
        error.filename = error.filename.replace("{results}", str(here / "results"))
    line = faults.said(error)
    assert all(word in line for word in wanted) and "\n" not in line and len(line) < 500
    logs = [*(here / "results").glob("*.log")] if (here / "results").exists() else []
    assert bool(logs) == ("fault of nrsed's" in line) and all(str(log) in line for log in logs)
    assert all(type(error).__name__ in log.read_text() for log in logs)


def test_the_story_goes_elsewhere_where_nothing_can_be_written(here, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(here / "file"))
    monkeypatch.setattr(faults.tempfile, "gettempdir", lambda: str(here / "made"))
    assert f"the whole story is in {here}/made/nrsed-fault-" in faults.said(KeyError("x"))
    monkeypatch.setattr(faults.tempfile, "gettempdir", lambda: "/proc")
    assert "`nrsed --debug` shows it" in faults.said(KeyError("x"))


def nrsed(*words: str) -> int:
    """Status of the command in this process."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["nrsed", *words])
        patch.setattr(faults, "settle_streams", lambda: None)  # pytest holds them
        patch.setattr(cli, "as_ctrl_c", lambda: None)
        cli.main()
    return ended.value.code or 0


def raising(error: BaseException):
    def command(*_):
        raise error

    return command


@pytest.mark.parametrize(("error", "status", "wanted"), [
    (ZeroDivisionError("x"), 1, r"nrsed: ZeroDivisionError: x; .* in .*nrsed-fault-.*\.log\n"),
    (PipelineError("this; do that"), 1, "nrsed: this; do that\n"),
    (FolderError("this; do that"), 1, "nrsed: this; do that\n"),
    (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "nrsed: /x: permission denied; .*\n"),
    (RecursionError("too deep"), 1, "nrsed: RecursionError: too deep; .*\n"),
    (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, ""),
    (KeyboardInterrupt(), 130, ""),
])  # fmt: skip
def test_every_command_ends_in_one_line(here, monkeypatch, capsys, error, status, wanted):
    monkeypatch.setenv("NRSED_RESULTS", "results")
    monkeypatch.setattr(cli, "chosen", raising(error))
    assert nrsed("status") == status
    said = capsys.readouterr().err
    assert re.fullmatch(wanted, said) and "Traceback" not in said


def test_debug_shows_the_whole_story(here, monkeypatch):
    monkeypatch.setattr(cli, "chosen", raising(ZeroDivisionError("x")))
    monkeypatch.setattr(sys, "argv", ["nrsed", "--debug", "status"])
    monkeypatch.setattr(faults, "settle_streams", lambda: None)
    monkeypatch.setattr(cli, "as_ctrl_c", lambda: None)
    with pytest.raises(ZeroDivisionError):
        cli.main()


# How the streams of a command are -> its status and what stderr may say.
STREAMS = {
    "{nrsed} --help | head -1": (0, ""),
    "{nrsed} --help | true": (0, ""),
    "{nrsed} --help > /dev/full": (1, "nrsed: what is printed: no space left on device; make room and .*\n"),
    "{nrsed} --help >&-": (0, ""),
    "{nrsed} --help <&- >&- 2>&-": (0, ""),
    "LC_ALL=C PYTHONIOENCODING=ascii {nrsed} --help": (0, ""),
    "LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 {nrsed} --help": (0, ""),
    "NRSED_RESULTS=/dev/null/x {nrsed} status": (1, "nrsed: NRSED_RESULTS=/dev/null/x: /dev/null is no folder; .*\n"),
}


@pytest.fixture(scope="module")
def streamed():
    """All of them at once: most of a command's time is its start."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    lines = {line: line.replace("{nrsed}", f"{shlex.quote(sys.executable)} -m nrsed_lib.run.cli") for line in STREAMS}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    running = {name: subprocess.Popen(["bash", "-c", line], **pipes) for name, line in lines.items()}
    return {name: (*process.communicate(), process.returncode) for name, process in running.items()}


@pytest.mark.parametrize("line", STREAMS)
def test_streams_may_be_of_any_kind(streamed, line):
    _, said, status = streamed[line]
    assert status == STREAMS[line][0] and re.fullmatch(STREAMS[line][1], said)


def test_a_job_says_what_nobody_foresaw_in_one_line_with_the_same_log(here, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(here / "results"))
    error = ZeroDivisionError("x")
    with pytest.raises(ZeroDivisionError), provenance.watched("03", here / "03.log", here / "03"):
        raise error
    assert provenance.said_of(here / "03.log") == f"03: {faults.said(error)}"
    assert len([*(here / "results").glob("*.log")]) == 1
