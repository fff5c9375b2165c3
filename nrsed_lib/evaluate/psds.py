"""PSDS, the polyphonic sound detection score, in the two scenarios of DCASE 2024 task 4.

Scenario 1 asks for when: a detection must lie in the event for 70 %, and the event be covered for
70 %. Scenario 2 asks for which: 10 % is enough, but an event of another class that is covered for
30 % counts against the class. Both are the area under the ROC up to 100 false alarms an hour, minus
one standard deviation over classes (Bilen et al. 2020).

Who computes it: what each clip adds to the counts of detections, at every threshold, comes from sed_scores_eval
(Ebbers et al. 2022), once a clip, since it does not depend on the other clips. The ROC and the area under it are summed
here, from these counts weighted by how often a draw takes each clip; the score of the test set is the draw that
takes each once. (The library's own `bootstrapped_psds` leaves folds out instead of resampling, and starts again from
the clips for each draw.) The tests hold every draw to the library's PSDS of the resampled clips.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from nrsed_lib.data.clips import Clips
from nrsed_lib.evaluate.resampling import Array

with warnings.catch_warnings():  # a dependency of the library imports pkg_resources
    warnings.simplefilter("ignore")
    from sed_scores_eval.base_modules.scores import create_score_dataframe
    from sed_scores_eval.intersection_based.intermediate_statistics import intermediate_statistics_deltas

SCENARIOS: dict[str, dict] = {
    "psds1": {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "cttc_threshold": None, "alpha_ct": 0.0, "alpha_st": 1.0},
    "psds2": {"dtc_threshold": 0.1, "gtc_threshold": 0.1, "cttc_threshold": 0.3, "alpha_ct": 0.5, "alpha_st": 1.0},
}
MAX_EFPR = 100.0  # effective false positives an hour
DRAWS_AT_ONCE = 64  # bounds memory: (draws, operating points, classes) float64


@dataclass(frozen=True)
class Labels:
    """What a metric needs to know about clips: `Clips` without their audio, to travel to other processes.

    seconds: that the frames of a clip span, padding included. durations: s, of the recordings: false alarms are counted
    per hour of these. ground_truth: (onset s, offset s, label), by name.
    """

    names: list[str]
    classes: tuple[str, ...]
    seconds: float
    durations: dict[str, float]
    ground_truth: dict[str, list[tuple[float, float, str]]]

    @classmethod
    def of(cls, clips: Labelled) -> Labels:
        return cls(clips.names, clips.classes, clips.seconds, clips.durations, clips.ground_truth)


Labelled = Clips | Labels


def psds(frame_scores: Tensor, clips: Labelled) -> dict[str, float]:
    """PSDS of both scenarios, {"psds1": …, "psds2": …}; shapes and errors as in `psds_of_draws`."""
    once = np.ones((1, len(clips.names)), np.int64)
    return dict(zip(SCENARIOS, psds_of_draws(frame_scores, clips, once)[:, 0].tolist(), strict=True))


def psds_of_draws(frame_scores: Tensor, clips: Labelled, counts: NDArray[np.int64]) -> Array:
    """PSDS of resampled clips.

    frame_scores: (nb_clips, nb_classes, nb_frames), clips and classes in the order of `clips`. counts: (nb_draws,
    nb_clips), how often each clip is in each draw (`resampling.draw_counts`). Returns (nb_scenarios, nb_draws), in
    the order of SCENARIOS. Raises ValueError when the scores are not those of `clips`.
    """
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


def score_tables(frame_scores: Tensor, clips: Labelled) -> dict[str, pd.DataFrame]:
    """The library's form of frame scores: clip name -> DataFrame[onset, offset, *classes].

    Frames share the clip evenly: of nb_frames frames, frame i is [i, i + 1) * seconds / nb_frames.
    """
    nb_clips, nb_classes = len(clips.names), len(clips.classes)
    if frame_scores.shape[:2] != (nb_clips, nb_classes):
        raise ValueError(
            f"frame scores of shape {tuple(frame_scores.shape)} are not of these {nb_clips} clips and "
            f"{nb_classes} classes; expected ({nb_clips}, {nb_classes}, nb_frames)"
        )
    if not torch.isfinite(frame_scores).all():
        raise ValueError("frame scores hold values that are not finite; detect again from valid weights")
    scores = frame_scores.transpose(1, 2).double().cpu().numpy()  # (nb_clips, nb_frames, nb_classes)
    edges = np.linspace(0, clips.seconds, scores.shape[1] + 1)
    return {
        name: create_score_dataframe(s, edges, list(clips.classes)) for name, s in zip(clips.names, scores, strict=True)
    }


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
