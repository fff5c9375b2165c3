"""The data source "synth": draws of physical models, from other parameter ranges in each split."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.activity import active_regions
from nrsed_lib.data.clips import Sources
from nrsed_lib.data.soundscapes import generator
from nrsed_lib.data.sources import SPLITS, Named, levelled, pack
from nrsed_lib.data.synth import synthesise
from nrsed_lib.profile import Data

# Draws of a class in each split, per training draw; at least two.
DRAWS = {"train": 1.0, "validation": 0.25, "test": 0.5}


def prepare_sounds(run: Run) -> None:
    """Write the sounds of each split that are not there yet."""
    for split in SPLITS:
        if not (run.folder / f"sources-{split}.npy").exists():
            synthesised_sources(run.profile.data, split, run.seed).save(run.folder, split)


def synthesised_sources(data: Data, split: str, seed: int) -> Sources:
    """Draws of every class of the profile, from the parameter ranges of `split`."""
    wanted = [(c, "target", data.nb_draws_per_class) for c in data.classes]
    wanted += [(c, "noise", data.nb_noise_draws_per_class) for c in data.noise_classes]
    draws = [(c, role, i) for c, role, nb in wanted for i in range(max(2, round(nb * DRAWS[split])))]
    sounds: list[Named] = []
    for label, role, i in tqdm(draws, desc=f"{split} sounds", unit="sound", mininterval=1.0):
        name = f"{label}-{split}-{i:03d}"
        sound = synthesise(label, generator(seed, "draw", name), split, data.sample_rate)
        regions = active_regions(sound, data.sample_rate, max_gap=np.inf)
        sounds.append((f"{name}/0", label, role, levelled(sound[regions[0]], data.nb_samples)))
    return pack(sounds, data.sample_rate)
