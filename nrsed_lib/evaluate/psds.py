"""PSDS, the polyphonic sound detection score, in the two scenarios of DCASE 2024 task 4.

Scenario 1 asks for when: a detection must lie in the event for 70 %, and the event be covered for
70 %. Scenario 2 asks for which: 10 % is enough, but an event of another class that is covered for
30 % counts against the class. Both are the area under the ROC up to 100 false alarms an hour, minus
one standard deviation over classes (Bilen et al. 2020).

Who computes it: what each clip adds to the counts of detections, at every threshold, comes from sed_scores_eval
(Ebbers et al. 2022), once a clip, since it does not depend on the other clips. The ROC and the area under it are summed
in `roc`, from these counts weighted by how often a draw takes each clip; the score of the test set is the draw that
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
from nrsed_lib.evaluate.roc import CT, FP, SCENARIOS, TP, Array, Changes, Weighted, psds_of

with warnings.catch_warnings():  # a dependency of the library imports pkg_resources
    warnings.simplefilter("ignore")
    from sed_scores_eval.base_modules.scores import create_score_dataframe
    from sed_scores_eval.intersection_based.intermediate_statistics import intermediate_statistics_deltas


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


def psds_of_draws(frame_scores: Tensor, clips: Labelled, counts: NDArray) -> Array:
    """PSDS of resampled clips.

    frame_scores: (nb_clips, nb_classes, nb_frames), clips and classes in the order of `clips`. counts: (nb_draws,
    nb_clips), how often each clip is in each draw (`resampling`). Returns (nb_scenarios, nb_draws), in
    the order of SCENARIOS. Raises ValueError when the scores are not those of `clips`.
    """
    draws = Weighted.of(counts, *events_of(clips), durations_of(clips))
    found = changes_of(frame_scores, clips)
    return np.stack([psds_of(found[name], draws, s["alpha_ct"], s["alpha_st"]) for name, s in SCENARIOS.items()])


def changes_of(frame_scores: Tensor, clips: Labelled) -> dict[str, Changes]:
    """What each clip adds to the counts behind PSDS, by scenario; shapes and errors as in `psds_of_draws`."""
    tables, found = score_tables(frame_scores, clips), {}
    for name, how in SCENARIOS.items():
        criteria = {k: v for k, v in how.items() if k.endswith("_threshold")}
        deltas = intermediate_statistics_deltas(tables, clips.ground_truth, **criteria)
        found[name] = Changes.join([_changes(deltas, clips, label) for label in clips.classes])
    return found


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


def _changes(deltas: dict, clips: Labelled, label: str) -> Changes:
    """The library's statistics of one class, clip by clip, as one list sorted by score."""
    parts = [deltas[name][label] for name in clips.names]
    columns = {TP: "tps", FP: "fps"} | {CT + i: f"cts\\{c}" for i, c in enumerate(clips.classes)}  # flattened keys
    scores = np.concatenate([s for s, _ in parts])
    change = np.stack(
        [np.concatenate([d.get(key, np.zeros(len(s))) for s, d in parts]) for key in columns.values()], axis=1
    ).astype(int)  # (nb_scores, nb_kinds)
    clip = np.repeat(np.arange(len(parts)), [len(s) for s, _ in parts])
    order = np.argsort(-scores, kind="stable")
    row, column = np.nonzero(change[order])
    passed = scores[order][row]
    return Changes(
        clip=clip[order][row],
        kind=np.array([*columns])[column],
        value=change[order][row, column],
        last=np.diff(passed, append=-np.inf) < 0,
        begin=np.array([0, len(row)]),
    )


def durations_of(clips: Labelled) -> Array:
    """(nb_clips,) s, of the recordings."""
    return np.array([clips.durations[name] for name in clips.names])


def events_of(clips: Labelled) -> tuple[Array, Array]:
    """Number and total seconds of the events of each clip and class, (nb_clips, nb_classes) each."""
    number, seconds = np.zeros((2, len(clips.names), len(clips.classes)))
    for i, name in enumerate(clips.names):
        for onset, offset, label in clips.ground_truth[name]:
            number[i, clips.classes.index(label)] += 1
            seconds[i, clips.classes.index(label)] += offset - onset
    return number, seconds
