"""The fast bootstrap against the obvious one: the library's PSDS of the resampled list of clips."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from labelled import draw_labels, draw_scores, library_psds

from nrsed_lib.evaluate.psds import Labels, psds_of_draws
from nrsed_lib.evaluate.resampling import draw_counts


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
    counts = draw_counts(25, 12)
    fast = psds_of_draws(scores, labels, counts)
    slow = [list(library_psds(s, of).values()) for of, s in (resampled(labels, scores, c) for c in counts)]
    assert np.unique(np.round(fast, 9)).size > 12  # the draws differ, so that agreeing says something
    np.testing.assert_allclose(fast.T, slow, atol=1e-9)  # sums of at most 10^4 float64 terms


def test_paired_draws_see_a_difference_that_separate_draws_do_not():
    """B is A with a few more frames right: draw by draw the difference is steadier than either."""
    labels = draw_labels(40, 3)
    a = draw_scores(labels, 3.0)
    b = (a.float() * 0.9 + draw_scores(labels, 6.0).float() * 0.1).half()
    counts = draw_counts(40, 60)
    draws_a, draws_b = (psds_of_draws(s, labels, counts)[1] for s in (a, b))
    separate = np.hypot(draws_a.std(), draws_b.std())
    assert (draws_b - draws_a).std() < 0.7 * separate
