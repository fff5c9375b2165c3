"""The committed tables from the committed counts: what agrees, what differs, and which commits are there."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nrsed_lib.errors import DataError
from nrsed_lib.evaluate.counts import About, Counts
from nrsed_lib.evaluate.evidence import Evidence, read_counts
from nrsed_lib.evaluate.roc import SCENARIOS, Changes
from nrsed_lib.paths import ROOT
from nrsed_lib.run import verify as verifying
from nrsed_lib.run.cli import app
from nrsed_lib.run.verify import TABLES, verify
from nrsed_lib.store import write_json, write_table

SYSTEMS = {"1": "no separation", "4": "asks", "5": "asks", "6": "asks", "7": "ours", "2": "ground truth"}
NB_CLIPS, DRAWS = 10, 40
HEAD = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()


def counts(seed: int, made: dict) -> Counts:
    """Of systems that find some of one event a clip, and something besides."""
    rng = np.random.default_rng(seed)
    conditions = ["clean", "5dB"]
    changes = {}
    for cell in [(c, s, scenario) for c in conditions for s in SYSTEMS for scenario in SCENARIOS]:
        clip, kind = rng.integers(0, NB_CLIPS, 12), np.array([0, 0, 1] * 4)
        changes[cell] = Changes(clip, kind, np.ones(12, int), np.ones(12, bool), np.array([0, 6, 12]))
    events = np.eye(2, dtype=int)[np.arange(NB_CLIPS) % 2]
    asks = {s: s for s in "4567"}
    about = About(seed, "recordings", "", ["Cat", "Dog"], conditions, SYSTEMS, asks, [*asks], "0123", made)
    asked = {(c, s): rng.random((NB_CLIPS, 2)) < 0.6 for c in conditions for s in asks}
    recordings = [[f"r{i // 2}"] for i in range(NB_CLIPS)]
    of = {f"r{i}": "Cat" for i in range(NB_CLIPS)}
    return Counts(about, events, 2.0 * events, np.full(NB_CLIPS, 10.0), recordings, of, 0.5, asked, changes)


@pytest.fixture
def folder(tmp_path):
    """Results of three seeds, committed at this commit."""
    made = {"commit": HEAD, "trees": {"data": verifying._git("rev-parse", "HEAD:data")}, "dirty": False}
    for seed in (1, 2, 3):
        counts(seed, made).write(tmp_path / "counts" / f"seed{seed}.npz")
    read = read_counts([*(tmp_path / "counts").glob("*.npz")])
    evidence = Evidence.of(read, DRAWS)
    for name, (make, _, _) in TABLES.items():
        write_table(tmp_path / name, make(evidence, read[0]))
    write_json(tmp_path / "run.json", {"stages": {"01": made}, "runs": []})
    return tmp_path


def edit(file, column: str, row: int, value) -> None:
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    table.loc[row, column] = value
    table.to_csv(file, index=False)


def test_what_was_written_is_what_is_recomputed(folder):
    looked, differs = verify(folder)
    assert differs == [] and looked[0] == "counts: seeds 1, 2, 3"
    nb = {line.split(":")[0]: int(line.split()[1]) for line in looked[1:-1]}
    claims = pd.read_csv(folder / "claims.csv")
    assert set(nb) == set(TABLES) and nb["claims.csv"] == claims.size - 5 * len(claims)
    assert len(claims) > 10 and claims.draws.iloc[0] == DRAWS and claims.by.eq("t over seeds").all()


def test_every_kind_of_cell_that_differs_is_named(folder):
    edit(folder / "table1.csv", "psds1", 3, "0.9999")
    edit(folder / "claims.csv", "verdict", 0, "certain")
    edit(folder / "claims.csv", "bootstrap_low", 1, "0.00012")
    edit(folder / "table1_means.csv", "high", 2, "")
    edit(folder / "recall.csv", "condition", 0, "7dB")
    (folder / "recall_any_frame.csv").unlink()
    found = verify(folder)[1]
    assert len(found) == 7
    for what in ("table1.csv: 4, clean, 1: psds1 is committed as 0.9999, recomputed as 0.",
                 "verdict is committed as certain", "bootstrap_low is committed as 0.00012",
                 "high is committed as empty", "7dB, 1 is only committed",
                 "clean, 1 is only recomputed", "recall_any_frame.csv is not there"):  # fmt: skip
        assert any(what in one for one in found), (what, found)


def test_estimates_need_no_draws_and_see_what_is_estimated(folder):
    edit(folder / "claims.csv", "low", 0, "0.5")
    assert verify(folder, estimates=True)[1] == []
    edit(folder / "claims.csv", "value", 0, "0.5")
    (found,) = verify(folder, estimates=True)[1]
    assert "value is committed as 0.5" in found


def test_a_last_digit_that_rounds_otherwise_is_no_difference(folder):
    values = pd.read_csv(folder / "claims.csv").value
    row, value = values.abs().idxmax(), values[values.abs().idxmax()]
    edit(folder / "claims.csv", "value", row, f"{value * (1 + 5e-6):.9g}")
    assert verify(folder)[1] == []
    edit(folder / "claims.csv", "value", row, f"{value * (1 + 5e-5):.9g}")
    assert len(verify(folder)[1]) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"commit": "0123456"}, "commit 0123456 is not in this history"),
        ({"commit": "--help"}, "is not in this history"),
        ({"commit": f"{HEAD}+"}, "had changes that are in no commit"),
        ({"dirty": True}, "had changes that are in no commit"),
        ({"trees": {"data": "0" * 40}}, "data of commit"),
    ],
)
def test_commits_are_looked_up(folder, change, said):
    made = {"commit": HEAD, "trees": {}, "dirty": False} | change
    write_json(folder / "run.json", {"stages": {"06": made}, "runs": []})
    (found,) = verify(folder, estimates=True)[1]
    assert found.startswith("run.json, 06: ") and said in found


def test_without_git_nothing_is_said_of_commits(folder, monkeypatch):
    monkeypatch.setattr(verifying, "_git", lambda *_: None)
    looked, differs = verify(folder, estimates=True)
    assert differs == [] and "not looked up" in looked[-1]


def test_the_command_says_so_and_ends_with_1(folder):
    run = CliRunner().invoke(app, ["verify", "--folder", str(folder), "--estimates"])
    assert run.exit_code == 0 and "all as committed" in run.output
    edit(folder / "table1.csv", "psds2", 0, "0.1234")
    run = CliRunner().invoke(app, ["verify", "--folder", str(folder), "--estimates"])
    assert run.exit_code == 1 and "psds2 is committed as 0.1234" in run.output and "1 differences" in run.output


def test_without_counts_there_is_nothing_to_verify(tmp_path):
    with pytest.raises(DataError, match=r"holds no seed\*\.npz"):
        verify(tmp_path)
