"""The sentences say what the ledger says, and nothing of what it does not have."""

import pandas as pd

from nrsed_lib.evaluate.claims import CLAIMS
from nrsed_lib.evaluate.findings import SENTENCES, compared, sentences

ROW = {"conditions": "noise", "statistic": "P1+P2", "paper": float("nan"), "verdict": "undecided"}


def ledger(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame([ROW | row for row in rows])


def test_numbers_verdicts_and_the_paper_come_from_the_row():
    row = {"better": "#7", "worse": "#1", "value": 0.12, "low": 0.01, "high": 0.2, "verdict": "holds", "paper": 0.3}
    (told,) = sentences(ledger(row))
    assert (
        told.startswith("In noise") and "gains +0.120 [+0.010, +0.200] (holds; the paper's +0.300 is outside)." in told
    )
    (told,) = sentences(ledger(row | {"paper": 0.1}))
    assert "+0.100 is inside" in told


def test_a_claim_put_the_other_way_is_turned():
    row = {"better": "#1", "worse": "#2", "conditions": "clean", "value": 0.1, "low": 0.05, "high": 0.2, "paper": 0.111}
    turned = compared(ledger(row | {"verdict": "holds"}), "#2", "#1", "clean")
    assert turned[["value", "low", "high", "paper"]].tolist() == [-0.1, -0.2, -0.05, -0.111]
    assert turned.verdict == "the opposite holds"
    assert compared(ledger(row | {"verdict": "undecided"}), "#2", "#1", "clean").verdict == "undecided"


def test_what_was_not_compared_is_not_told():
    assert sentences(ledger({"better": "#9", "worse": "#8", "value": 0, "low": 0, "high": 0})) == []
    recall = {"better": "#7", "worse": "#1", "value": 0.1, "low": 0, "high": 0.2, "statistic": "recall"}
    assert sentences(ledger(recall)) == []


def test_there_are_six_and_each_part_is_a_claim():
    sides = {(" ".join(f"#{s}" for s in c.better), " ".join(f"#{s}" for s in c.worse), c.where) for c in CLAIMS}
    assert len(SENTENCES) == 6
    for part in (part for parts in SENTENCES.values() for part in parts.values()):
        better, worse, where = part
        assert part in sides or (worse, better, where) in sides, part
