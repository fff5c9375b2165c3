"""The fast bootstrap against the obvious one: the library's PSDS of the resampled list of clips."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from labelled import draw_labels, draw_scores

from nrsed_lib.evaluate.bootstrap import bootstrapped_psds, draw_clips, interval
from nrsed_lib.evaluate.psds import Labels, psds


def resampled(labels: Labels, scores: torch.Tensor, counts: np.ndarray) -> tuple[Labels, torch.Tensor]:
    """The clips as often as `counts` says, each copy under a name of its own."""
    rows = [(i, copy) for i, count in enumerate(counts) for copy in range(count)]
    names = [f"{copy}-{labels.names[i]}" for i, copy in rows]
    of = dict(zip(names, (labels.names[i] for i, _ in rows), strict=True))
    return (
        Labels(
            names,
            labels.classes,
            labels.seconds,
            {n: labels.durations[of[n]] for n in names},
            {n: labels.ground_truth[of[n]] for n in names},
        ),
        scores[[i for i, _ in rows]],
    )


@pytest.mark.parametrize(("nb_classes", "quality"), [(2, 2.0), (5, 2.0), (5, 3.0)])
def test_every_draw_is_the_psds_of_the_resampled_clips(nb_classes, quality):
    labels = draw_labels(25, nb_classes)
    scores = draw_scores(labels, quality)
    counts = draw_clips(25, 12)
    fast = bootstrapped_psds(scores, labels, counts)
    slow = [list(psds(s, of).values()) for of, s in (resampled(labels, scores, c) for c in counts)]
    assert np.unique(np.round(fast, 9)).size > 12  # the draws differ, so that agreeing says something
    np.testing.assert_allclose(fast.T, slow, atol=1e-9)  # sums of at most 10^4 float64 terms


def test_draws_have_the_size_of_the_test_set_and_begin_with_it():
    counts = draw_clips(50, 300)
    assert counts.shape == (301, 50)
    assert (counts.sum(1) == 50).all()
    assert (counts[0] == 1).all()
    # A clip is left out of a draw with probability (1 - 1/50)^50 = 0.364; 15,000 trials: sd 0.004.
    assert (counts[1:] == 0).mean() == pytest.approx((1 - 1 / 50) ** 50, abs=0.02)
    np.testing.assert_array_equal(counts, draw_clips(50, 300))


def test_interval_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(1).normal(size=400)
    counts = draw_clips(400, 4000)
    low, high = interval(counts @ values / 400)
    half = 1.96 * values.std() / 20
    # The 2.5 % quantile of 4,000 draws has a standard error of about 0.04 sd = 2 % of the half width.
    assert [low, high] == pytest.approx([values.mean() - half, values.mean() + half], abs=0.08 * half)


def test_interval_lies_around_the_estimate_even_when_the_draws_do_not():
    draws = np.concatenate([[0.5], np.linspace(0.2, 0.4, 201)])
    assert interval(draws) == pytest.approx((0.405, 0.595))


def test_paired_draws_see_a_difference_that_separate_draws_do_not():
    """B is A with a few more frames right: draw by draw the difference is steadier than either."""
    labels = draw_labels(40, 3)
    a = draw_scores(labels, 3.0)
    b = (a.float() * 0.9 + draw_scores(labels, 6.0).float() * 0.1).half()
    counts = draw_clips(40, 60)
    draws_a, draws_b = (bootstrapped_psds(s, labels, counts)[1] for s in (a, b))
    separate = np.hypot(draws_a.std(), draws_b.std())
    assert (draws_b - draws_a).std() < 0.7 * separate
