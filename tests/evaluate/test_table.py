"""Table I: its layout, its averages, and the paper's numbers beside ours."""

from __future__ import annotations

import numpy as np
import pytest

from nrsed_lib.evaluate.measure import Measured
from nrsed_lib.evaluate.published import paper_table
from nrsed_lib.evaluate.resampling import interval
from nrsed_lib.evaluate.table import AVERAGE, as_printed, table1, totals

SYSTEMS = {"1": "no separation", "7": "ours", "7-direct": "g_alpha alone"}
CONDITIONS = ("clean", "5dB")


@pytest.fixture
def measured() -> Measured:
    rng = np.random.default_rng(0)
    psds = {
        (c, s): rng.uniform(0.2, 0.6, (2, 2, 1)) + rng.normal(0, 0.3, (2, 2, 41)) for c in CONDITIONS for s in SYSTEMS
    }
    return Measured({cell: np.clip(values, 0, 1) for cell, values in psds.items()}, {}, seeds=[3, 5], nb_clips=100)


def test_average_column_of_the_paper_follows_from_its_cells():
    averages = totals(paper_table(), by="separation")[AVERAGE].droplevel(1)
    printed = {"1": 0.717, "2": 0.836, "3": 0.618, "4": 0.643, "5": 0.541, "6": 0.727, "7": 0.735}
    assert averages.index.tolist() == list(printed)
    for system, value in printed.items():  # half a unit in the third decimal, as printed
        assert averages[system] == pytest.approx(value, abs=5.001e-4)


def test_a_row_for_each_system_condition_and_seed(measured):
    table = table1(measured, SYSTEMS)
    assert list(table.columns) == [
        "system", "about", "condition", "psds1", "psds2", "psds1_low", "psds1_high", "psds2_low", "psds2_high",
        "nb_clips", "seed", "paper_psds1", "paper_psds2",
    ]  # fmt: skip
    assert len(table) == 3 * 2 * 2
    row = table.query("system == '7' and condition == '5dB' and seed == 5").iloc[0]
    draws = measured.psds["5dB", "7"][1]
    assert (row.psds1, row.psds2) == (draws[0, 0], draws[1, 0])
    low, high = interval(draws)
    assert (row.psds1_low, row.psds2_high) == (max(low[0], 0), min(high[1], 1))
    assert (row.paper_psds1, row.paper_psds2) == (0.247, 0.481)  # Table I, #7 at 5 dB
    assert table.query("system == '7-direct'").paper_psds1.isna().all()
    bounds = table[["psds1_low", "psds1_high", "psds2_low", "psds2_high"]]
    assert bounds.apply(lambda c: c.between(0, 1)).all(axis=None)


def test_printed_layout_has_mean_and_spread_and_the_paper_beside(measured):
    table = table1(measured, SYSTEMS)
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
