"""How far chance goes: PSDS and recall over resampled test clips, the same resamples for everyone.

A draw takes as many clips as there are, with replacement. What a clip adds to the counts behind PSDS
does not depend on the other clips, so sed_scores_eval computes it once a clip, and a draw only
weights it by how often the clip was drawn (the library's own `bootstrapped_psds` leaves folds out
instead of resampling, and starts again from the clips for each draw). Because all systems, conditions
and seeds share the draws, their differences draw by draw are a paired bootstrap.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nrsed_lib.evaluate.psds import MAX_EFPR, SCENARIOS, Labelled, score_tables

with warnings.catch_warnings():  # a dependency of the library imports pkg_resources
    warnings.simplefilter("ignore")
    from sed_scores_eval.intersection_based.intermediate_statistics import intermediate_statistics_deltas

Array = NDArray[np.float64]

DRAWS_AT_ONCE = 64  # bounds memory: (draws, operating points, classes) float64


def draw_clips(nb_clips: int, nb_draws: int, seed: int = 0) -> NDArray[np.int64]:
    """How often each clip is in each draw: (1 + nb_draws, nb_clips), each row adding up to nb_clips.

    Row 0 is the test set itself, so that estimate and draws go the same way.
    """
    draws = np.random.default_rng(seed).multinomial(nb_clips, np.full(nb_clips, 1 / nb_clips), size=nb_draws)
    return np.concatenate([np.ones((1, nb_clips), np.int64), draws])


def interval(draws: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Where the estimate would fall, with probability `level`, had other clips been drawn.

    draws: (…, 1 + nb_draws), the estimate first. Returns (low, high) of shape (…). The quantiles are
    of the draws' distance from their own mean, put around the estimate: PSDS takes off the spread
    over classes, which resampling widens, so the draws lie below the estimate as a whole.
    """
    estimate, drawn = draws[..., 0], draws[..., 1:]
    centred = drawn - drawn.mean(-1, keepdims=True)
    low, high = np.quantile(centred, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return estimate + low, estimate + high


def bootstrapped_psds(frame_scores: Tensor, clips: Labelled, counts: NDArray[np.int64]) -> Array:
    """PSDS of every draw. frame_scores: (nb_clips, nb_classes, nb_frames). counts: (nb_draws,
    nb_clips), see `draw_clips`. Returns (nb_scenarios, nb_draws), in the order of SCENARIOS."""
    tables = score_tables(frame_scores, clips)
    truth = clips.ground_truth
    results = []
    for how in SCENARIOS.values():
        criteria = {k: v for k, v in how.items() if k.endswith("_threshold")}
        deltas = intermediate_statistics_deltas(tables, truth, **criteria)
        changes = [_changes(deltas, clips, label) for label in clips.classes]
        chunks = np.array_split(counts.astype(float), -(-len(counts) // DRAWS_AT_ONCE))
        results.append(np.concatenate([_psds(changes, c, clips, how["alpha_ct"], how["alpha_st"]) for c in chunks]))
    return np.stack(results)


@dataclass(frozen=True)
class Changes:
    """How the counts of one class change as the threshold falls, highest score first."""

    clip: NDArray[np.int64]  # (nb_changes,) the clip whose score is passed
    tp: Array  # (nb_changes,) true positives gained or lost
    fp: Array  # (nb_changes,) false positives
    ct: Array  # (nb_changes, nb_classes) detections on events of other classes
    last: NDArray[np.int64]  # of the changes at one score: where an operating point is complete


def _changes(deltas: dict, clips: Labelled, label: str) -> Changes:
    """The library's statistics of one class, clip by clip, as one list sorted by score."""
    parts = [deltas[name][label] for name in clips.names]
    scores = np.concatenate([s for s, _ in parts])
    order = np.argsort(-scores, kind="stable")

    def gather(key: str) -> Array:
        return np.concatenate([d.get(key, np.zeros(len(s))) for s, d in parts]).astype(float)[order]

    return Changes(
        clip=np.repeat(np.arange(len(parts)), [len(s) for s, _ in parts])[order],
        tp=gather("tps"),
        fp=gather("fps"),
        ct=np.stack([gather(f"cts\\{other}") for other in clips.classes], axis=1),  # the library's flattened key
        last=np.flatnonzero(np.diff(scores[order], append=-np.inf) < 0),
    )


def _psds(changes: list[Changes], counts: Array, clips: Labelled, alpha_ct: float, alpha_st: float) -> Array:
    """Area under the ROC of each draw, (nb_draws,); counts (nb_draws, nb_clips)."""
    # Sums by einsum, not BLAS: these products are small, and threads that wait for each other are not.
    nb_events, event_seconds = _events(clips)  # (nb_clips, nb_classes)
    seconds = (counts * [clips.durations[name] for name in clips.names]).sum(1)  # (D,)
    per_event = 1 / np.maximum(np.einsum("dn,nc->dc", counts, nb_events), 1)
    per_event_second = 1 / np.maximum(np.einsum("dn,nc->dc", counts, event_seconds), 1e-12)
    nb_others = max(len(changes) - 1, 1)

    rates, ratios, labels = [], [], []
    for c, change in enumerate(changes):
        drawn = counts[:, change.clip]  # (D, nb_changes)
        crossed = np.einsum("dc,lc->dl", per_event_second, change.ct) / nb_others
        false = change.fp / seconds[:, None] + alpha_ct * crossed
        rate = 3600 * np.cumsum(drawn * false, axis=1)[:, change.last]  # effective false positives an hour
        ratio = np.cumsum(drawn * change.tp, axis=1)[:, change.last] * per_event[:, c, None]
        useful = (rate <= MAX_EFPR).any(axis=0)
        rates.append(rate[:, useful])
        ratios.append(ratio[:, useful])
        labels.append(np.full(useful.sum(), c))
    rate, ratio, label = np.concatenate(rates, 1), np.concatenate(ratios, 1), np.concatenate(labels)  # (D, G), (G,)

    # The ROC of a class: the best true positive ratio at or below each rate, a staircase.
    order = np.argsort(rate, axis=1)
    rate = np.minimum(np.take_along_axis(rate, order, 1), MAX_EFPR)  # what lies beyond gets no width
    stairs = np.zeros((*rate.shape, len(changes)))  # (D, G, C)
    np.put_along_axis(stairs, label[order][..., None], np.take_along_axis(ratio, order, 1)[..., None], axis=2)
    np.maximum.accumulate(stairs, axis=1, out=stairs)
    height = np.maximum(stairs.mean(-1) - alpha_st * stairs.std(-1), 0)
    return (height * np.diff(rate, axis=1, append=MAX_EFPR)).sum(1) / MAX_EFPR


def _events(clips: Labelled) -> tuple[Array, Array]:
    """Number and total seconds of the events of each clip and class, (nb_clips, nb_classes) each."""
    number, seconds = np.zeros((2, len(clips.names), len(clips.classes)))
    for i, name in enumerate(clips.names):
        for onset, offset, label in clips.ground_truth[name]:
            number[i, clips.classes.index(label)] += 1
            seconds[i, clips.classes.index(label)] += offset - onset
    return number, seconds
