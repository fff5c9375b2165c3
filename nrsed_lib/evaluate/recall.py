"""Macro recall of clip-wise predictions: how many of the right queries are asked (Fig. 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nrsed_lib.sed.detector import THRESHOLD


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
