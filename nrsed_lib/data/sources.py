"""Isolated sounds at one level, wherever they come from."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from nrsed_lib.data.clips import Sources, to_int16
from nrsed_lib.data.soundscapes import PEAK, at_level

SOURCE_RMS = 0.05  # of the active samples; less where the peak would reach full scale
SPLITS = ("train", "validation", "test")  # of isolated sounds

Named = tuple[str, str, str, NDArray[np.int16]]  # name, label, role, sound


def levelled(sound: NDArray[np.floating], nb_samples: int) -> NDArray[np.int16]:
    """A sound cut to `nb_samples`, at the common level, as int16 within ±0.99."""
    loud = at_level(sound[:nb_samples], SOURCE_RMS)
    return to_int16(loud * min(1.0, PEAK / np.abs(loud).max()))


def pack(sounds: list[Named], sample_rate: int) -> Sources:
    """Sounds (name, label, role, int16 (nb_samples,)) as Sources, padded with zeros to the longest."""
    lengths = [len(sound) for *_, sound in sounds]
    audio = np.zeros((len(sounds), max(lengths, default=1)), np.int16)
    for row, (*_, sound) in zip(audio, sounds, strict=True):
        row[: len(sound)] = sound
    names, labels, roles = ([str(s[i]) for s in sounds] for i in range(3))
    return Sources(names, labels, roles, torch.from_numpy(audio), torch.tensor(lengths), sample_rate)
