"""A run beside the committed results: what is counted as reproduced, and what is not compared at all."""

import json
import shutil

import pandas as pd
import pytest

from nrsed_lib.artefacts import shown_folder
from nrsed_lib.paths import REFERENCE
from nrsed_lib.profile import load_profile
from nrsed_lib.run import compare as comparing
from nrsed_lib.run.compare import LEDGERS, compare
from nrsed_lib.series import SERIES, STUDIES

MINI = load_profile("mini")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A run that has made just what is committed."""
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    monkeypatch.setattr(comparing, "state", lambda *_: "done")
    (tmp_path / "mini").mkdir()
    for table in (REFERENCE / "mini").glob("*.csv"):
        shutil.copy(table, tmp_path / "mini")
    return tmp_path / "mini"


def edit(table, change):
    edited = pd.read_csv(table, dtype={"system": str})
    change(edited)
    edited.to_csv(table, index=False)


def counts(found) -> list[str]:
    return list(found.summary()["same"])


def test_the_reference_reproduces_itself(here):
    found = compare(MINI)
    assert found.differ == {} and not len(found.otherwise())
    assert all(same.split(" of ")[0] == same.split(" of ")[1] for same in counts(found))
    assert len(found.summary()) == 1 + len(LEDGERS)
    table = pd.read_csv(here / "table1.csv")
    assert len(found.cells) == 2 * len(table) and len(found.verdicts) > 50


def test_a_score_outside_its_interval_and_another_verdict_are_named(here):
    before = compare(MINI)

    def raise_two(table):
        row = (table["system"] == "7") & (table["condition"] == "5dB")
        table.loc[row, "psds1"] = table.loc[row, "psds1_high"] + 0.01
        table.loc[row, "psds2"] = table.loc[row, "psds2_high"]  # still within

    def turn(table):
        table.loc[0, "verdict"] = "does not hold" if table.loc[0, "verdict"] == "holds" else "holds"

    edit(here / "table1.csv", raise_two)
    edit(here / "claims.csv", turn)
    claims = pd.read_csv(here / "opensep_claims.csv")
    claims[1:].to_csv(here / "opensep_claims.csv", index=False)
    found = compare(MINI)
    lost = [int(a.split()[0]) - int(b.split()[0]) for a, b in zip(counts(before), counts(found), strict=True)]
    assert sum(lost) == 3 and lost[0] == 1
    named = list(found.otherwise()["what"])
    assert "#7, 5dB, psds1" in named and pd.read_csv(here / "claims.csv")["claim"][0] in named
    assert "not there" in list(found.otherwise()["here"])
    assert all(what in found.text() for what in named)


@pytest.mark.parametrize(
    ("setting", "value", "compared"),
    [("sed.train.steps", 70, 0), ("seed", 3, 0), ("studies.task9.steps", 70, 2), ("studies.seeds", [4], 2)],
)
def test_other_settings_are_said_and_their_tables_not_compared(here, setting, value, compared):
    other = load_profile("mini", {setting: value})
    here.rename(shown_folder(other))
    found = compare(other)
    (key,) = found.differ
    assert key.startswith(setting) and f"{key} is " in found.text()
    assert len(found.summary()) == compared  # Table I and the paper's claims do not read the studies' settings


def test_a_reference_that_tells_its_settings_is_believed(here):
    made = json.loads((REFERENCE / "mini" / "run.json").read_text()) | {"settings": comparing.flat(MINI)}
    assert comparing.differing(MINI, made) == {}
    made["settings"]["sed.train.steps"] += 1
    assert list(comparing.differing(MINI, made)) == ["sed.train.steps"]


def test_what_is_not_up_to_date_is_left_out(here, monkeypatch):
    monkeypatch.setattr(comparing, "state", lambda _, id_, seed: "stale" if id_ in STUDIES else "done")
    assert {*compare(MINI).verdicts["of"]} == {LEDGERS["claims.csv"][0]}


def test_profiles_without_a_reference_are_not_compared(here):
    assert compare(load_profile("smoke")) is None


def test_every_ledger_is_some_notebooks_table():
    tables = {table for notebook in SERIES.values() for table in notebook.tables}
    assert set(LEDGERS) | {comparing.SCORES} == tables
