"""The ledger on constructed cases where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from labelled import draw_labels, draw_scores
from scipy.stats import spearmanr

from nrsed_lib.evaluate.claims import BEYOND, CLAIMS, Claim, Scores, disagreements, ledger, total_gain
from nrsed_lib.evaluate.evidence import Evidence
from nrsed_lib.evaluate.inference import VERDICTS, over_seeds
from nrsed_lib.evaluate.psds import psds_of_draws
from nrsed_lib.evaluate.resampling import draw_counts

CONDITIONS = ("clean", "10dB", "-5dB")
NB_DRAWS = 400
HOLDS, OPPOSITE, SAME, UNDECIDED = VERDICTS
PREDICTED = ("4", "5", "6", "7")  # systems that predict their queries


def measured(
    total: dict, recall: dict | None = None, seeds: int = 1, clip_noise: float = 0.1, seed: int = 0
) -> Evidence:
    """P1 + P2 of (condition, system) given for each seed; clips move all systems together, by `clip_noise`."""
    rng = np.random.default_rng(seed)
    shared = np.concatenate([[0.0], rng.normal(0, clip_noise, NB_DRAWS)])

    def draws(values, nb_metrics):  # (nb_seeds, nb_metrics, 1 + nb_draws), with a little noise of its own
        values = np.broadcast_to(values, seeds)[:, None, None] / nb_metrics
        own = np.concatenate([[0.0], rng.normal(0, clip_noise / 20, NB_DRAWS)])
        return values + (shared + own) / nb_metrics + np.zeros((seeds, nb_metrics, 1))

    return Evidence(
        {cell: draws(v, 2) for cell, v in total.items()},
        {cell: draws(v, 1)[:, 0] for cell, v in (recall or {}).items()},
        list(range(seeds)),
        100,
        {s: "" for _, s in total},
        {},
    )


def two(better: float | list, worse: float | list, **how) -> str:
    cells = {(c, s): v for c in CONDITIONS for s, v in (("7", better), ("1", worse))}
    return ledger(measured(cells, **how), (Claim("", "", ("7",), ("1",)),)).verdict[0]


def test_pairing_decides_what_unpaired_intervals_would_not():
    """A gain of 0.05 under clip noise of 0.1 that both sides share."""
    assert two(0.85, 0.80) == HOLDS
    assert two(0.80, 0.85) == OPPOSITE
    assert two(0.80, 0.80) == SAME  # the noise that is not shared has a spread of 0.005
    assert two(0.80, 0.80, clip_noise=4.0) == UNDECIDED


def test_seeds_that_disagree_leave_a_claim_undecided():
    assert two([0.90, 0.88, 0.92], [0.80, 0.80, 0.80], seeds=3) == HOLDS
    cells = {(c, s): v for c in CONDITIONS for s, v in (("7", [1.1, 0.7, 0.75]), ("1", 0.8))}
    table = ledger(measured(cells, seeds=3), (Claim("", "", ("7",), ("1",)),))
    assert table.verdict[0] == UNDECIDED and table.by[0] == "t over seeds"
    assert table.seeds_for[0] == "1/3"
    assert table.value[0] == pytest.approx(0.05)
    expected = over_seeds(np.array([0.3, -0.1, -0.05]), 0.5)
    assert (table.low[0], table.high[0], table.p[0]) == pytest.approx((expected.low, expected.high, expected.p))
    assert table.bootstrap_low[0] > 0 and "zero" in table.apart[0]  # other clips would not change it, other seeds do


def test_with_two_seeds_there_is_no_variance_to_speak_of():
    cells = {(c, s): v for c in CONDITIONS for s, v in (("7", [0.9, 0.8]), ("1", 0.7))}
    table = ledger(measured(cells, seeds=2), (Claim("", "", ("7",), ("1",)),))
    assert (table.by[0], table.verdict[0], table.apart[0]) == ("bootstrap", HOLDS, "")
    assert (table.low[0], table.high[0]) == (table.bootstrap_low[0], table.bootstrap_high[0])
    assert "alone" in disagreements(table)


def test_the_more_claims_the_less_is_certain():
    """Holm over the claims of the paper and over ours, apart."""
    cells = {("clean", s): v for s, v in (("7", [0.90, 0.88, 0.97]), ("1", [0.8, 0.8, 0.8]))}
    claim = (Claim("", "IV", ("7",), ("1",)),)
    (alone,) = ledger(measured(cells, seeds=3), claim).p
    table = ledger(measured(cells, seeds=3), claim * 3 + (Claim("", BEYOND, ("7",), ("1",)),))
    assert table.p.tolist() == pytest.approx([3 * alone] * 3 + [alone])


def test_what_a_profile_did_not_run_is_not_in_its_ledger():
    cells = {(c, s): 0.5 for c in CONDITIONS for s in ("1", "7")}
    claims = (
        Claim("a", "", ("7",), ("1",)),
        Claim("b", "", ("ensemble",), ("1",)),
        Claim("c", "", ("7",), ("1",), "noise", "recall"),
    )
    assert ledger(measured(cells), claims).claim.tolist() == ["a"]
    assert ledger(
        measured({("clean", "7"): 0.5, ("clean", "1"): 0.5}), (Claim("n", "", ("7",), ("1",), "noise"),)
    ).empty


def test_half_of_a_gap_is_closed_above_its_middle():
    scores = Scores({("5dB", s): np.array([v]) for s, v in (("7", 0.4), ("2", 1.0), ("ensemble", 0.75))}, {})
    assert total_gain(scores, Claim("", "", ("ensemble",), ("2", "7"), "noise")) == pytest.approx(0.05)


def test_conditions_are_the_ones_claimed():
    total = {("clean", "1"): 0.9, ("10dB", "1"): 0.5, ("-5dB", "1"): 0.1}
    total |= {("clean", "2"): 0.6, ("10dB", "2"): 0.7, ("-5dB", "2"): 0.5}
    claims = tuple(Claim(where, "", ("2",), ("1",), where) for where in ("clean", "noise", "all"))
    table = ledger(measured(total), claims).set_index("claim")
    assert table.value.to_dict() == pytest.approx({"clean": -0.3, "noise": 0.3, "all": 0.1})
    assert table.verdict.to_dict() == {"clean": OPPOSITE, "noise": HOLDS, "all": HOLDS}
    paper = {"clean": 1.163 - 1.274, "noise": ((1.002 - 0.920) + (0.476 - 0.255)) / 2}  # Table I
    assert table.paper[["clean", "noise"]].to_dict() == pytest.approx(paper)
    assert table.paper_excluded[["clean", "noise"]].tolist() == ["yes", "yes"]


def test_best_recall_must_be_best_everywhere():
    claim = (Claim("", "", ("7",), ("4", "5"), "noise", "recall"),)
    total = {(c, s): 0.5 for c in CONDITIONS for s in "457"}
    recall = {(c, s): v for c in CONDITIONS for s, v in (("4", 0.5), ("5", 0.6), ("7", 0.8))}
    best = ledger(measured(total, recall), claim)
    assert (best.verdict[0], best.value[0]) == (HOLDS, pytest.approx(0.2))
    once = ledger(measured(total, recall | {("-5dB", "5"): 0.9}), claim)
    assert (once.verdict[0], once.value[0]) == (OPPOSITE, pytest.approx(-0.1))
    clean = ledger(measured(total, recall | {("clean", "5"): 0.9}), claim)
    assert clean.verdict[0] == HOLDS  # it is about noise
    assert np.isnan(clean.paper[0]) and clean.paper_excluded[0] == ""


def test_correlation_across_conditions_is_not_correlation_within():
    """Noise lowers both, but at one noise level the better query writer detects worse."""
    noise = {"10dB": 0.0, "5dB": 0.3, "-5dB": 0.6}
    recall = {(c, s): 1 - n - 0.01 * i for c, n in noise.items() for i, s in enumerate(PREDICTED)}
    total = {(c, s): 1 - n + 0.01 * i for c, n in noise.items() for i, s in enumerate(PREDICTED)}
    claims = tuple(
        Claim(name, "", PREDICTED, (), "noise", name) for name in ("rank correlation", "rank correlation within")
    )
    table = ledger(measured(total, recall, clip_noise=1e-4), claims).set_index("claim")
    expected = spearmanr([recall[c] for c in recall], [total[c] for c in recall]).statistic
    assert table.value["rank correlation"] == pytest.approx(expected)
    assert table.verdict["rank correlation"] == HOLDS
    assert table.value["rank correlation within"] == pytest.approx(-1)
    assert table.verdict["rank correlation within"] == OPPOSITE


def test_better_scores_win_end_to_end():
    """From frame scores: a detector that knows the truth well, one that knows it less, and the first again."""
    labels = draw_labels(40, 3)
    counts = draw_counts(40, 100)
    scores = {"2": draw_scores(labels, 4.0), "1": draw_scores(labels, 2.0), "3": draw_scores(labels, 4.0)}
    psds = {("clean", s): psds_of_draws(v, labels, counts)[None] for s, v in scores.items()}
    claims = (Claim("knows more", "", ("2",), ("1",)), Claim("the same", "", ("2",), ("3",)))
    table = ledger(Evidence(psds, {}, [0], 40, dict.fromkeys(scores, ""), {}), claims).set_index("claim")
    assert table.verdict.to_dict() == {"knows more": HOLDS, "the same": SAME}


def test_the_paper_bears_out_its_own_claims():
    """Every claim the paper makes from Table I is true of the numbers in Table I."""
    systems = sorted({s for c in CLAIMS for s in c.systems})
    flat = {(c, s): 0.5 for c in ("clean", "10dB", "5dB", "0dB", "-5dB") for s in systems}
    table = ledger(measured(flat, {cell: 0.5 for cell in flat if cell[1] in PREDICTED}))
    assert len(table) == len(CLAIMS) and not table.duplicated(["better", "worse", "conditions", "statistic"]).any()
    stated = table[table.source.str.contains("Table I")]
    assert len(stated) == 14
    assert (stated.paper > 0).all()
    assert stated.paper.iloc[0] == pytest.approx(
        ((1.002 - 0.920) + (0.857 - 0.691) + (0.682 - 0.445) + (0.476 - 0.255)) / 4
    )
    assert table[table.source.str.contains("Fig. 2")].paper.isna().all()
    added = table.better.str.contains("-|ensemble") | table.worse.str.contains("-")  # systems that the paper has not
    assert set(table[added].source) == {BEYOND, "I, IV-B"}
