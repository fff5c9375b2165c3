"""How good the queries of several detectors are, on the same clips in the same noise."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from torch import Tensor

from nrsed_lib.data.mixing import noisy
from nrsed_lib.sed.detector import THRESHOLD, Detector, predict


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
