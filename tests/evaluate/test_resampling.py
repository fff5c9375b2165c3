"""Draws, intervals and paired differences, against arithmetic."""

import numpy as np
import pandas as pd
import pytest

from nrsed_lib.evaluate.resampling import Draws, by_seed, clip_weights, draw_counts, interval, verdict


def test_draws_have_the_size_of_the_test_set_and_begin_with_it():
    counts = draw_counts(50, 300)
    assert counts.shape == (301, 50)
    assert (counts.sum(1) == 50).all()
    assert (counts[0] == 1).all()
    # A clip is left out of a draw with probability (1 - 1/50)^50 = 0.364; 15,000 trials: sd 0.004.
    assert (counts[1:] == 0).mean() == pytest.approx((1 - 1 / 50) ** 50, abs=0.02)
    np.testing.assert_array_equal(counts, draw_counts(50, 300))


def test_clips_with_recordings_of_their_own_are_the_ordinary_bootstrap():
    weights = clip_weights([[f"r{i}"] for i in range(50)], {f"r{i}": "clip" for i in range(50)}, 300)
    assert (weights.sum(1) == 50).all() and (weights[0] == 1).all()
    assert (weights[1:] == 0).mean() == pytest.approx((1 - 1 / 50) ** 50, abs=0.02)  # as above


def test_clips_of_one_recording_go_together_and_of_two_multiply():
    """Two dogs and three cats: as many of each class in every draw; a clip with both weighs the product."""
    recordings = [["dog1"], ["dog2"], ["cat1"], ["cat2"], ["cat3"], ["dog1", "cat3"], ["dog1"], []]
    classes = {r: r[:3] for clip in recordings for r in clip}
    weights = clip_weights(recordings, classes, 500)
    assert (weights[:, :2].sum(1) == 2).all() and (weights[:, 2:5].sum(1) == 3).all()
    assert (weights[:, 5] == weights[:, 0] * weights[:, 4]).all() and (weights[:, 6] == weights[:, 0]).all()
    assert (weights[:, 7] == 1).all()  # of nothing, nothing can be drawn anew
    assert weights[1:, 5].mean() == pytest.approx(1, abs=0.25)  # of 500, variance below 4: sd 0.09
    np.testing.assert_array_equal(clip_weights(recordings, classes, 50), weights[:51])
    assert (clip_weights(recordings, classes, 50, seed=1) != weights[:51]).any()


def test_fewer_recordings_leave_more_to_chance():
    """The mean of 60 clips: as uncertain as a mean of the 6 recordings that they are cut from."""
    values = np.repeat(np.random.default_rng(0).normal(size=6), 10)
    own, shared = (
        clip_weights([[f"r{i // nb}"] for i in range(60)], {f"r{i}": "x" for i in range(60)}, 2000) @ values / 60
        for nb in (1, 10)
    )
    assert shared.std() / own.std() == pytest.approx(np.sqrt(10), rel=0.1)


def test_interval_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(1).normal(size=400)
    counts = draw_counts(400, 4000)
    low, high = interval(counts @ values / 400)
    half = 1.96 * values.std() / 20
    # The 2.5 % quantile of 4,000 draws has a standard error of about 0.04 sd = 2 % of the half width.
    assert [low, high] == pytest.approx([values.mean() - half, values.mean() + half], abs=0.08 * half)


def test_interval_lies_around_the_estimate_even_when_the_draws_do_not():
    draws = np.concatenate([[0.5], np.linspace(0.2, 0.4, 201)])
    assert interval(draws) == pytest.approx((0.405, 0.595))


def test_weights_add_up_to_one_and_the_first_is_the_study():
    draws = Draws.of(20, 3, 50)
    for weights, nb in ((draws.mixtures, 20), (draws.seeds, 3)):
        assert weights.shape == (51, nb)
        np.testing.assert_allclose(weights.sum(1), 1)
        np.testing.assert_allclose(weights[0], 1 / nb)


def test_the_estimate_is_the_mean_and_a_constant_has_no_spread():
    values = np.random.default_rng(0).normal(size=(3, 40))
    assert Draws.of(40, 3).estimate(values)[0] == pytest.approx(values.mean())
    assert Draws.of(40, 3).estimate(np.full((3, 40), 1.5)) == pytest.approx((1.5, 1.5, 1.5))


def test_with_one_seed_the_interval_is_that_of_a_mean():
    """1.96 standard errors; of 5,000 draws the quantile at 2.5 % is known to 2 % of its distance from the mean."""
    values = np.random.default_rng(1).normal(3, 2, (1, 400))
    value, low, high = Draws.of(400, 1, 5_000).estimate(values)
    half = 1.96 * values.std() / np.sqrt(400)
    np.testing.assert_allclose([value - low, high - value], half, rtol=0.06)


def test_seeds_that_disagree_widen_it():
    """Values that differ by seed alone: a draw is the mean of as many seeds drawn again, whatever the mixtures."""
    values = np.array([[-1.0], [0.0], [1.0]]).repeat(50, 1)
    draws = Draws.of(50, 3).mean(values)
    assert set(np.round(3 * draws).astype(int)) == set(range(-3, 4))
    np.testing.assert_allclose(3 * draws, np.round(3 * draws), atol=1e-9)
    assert draws[1:].var() == pytest.approx(2 / 3 / 3, rel=0.15)  # the variance of a mean of three


def test_a_shift_of_all_mixtures_is_certain_where_their_spread_is_not():
    """Paired: what two variants share takes no part in their difference."""
    plain = np.random.default_rng(2).normal(0, 5, (2, 60))
    more = plain + 0.1
    draws = Draws.of(60, 2)
    _, low, _ = draws.estimate(more)
    assert verdict(*draws.estimate(more - plain)[1:]) == "holds"
    assert verdict(*draws.estimate(plain - more)[1:]) == "does not hold"
    assert low < 0 and verdict(*draws.estimate(plain)[1:]) == "undecided"


def test_rows_become_seeds_by_mixtures():
    rows = pd.DataFrame({"seed": [1, 1, 0, 0], "mixture": [0, 1, 1, 0], "gain": [10.0, 11.0, 1.0, 0.0]})
    np.testing.assert_array_equal(by_seed(rows, "gain"), [[0, 1], [10, 11]])
    with pytest.raises(ValueError, match="gain: seed 0 has no value for mixture 0"):
        by_seed(rows.iloc[:3], "gain")
