"""Seeds in words, and what a run of many leaves in the repository."""

import shutil
import subprocess

import pytest

from nrsed_lib.errors import PipelineError, ProfileError
from nrsed_lib.profile import load_profile
from nrsed_lib.run import study


@pytest.mark.parametrize(
    ("text", "seeds"), [("1-3", [1, 2, 3]), ("0", [0]), ("0,3,5-7", [0, 3, 5, 6, 7]), (" 2 - 3 , 9", [2, 3, 9])]
)
def test_seeds_are_ranges_and_numbers(text, seeds):
    assert study.splits(text) == seeds


@pytest.mark.parametrize("text", ["", "1-", "3-1", "-1", "a", "1,,2", "1-3,2", "0-99999999", "1.5", "²"])
def test_what_names_no_seeds_is_said_in_one_line(text):
    with pytest.raises(ProfileError, match="--splits") as error:
        study.splits(text)
    assert "\n" not in str(error.value)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository of one commit with a results folder, in place of this one."""

    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    (tmp_path / "results" / "smoke").mkdir(parents=True)
    (tmp_path / "results" / "smoke" / "table.csv").write_text("a\n1\n")
    (tmp_path / "code.py").write_text("1\n")
    git("init", "-q")
    git("config", "user.name", "somebody")
    git("config", "user.email", "somebody@example.org")
    git("add", ".")
    git("commit", "-qm", "first")
    monkeypatch.setattr(study, "ROOT", tmp_path)
    monkeypatch.setattr(study, "REFERENCE", tmp_path / "results")
    monkeypatch.setattr(study, "made_on", lambda: {"dirty": False})
    return tmp_path


def last(folder):
    """The files of the last commit."""
    line = ["git", "-C", str(folder), "show", "--name-only", "--format="]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.split()


def test_results_and_nothing_else_are_committed(checkout):
    (checkout / "results" / "smoke" / "more.csv").write_text("b\n")
    (checkout / "code.py").write_text("2\n")
    assert "results: smoke" in study.commit([checkout / "results" / "smoke"], "results: smoke")
    assert last(checkout) == ["results/smoke/more.csv"]
    assert study.commit([checkout / "results" / "smoke"], "again").startswith("nothing to commit")


def test_results_of_code_that_is_in_no_commit_are_not_committed(checkout, monkeypatch):
    monkeypatch.setattr(study, "made_on", lambda: {"dirty": True})
    with pytest.raises(PipelineError, match="in no commit"):
        next(study.publish_and_commit(load_profile("smoke")))


def test_what_git_refuses_is_said(checkout):
    shutil.rmtree(checkout / ".git")
    with pytest.raises(PipelineError, match="git"):
        study.commit([checkout / "results"], "results")


def test_of_seeds_that_are_not_the_profiles_own_the_counts_are_kept(checkout, tmp_path, monkeypatch):
    profile = load_profile("smoke", {"seeds": [4, 5]})
    made = tmp_path / "made.npz"
    made.write_bytes(b"counts")
    monkeypatch.setattr(study, "state", lambda _, notebook, seed: "done" if seed == 4 else "part")
    monkeypatch.setattr(study.Run, "find", lambda self, artefact: made)
    said = [*study.publish_and_commit(profile)]
    assert last(checkout) == ["results/smoke/counts/seed4.npz"]
    assert [file.name for file in (checkout / "results" / "smoke" / "counts").iterdir()] == ["seed4.npz"]
    assert said[-1].endswith("results: counts of smoke, seeds 4-5")
    assert [*study.publish_and_commit(profile)] == []  # they are there already
