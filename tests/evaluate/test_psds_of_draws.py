"""PSDS of resampled clips against sed_scores_eval's of the clips themselves, and of condensed counts against both."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from labelled import draw_labels, draw_scores, library_psds

from nrsed_lib.evaluate.psds import Labels, changes_of, durations_of, events_of, psds_of_draws
from nrsed_lib.evaluate.resampling import clip_weights, draw_counts
from nrsed_lib.evaluate.roc import SCENARIOS, Weighted, condensed, psds_of


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


def shared_recordings(nb_clips: int) -> np.ndarray:
    """Weights of clips of which two in a row share a recording, and every third has one of another class besides."""
    recordings = [[f"a{i // 2}", *([f"b{i // 6}"] if i % 3 == 0 else [])] for i in range(nb_clips)]
    return clip_weights(recordings, {r: r[0] for clip in recordings for r in clip}, 12)


@pytest.mark.parametrize("weights", [draw_counts(24, 12), shared_recordings(24)], ids=["clips", "recordings"])
@pytest.mark.parametrize(("nb_classes", "quality"), [(2, 2.0), (5, 2.0), (5, 3.0)])
def test_every_draw_is_the_psds_of_the_resampled_clips(nb_classes, quality, weights):
    labels = draw_labels(24, nb_classes)
    scores = draw_scores(labels, quality)
    fast = psds_of_draws(scores, labels, weights)
    slow = [list(library_psds(s, of).values()) for of, s in (resampled(labels, scores, c) for c in weights)]
    assert np.unique(np.round(fast, 9)).size > 12  # the draws differ, so that agreeing says something
    np.testing.assert_allclose(fast.T, slow, atol=1e-9)  # sums of at most 10^4 float64 terms


@pytest.mark.parametrize("quality", [0.0, 1.0, 3.0, 8.0])  # from chance to all events found
def test_condensed_counts_have_the_same_psds_in_every_draw(quality):
    labels = draw_labels(40, 4)
    scores = draw_scores(labels, quality, nb_frames=80)
    draws = Weighted.of(draw_counts(40, 300), *events_of(labels), durations_of(labels))
    for name, changes in changes_of(scores, labels).items():
        how = SCENARIOS[name]
        few = condensed(changes, draws, how["alpha_ct"])
        assert len(few.clip) < 0.5 * len(changes.clip)
        whole, part = (psds_of(c, draws, how["alpha_ct"], how["alpha_st"]) for c in (changes, few))
        np.testing.assert_allclose(part, whole, atol=1e-12)  # the same sums, fewer of them


def test_points_are_left_out_whatever_the_weights_but_for_the_reach_of_the_draws():
    """Condensed for draws that reach everything, other weights, any at all, have the same PSDS too."""
    labels = draw_labels(20, 3)
    changes = changes_of(draw_scores(labels, 1.0), labels)["psds2"]
    truth = (*events_of(labels), durations_of(labels))
    hours = np.full(20, 1e6)  # of clips so long that no rate is over the bound
    few = condensed(changes, Weighted.of(np.ones((1, 20)), *truth[:2], hours), 0.5)
    assert len(few.clip) < len(changes.clip)
    weights = np.random.default_rng(0).gamma(0.5, size=(50, 20))
    draws = Weighted.of(weights, *truth)
    np.testing.assert_allclose(psds_of(few, draws, 0.5, 1.0), psds_of(changes, draws, 0.5, 1.0), atol=1e-12)


def test_paired_draws_see_a_difference_that_separate_draws_do_not():
    """B is A with a few more frames right: draw by draw the difference is steadier than either."""
    labels = draw_labels(40, 3)
    a = draw_scores(labels, 3.0)
    b = (a.float() * 0.9 + draw_scores(labels, 6.0).float() * 0.1).half()
    counts = draw_counts(40, 60)
    draws_a, draws_b = (psds_of_draws(s, labels, counts)[1] for s in (a, b))
    separate = np.hypot(draws_a.std(), draws_b.std())
    assert (draws_b - draws_a).std() < 0.7 * separate
