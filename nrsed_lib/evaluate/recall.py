"""Macro recall of clip-wise predictions: how many of the right queries are asked (Fig. 2), and how right they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from nrsed_lib.data.mixing import noisy
from nrsed_lib.sed.detector import THRESHOLD, Detector, predict


def macro_recall(clip_scores: Tensor, labels: Tensor) -> float:
    """Mean over classes of the share of their clips that are predicted.

    clip_scores: probabilities, labels: 0 or 1, both (nb_clips, nb_classes). A class without a
    labelled clip is left out. Raises ValueError when no class has one.
    """
    if not labels.any():
        raise ValueError(f"no clip of {len(labels)} has a label: recall is of what is there")
    return float(recall_of_draws(clip_scores, labels, np.ones((1, len(labels)), np.int64))[0])


def recall_of_draws(clip_scores: Tensor, labels: Tensor, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Macro recall of every draw; counts: (nb_draws, nb_clips), see `resampling.draw_counts`."""
    if clip_scores.shape != labels.shape:
        raise ValueError(f"clip scores {tuple(clip_scores.shape)} and labels {tuple(labels.shape)} differ in shape")
    present = labels.double().numpy()  # (nb_clips, nb_classes)
    found = (clip_scores > THRESHOLD).double().numpy() * present
    nb_present, nb_found = counts @ present, counts @ found  # (nb_draws, nb_classes)
    with np.errstate(invalid="ignore"):  # 0 / 0: a class that a draw does not hold
        return np.nanmean(nb_found / nb_present, axis=1)


def queries_in_noise(
    detectors: Mapping[str, Detector],
    clips: tuple[Tensor, Tensor],
    noises: Tensor,
    conditions: Mapping[str, float | None],
) -> tuple[pd.DataFrame, dict[tuple[str, str], Tensor]]:
    """Macro recall and precision of what each detector asks for in each condition: name -> SNR in dB, None for clean.

    clips: waveforms (nb_clips, nb_samples) and weak labels (nb_clips, nb_classes). noises: (nb_clips, nb_samples).
    Returns a table (model, condition, recall, precision), and frame scores (nb_clips, nb_classes, nb_frames) by
    (condition, model). A class that is in no clip has no recall; one that nobody asks for has precision 0.
    """
    waveforms, true = clips[0], clips[1].bool()
    rows, frames = [], {}
    for condition, snr in conditions.items():
        mixtures = noisy(waveforms, noises, snr)
        for name, detector in detectors.items():
            frames[condition, name], scores = predict(detector, mixtures)
            asked = scores > THRESHOLD
            right = (true & asked).sum(0).double()
            recall, precision = right / true.sum(0), right / asked.sum(0).clamp_min(1)
            rows.append((name, condition, recall.nanmean().item(), precision.mean().item()))
    return pd.DataFrame(rows, columns=["model", "condition", "recall", "precision"]), frames
