"""Intervals, p-values and verdicts against closed forms, scipy, and studies whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nrsed_lib.evaluate.inference import LEVEL, MARGIN, VERDICTS, holm, over_recordings, over_seeds, verdict
from nrsed_lib.evaluate.resampling import overlap


def test_without_overlap_the_t_is_the_textbook_one():
    values = np.array([0.10, 0.02, 0.07, 0.05, 0.01])
    found, test = over_seeds(values, share=0.0), stats.ttest_1samp(values, 0)
    assert (found.value, found.p) == pytest.approx((values.mean(), test.pvalue))
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(LEVEL)))
    sides = (
        stats.ttest_1samp(values, -MARGIN, alternative="greater"),
        stats.ttest_1samp(values, MARGIN, alternative="less"),
    )
    assert found.p_same == pytest.approx(max(side.pvalue for side in sides))


def test_overlap_of_training_sets_widens_it_as_nadeau_and_bengio_say():
    values = np.random.default_rng(0).normal(size=10)
    plain, corrected = over_seeds(values, 0.0), over_seeds(values, 0.5)
    assert corrected.high - corrected.value == pytest.approx((plain.high - plain.value) * np.sqrt((0.1 + 0.5) / 0.1))


def test_seeds_that_all_agree_leave_no_doubt():
    assert over_seeds(np.full(4, 0.2), 0.5).p == 0 and over_seeds(np.full(4, -0.2), 0.5).p == 0
    same = over_seeds(np.zeros(4), 0.5)
    assert (same.p, same.p_same) == (1.0, 0.0)
    assert over_seeds(np.full(4, 0.2), 0.5).p_same == 1.0


def test_the_bootstrap_of_a_mean_is_the_textbook_one():
    """Of one seed: normal draws around the estimate; 20,000 of them put 2 % on a half width, 0.2 points on p."""
    draws = np.append(0.05, 1 + np.random.default_rng(0).normal(0, 0.04, 20_000))[
        None
    ]  # not around the estimate: centred
    found = over_recordings(draws)
    assert (found.value, found.high - found.value, found.value - found.low) == pytest.approx(
        (0.05, 1.96 * 0.04, 1.96 * 0.04), rel=0.03
    )
    assert found.p == pytest.approx(2 * stats.norm.sf(0.05 / 0.04), abs=0.01)
    assert found.p_same == pytest.approx(stats.norm.cdf((0.05 - MARGIN) / 0.04), abs=0.01)


def test_no_number_of_draws_makes_a_bootstrap_certain():
    assert over_recordings(np.append(0.5, np.full(1999, 0.5))[None]).p == pytest.approx(2 / 2000)


def test_test_sets_that_share_recordings_err_together():
    """Means of test sets dealt from one pool, again and again: the spread of their mean is what the bootstrap says."""
    rng, nb_pool, nb_test, nb_seeds = np.random.default_rng(0), 40, 16, 5
    dealt = [rng.choice(nb_pool, nb_test, replace=False) for _ in range(nb_seeds)]
    common = overlap([{str(i) for i in one} for one in dealt])
    assert common == pytest.approx(nb_test / nb_pool, abs=0.12)
    means = [np.mean([pool[one].mean() for one in dealt]) for pool in rng.normal(size=(4000, nb_pool))]
    draws = [[0.0, *(rng.normal(size=(4000, nb_test)).mean(1))] for _ in range(nb_seeds)]
    found = over_recordings(np.array(draws), common)
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(means), rel=0.06)  # 4,000 of each: 2 % and 3 %
    assert overlap([{"a"}]) == 0


def test_intervals_over_seeds_hold_the_truth_as_often_as_they_say():
    """Splits of one pool: each test mean beside the error of a training set that overlaps with the others'."""
    rng, hits, nb = np.random.default_rng(1), 0, 2000
    for _ in range(nb):
        pool = rng.normal(0.3, 1, 60)
        deals = [rng.permutation(60) for _ in range(10)]
        found = over_seeds(np.array([pool[d[:20]].mean() - 0.5 * pool[d[20:]].mean() for d in deals]), 20 / 40)
        hits += found.low <= 0.15 <= found.high
    assert 0.93 < hits / nb <= 1  # wide rather than narrow


def test_holm_against_the_step_down_by_hand():
    p = [0.04, 0.01, 0.03, 0.02]
    assert holm(p).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0] and holm([]).tolist() == []
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.uniform(0, 0.05, 7)
        rejected, left = set(), list(np.argsort(p))
        while left and p[left[0]] <= 0.05 / len(left):
            rejected.add(left.pop(0))
        assert set(np.flatnonzero(holm(p) <= 0.05)) == rejected


def test_four_verdicts():
    holds, opposite, same, undecided = VERDICTS
    assert same == "no difference > 0.03"
    assert verdict(0.2, 0.01, 1.0) == holds and verdict(-0.2, 0.05, 1.0) == opposite
    assert verdict(0.01, 0.2, 0.01) == same and verdict(0.1, 0.06, 0.5) == undecided
    assert verdict(0.01, 0.01, 0.01) == holds  # small, and there for certain
