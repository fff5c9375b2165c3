"""Sounds from physical models: the ten DESED events and 35 noises, each draw another one."""

from __future__ import annotations

import numpy as np

from nrsed_lib.data.soundscapes import ramps

from .blocks import Signal
from .model import CELLS, NOISES, TARGETS, Model, Range

__all__ = ["CELLS", "NOISES", "TARGETS", "Model", "Range", "synthesise"]

PEAK = 0.9
SILENCE = 0.01  # of the peak (-40 dB): a draw starts and ends where it passes this
EDGE_SECONDS = 0.005  # raised-cosine fades at both ends, so that no draw starts or ends with a click


def synthesise(label: str, rng: np.random.Generator, split: str, sample_rate: int = 16_000) -> Signal:
    """One draw of the class `label`: float64 (nb_samples,), peak 0.9, zero mean, of its natural duration.

    `split` ("train", "validation" or "test") says from which cells of the parameter ranges to draw (see Range).
    The result depends on `rng` alone.

    Raises ValueError for an unknown label or split.
    """
    models = TARGETS.get(label) or NOISES.get(label)
    if models is None:
        raise ValueError(f"no model of {label!r}; known classes: {', '.join([*TARGETS, *NOISES])}")
    if split not in CELLS:
        raise ValueError(f"no split {split!r}; use one of {', '.join(CELLS)}")
    signal = models[rng.integers(len(models))].render(rng, split, sample_rate)
    heard = np.flatnonzero(np.abs(signal) > SILENCE * np.max(np.abs(signal)))
    signal = signal[heard[0] : heard[-1] + 1]
    window = ramps(len(signal), round(EDGE_SECONDS * sample_rate))
    signal = window * (signal - np.sum(window * signal) / np.sum(window))
    return signal * (PEAK / np.max(np.abs(signal)))
