"""Table I: its layout, its averages, and the paper's numbers beside ours."""

from __future__ import annotations

import numpy as np
import pytest

from nrsed_lib.evaluate.evidence import Evidence
from nrsed_lib.evaluate.inference import over_recordings, over_seeds
from nrsed_lib.evaluate.published import paper_table
from nrsed_lib.evaluate.table import AVERAGE, as_printed, means, recall_table, table1, totals

SYSTEMS = {"1": "no separation", "7": "ours", "7-direct": "g_alpha alone"}
CONDITIONS = ("clean", "5dB")


@pytest.fixture
def measured() -> Evidence:
    rng = np.random.default_rng(0)
    psds = {
        (c, s): rng.uniform(0.2, 0.6, (2, 2, 1)) + rng.normal(0, 0.3, (2, 2, 41)) for c in CONDITIONS for s in SYSTEMS
    }
    recall = {("clean", "7"): rng.uniform(0.5, 0.6, (2, 41))}
    return Evidence({cell: np.clip(v, 0, 1) for cell, v in psds.items()}, recall, [3, 5], 100, SYSTEMS, {})


def test_average_column_of_the_paper_follows_from_its_cells():
    averages = totals(paper_table(), by="separation")[AVERAGE].droplevel(1)
    printed = {"1": 0.717, "2": 0.836, "3": 0.618, "4": 0.643, "5": 0.541, "6": 0.727, "7": 0.735}
    assert averages.index.tolist() == list(printed)
    for system, value in printed.items():  # half a unit in the third decimal, as printed
        assert averages[system] == pytest.approx(value, abs=5.001e-4)


def test_a_row_for_each_system_condition_and_seed(measured):
    table = table1(measured)
    assert list(table.columns) == [
        "system", "about", "condition", "psds1", "psds2", "psds1_low", "psds1_high", "psds2_low", "psds2_high",
        "nb_clips", "seed", "paper_psds1", "paper_psds2",
    ]  # fmt: skip
    assert len(table) == 3 * 2 * 2
    row = table.query("system == '7' and condition == '5dB' and seed == 5").iloc[0]
    draws = measured.psds["5dB", "7"][1]
    assert (row.psds1, row.psds2) == (draws[0, 0], draws[1, 0])
    when, which = (over_recordings(draws[[i]]) for i in range(2))
    assert (row.psds1_low, row.psds2_high) == (max(when.low, 0), min(which.high, 1))
    assert (row.paper_psds1, row.paper_psds2) == (0.247, 0.481)  # Table I, #7 at 5 dB
    assert table.query("system == '7-direct'").paper_psds1.isna().all()
    bounds = table[["psds1_low", "psds1_high", "psds2_low", "psds2_high"]]
    assert bounds.apply(lambda c: c.between(0, 1)).all(axis=None)


def test_printed_layout_has_mean_and_spread_and_the_paper_beside(measured):
    table = table1(measured)
    wide = as_printed(table)
    assert [(s, who) for s, _, who in wide.index] == [
        ("1", "ours"), ("1", "paper"), ("7", "ours"), ("7", "paper"), ("7-direct", "ours"),
    ]  # fmt: skip
    assert wide.columns.tolist() == [
        *((c, m) for c in CONDITIONS for m in ("P1", "P2", "P1+P2")),
        (AVERAGE, "P1+P2"),
    ]
    assert wide.loc[("7", "ours", "paper"), ("5dB", "P1+P2")] == "0.728"
    # The paper's average over these two conditions: (1.136 + 0.728) / 2.
    assert wide.loc[("7", "ours", "paper"), (AVERAGE, "P1+P2")] == "0.932"
    a, b = measured.psds["clean", "7-direct"][:, 0, 0]
    spread = abs(a - b) / 2**0.5  # of two values, with n - 1
    assert wide.loc[("7-direct", "g_alpha alone", "ours"), ("clean", "P1")] == f"{(a + b) / 2:.3f} ± {spread:.3f}"


def test_a_mean_has_its_own_interval_and_not_the_mean_of_its_seeds(measured):
    table = means(measured).set_index(["system", "condition", "metric"])
    assert len(table) == 3 * 4 * 3  # two conditions, noise, average; two metrics and their sum
    row, draws = table.loc["7", "5dB", "P1+P2"], measured.psds["5dB", "7"].sum(1)
    found = over_recordings(draws)
    assert (row["mean"], row.low, row.high) == (found.value, max(found.low, 0), min(found.high, 2))
    assert row.sd == pytest.approx(draws[:, 0].std(ddof=1))
    average = np.mean([measured.psds[c, "7"][:, :, 0].sum(1).mean() for c in CONDITIONS])
    assert table.loc["7", AVERAGE, "P1+P2"]["mean"] == pytest.approx(average)
    assert table.loc["7", "noise", "psds1"]["mean"] == table.loc["7", "5dB", "psds1"]["mean"]


def test_over_three_seeds_the_interval_is_over_seeds():
    values = np.random.default_rng(0).uniform(0.4, 0.6, (3, 2, 5))
    row = (
        means(Evidence({("clean", "1"): values}, {}, [1, 2, 3], 9, {"1": ""}, {}, share=0.2))
        .query("metric == 'psds2'")
        .iloc[0]
    )
    found = over_seeds(values[:, 1, 0], 0.2)
    assert (row["mean"], row.low, row.high) == (found.value, found.low, found.high)


def test_recall_has_a_row_a_seed_and_the_mean_beside(measured):
    table = recall_table(measured, measured.recall)
    assert table.seed.tolist() == [3, 5] and table.recall.tolist() == measured.recall["clean", "7"][:, 0].tolist()
    found = over_recordings(measured.recall["clean", "7"])
    assert (table[["mean", "low", "high"]].to_numpy() == [found.value, found.low, found.high]).all()
    assert recall_table(measured, {}).columns.tolist() == table.columns.tolist()
