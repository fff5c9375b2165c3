"""PSDS, the polyphonic sound detection score, in the two scenarios of DCASE 2024 task 4.

Scenario 1 asks for when: a detection must lie in the event for 70 %, and the event be covered for
70 %. Scenario 2 asks for which: 10 % is enough, but an event of another class that is covered for
30 % counts against the class. Both are the area under the ROC up to 100 false alarms an hour, minus
one standard deviation over classes (Bilen et al. 2020; computed exactly, for every threshold, by
sed_scores_eval: Ebbers et al. 2022).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

with warnings.catch_warnings():  # a dependency of the library imports pkg_resources
    warnings.simplefilter("ignore")
    from sed_scores_eval.base_modules.scores import create_score_dataframe
    from sed_scores_eval.intersection_based import psds as library_psds

SCENARIOS: dict[str, dict] = {
    "psds1": {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "cttc_threshold": None, "alpha_ct": 0.0, "alpha_st": 1.0},
    "psds2": {"dtc_threshold": 0.1, "gtc_threshold": 0.1, "cttc_threshold": 0.3, "alpha_ct": 0.5, "alpha_st": 1.0},
}
MAX_EFPR = 100.0  # effective false positives an hour


class Labelled(Protocol):
    """What a metric needs to know about clips; `data.clips.Clips` has it, and so has `Labels`."""

    @property
    def names(self) -> list[str]: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def seconds(self) -> float: ...  # that the frames of a clip span, padding included
    @property
    def durations(self) -> dict[str, float]: ...  # s, of the recordings: false alarms are counted per hour of these
    @property
    def ground_truth(self) -> dict[str, list[tuple[float, float, str]]]: ...  # (onset s, offset s, label)


@dataclass(frozen=True)
class Labels:
    """Clips without their audio: what travels to other processes."""

    names: list[str]
    classes: tuple[str, ...]
    seconds: float
    durations: dict[str, float]
    ground_truth: dict[str, list[tuple[float, float, str]]]

    @classmethod
    def of(cls, clips: Labelled) -> Labels:
        return cls(clips.names, clips.classes, clips.seconds, clips.durations, clips.ground_truth)


def psds(frame_scores: Tensor, clips: Labelled) -> dict[str, float]:
    """PSDS of both scenarios.

    frame_scores: (nb_clips, nb_classes, nb_frames), clips and classes in the order of `clips`.
    Returns {"psds1": …, "psds2": …}. Raises ValueError when the scores are not those of `clips`.
    """
    tables = score_tables(frame_scores, clips)
    return {
        name: float(library_psds(tables, clips.ground_truth, clips.durations, **how, max_efpr=MAX_EFPR)[0])
        for name, how in SCENARIOS.items()
    }


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
