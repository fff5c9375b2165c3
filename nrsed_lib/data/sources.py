"""Isolated sounds at one level, and those that the project synthesises itself."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from nrsed_lib.data.activity import active_regions
from nrsed_lib.data.clips import Sources, to_int16
from nrsed_lib.data.soundscape import PEAK, at_level, generator
from nrsed_lib.profile import Data

SOURCE_RMS = 0.05  # of the active samples; less where the peak would reach full scale
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
# Draws of a class in each split, per training draw; at least two.
DRAWS = {"train": 1.0, "validation": 0.25, "test": 0.5}

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


def synthesised_sources(data: Data, split: Split) -> Sources:
    """Draws of every class of the profile, from the parameter ranges of `split`.

    Raises ValueError naming the classes that no generator makes.
    """
    from nrsed_lib.data.synth import NOISES, TARGETS, synthesise

    for key, classes, known in (("classes", data.classes, TARGETS), ("noise_classes", data.noise_classes, NOISES)):
        missing = [c for c in classes if c not in known]
        if missing:
            raise ValueError(f"data.{key}: no generator makes {missing}; use some of {sorted(known)}")
    wanted = [(c, "target", data.nb_draws_per_class) for c in data.classes]
    wanted += [(c, "noise", data.nb_noise_draws_per_class) for c in data.noise_classes]
    draws = [(c, role, i) for c, role, nb in wanted for i in range(max(2, round(nb * DRAWS[split])))]
    sounds: list[Named] = []
    for label, role, i in tqdm(draws, desc=f"{split} sounds", unit="sound", mininterval=1.0):
        name = f"{label}-{split}-{i:03d}"
        sound = synthesise(label, generator(data.seed, "draw", name), split, data.sample_rate)
        regions = active_regions(sound, data.sample_rate, max_gap=np.inf)
        sounds.append((f"{name}/0", label, role, levelled(sound[regions[0]], data.nb_samples)))
    return pack(sounds, data.sample_rate)
