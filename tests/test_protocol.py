"""What the confirmatory runs saw is what stands in PROTOCOL.md: it, the claims and the settings came before them."""

import subprocess

import pytest

from nrsed_lib.evaluate.counts import Counts
from nrsed_lib.paths import REFERENCE, ROOT

COUNTS = sorted((REFERENCE / "open" / "counts").glob("seed*.npz"))
AFTERWARDS = "## Changes after the first run"
FIXED = ("data/paper/claims.csv", "nrsed_lib/profiles/open.yaml")


def at(commit: str, path: str) -> str:
    """A file as it was."""
    done = subprocess.run(["git", "-C", str(ROOT), "show", f"{commit}:{path}"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{path} of commit {commit} is not in this checkout's history: {done.stderr.strip()}")
    return done.stdout


@pytest.mark.parametrize("file", COUNTS or [None], ids=lambda file: file.stem if file else "none")
def test_the_protocol_came_before_its_runs(file):
    if file is None:
        pytest.skip("the confirmatory seeds have not been run: results/open/counts is empty")
    commit = Counts.read(file).about.made["commit"]
    assert not commit.endswith("+"), "made by code that is in no commit"
    laid_down, now = (text.partition(AFTERWARDS)[0] for text in (at(commit, "PROTOCOL.md"), protocol()))
    assert laid_down == now
    assert [at(commit, path) for path in FIXED] == [(ROOT / path).read_text() for path in FIXED]


def protocol() -> str:
    return (ROOT / "PROTOCOL.md").read_text()


def test_the_protocol_is_one_page_and_says_what_is_fixed():
    text = protocol()
    assert text.count(AFTERWARDS) == 1 and len(text.split()) < 700
    for path in ("nrsed_lib/profiles/open.yaml", "nrsed_lib/systems.py", "data/paper/claims.csv"):
        assert f"({path})" in text and (ROOT / path).exists()
