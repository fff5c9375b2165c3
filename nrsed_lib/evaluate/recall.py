"""Macro recall of clip-wise predictions: how many of the right queries are asked (Fig. 2), and how right they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from nrsed_lib.data.mixing import noisy
from nrsed_lib.sed.detector import THRESHOLD, Detector, predict


def recall_of_draws(asked: NDArray[np.bool_], present: NDArray[np.bool_], weights: NDArray) -> NDArray[np.float64]:
    """Macro recall of every draw, (nb_draws,): mean over classes of the share of their clips that are asked for.

    A class without a clip in the draw is left out. asked, present: (nb_clips, nb_classes). weights: (nb_draws,
    nb_clips), how often a clip is in each (`resampling`).
    """
    nb_present, nb_found = (np.einsum("dn,nc->dc", weights, of.astype(float)) for of in (present, asked & present))
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
