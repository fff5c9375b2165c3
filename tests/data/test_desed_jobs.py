"""Shards made by jobs of their own: several at once, one of them killed; and what becomes of those no longer wanted."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import yaml
from desed_tree import RATE, SMALL, folder_of, make_tree, names_of, tone
from filelock import FileLock

from nrsed_lib.artefacts import open_run
from nrsed_lib.data.desed import shards
from nrsed_lib.data.desed.prepare import make_shard, shard_folder, shards_of
from nrsed_lib.data.desed.shards import Format, Item, convert
from nrsed_lib.data.prepare import load_split, prepare
from nrsed_lib.errors import DataError
from nrsed_lib.profile import PROFILES, load_profile
from nrsed_lib.run.parts import compute
from nrsed_lib.store import SUMS

NB_CLIPS = 6  # of each part

# `nrsed compute` that reads files in pieces of two, tells which, and after the third waits to be killed if asked to.
JOB = """
import sys
from nrsed_lib.data.desed import shards
from nrsed_lib.profile import load_profile
from nrsed_lib.run import parts
real, nb = shards.take, 0
def take(item, form):
    global nb
    nb += 1
    if nb == 4 and sys.argv[3] == "stop":
        print("stopped", flush=True)
        sys.stdin.read()
    print("took", item.name, flush=True)
    return real(item, form)
shards.take, shards.PIECE, shards.nb_cores = take, 2, lambda: 1
parts.compute("01", load_profile(sys.argv[1]), 0, sys.argv[2])
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name, folder in (("NRSED_DATA", "dataset"), ("NRSED_CACHE", "cache"), ("NRSED_RESULTS", "results")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    return make_tree(tmp_path / "dataset", NB_CLIPS)


@pytest.fixture
def small(tmp_path) -> Path:
    raw = yaml.safe_load((PROFILES / "paper.yaml").read_text())
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(raw | {"data": raw["data"] | {k[5:]: v for k, v in SMALL.items()}}))
    return path


def job(profile: Path, part: str, how: str = "") -> subprocess.Popen:
    words = [sys.executable, "-c", JOB, str(profile), part, how]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ)


def took(output: str) -> list[str]:
    return [line.removeprefix("took ") for line in output.splitlines() if line.startswith("took ")]


def digests(folder: Path) -> dict[str, str]:
    """Of everything that a stage 01 leaves, shards through their links."""
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.iterdir()
        if p.is_file() and "facts" not in p.name
    }


def test_two_jobs_of_which_one_is_killed_leave_what_the_stage_makes_alone(tree, small, tmp_path, monkeypatch):
    profile = load_profile(small)
    weak, unlabelled = names_of("weak", NB_CLIPS), names_of("unlabelled", NB_CLIPS)
    killed, other = job(small, "weak", "stop"), job(small, "unlabelled")
    before = []
    while (line := killed.stdout.readline()) != "stopped\n":
        before.append(line)
    killed.kill()
    killed.wait()
    assert took("".join(before)) == weak[:3] and took(other.communicate()[0]) == unlabelled and other.returncode == 0
    cache = shard_folder(profile.data)
    assert not list(cache.glob("weak-*.npy")) and len(list(cache.glob("unlabelled-*.npy"))) == 1
    resumed = job(small, "weak")
    assert took(resumed.communicate()[0]) == weak[2:], "the piece that was whole is kept, the one begun is not"
    for part in shards_of(profile.data):
        compute("01", profile, 0, part)
    with monkeypatch.context() as patch:
        patch.setattr(shards, "take", None)  # nothing is read again
        prepare(ahead := open_run("01", profile))
    made = digests(ahead.folder)
    shutil.rmtree(cache)
    shutil.rmtree(ahead.folder)
    prepare(open_run("01", profile))
    assert digests(ahead.folder) == made
    assert all(p.is_symlink() for p in ahead.folder.glob("*.npy"))


def test_a_job_says_at_once_what_is_wholly_missing(tree, small):
    shutil.rmtree(folder_of(tree, "unlabelled"))
    with pytest.raises(DataError, match="unlabelled: none of its clips is there"):
        make_shard(open_run("01", load_profile(small)), "weak")


def shards_named(profile, name: str) -> set[str]:
    return {p.name for p in shard_folder(profile.data).glob(f"*{name}-*") if p.suffix != ".lock"}


def test_the_shard_of_a_changed_list_goes_when_nobody_takes_it(tree, small, monkeypatch, tmp_path):
    profile = load_profile(small)
    prepare(first := open_run("01", profile))
    old = shards_named(profile, "weak")
    assert len(old) == 2  # and its index
    mended = folder_of(tree, "weak") / names_of("weak", NB_CLIPS)[0]
    soundfile.write(mended, tone("mended", 1.1), RATE)
    with monkeypatch.context() as patch:
        patch.setenv("NRSED_RESULTS", str(tmp_path / "other results"))
        prepare(second := open_run("01", profile))
    both = shards_named(profile, "weak")
    assert old < both and len(both) == 4, "the first still takes the old one"
    assert len(load_split(first, "weak")) == NB_CLIPS
    for path in first.folder.glob("weak.*"):
        path.unlink()  # as after a change of code
    (begun := shard_folder(profile.data) / "weak-0123456789abcdef.pieces").mkdir()
    (shard_folder(profile.data) / f".{min(both - old)[:-4]}-killed_.npy").touch()
    prepare(first)
    assert shards_named(profile, "weak") == both - old and not begun.exists()
    assert (first.folder / "weak.npy").resolve() == (second.folder / "weak.npy").resolve()
    assert len(shards_named(profile, "real_validation")) == 2, "of other names nothing goes"


def test_a_shard_that_another_job_makes_is_waited_for(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone("a"), RATE)
    form, items = Format(16_000, 16_000), [Item("a.wav", tmp_path / "a.wav")]
    path, _ = convert(items, form, tmp_path / "alone", "part")
    code = (
        "import sys; from pathlib import Path; from nrsed_lib.data.desed.shards import *\n"
        "a = Path(sys.argv[1]); convert([Item('a.wav', a)], Format(16000, 16000), a.parent / 'out', 'part')"
    )
    (tmp_path / "out").mkdir()
    lock = FileLock(tmp_path / "out" / f".{path.stem}.lock")
    lock.acquire()
    words = [sys.executable, "-c", code, str(tmp_path / "a.wav")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert "another job converts it" in other.stdout.readline()
        for folder in (SUMS, "."):  # that job finishes
            shutil.copytree(path.parent / folder, tmp_path / "out" / folder, dirs_exist_ok=True)
        made = (tmp_path / "out" / path.name).stat().st_mtime_ns
        lock.release()
    assert other.returncode == 0
    assert (tmp_path / "out" / path.name).stat().st_mtime_ns == made, "it was made twice"
