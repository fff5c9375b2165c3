"""The noise of the WildDESED-like tests: each test clip happens in a household scenario.

`data/scenarios/<source>.yaml` lists scenarios with their noise classes, and the noise that could be
taken for a target. A scenario never lays such noise over a clip that holds that target.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import yaml
from numpy.random import Generator
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.data.clips import Clips, Sources, to_int16
from nrsed_lib.data.soundscapes import PEAK, Sound, at_level, faded, generator, isolated
from nrsed_lib.paths import DATA
from nrsed_lib.profile import Data

NB_EVENTS = (2, 4)
NOISE_RMS = 0.05
LEVEL_DB = (-3.0, 3.0)  # of a noise event, about NOISE_RMS
OVERLAP = 0.3  # of its slot that a noise event may begin early or end late
PAUSE_SECONDS = (0.1, 0.5)  # before a short sound is heard again


@dataclass(frozen=True)
class Scenarios:
    """scenarios: name → noise classes. similar: target → noise that sounds like it."""

    scenarios: dict[str, list[str]]
    similar: dict[str, list[str]]

    @classmethod
    def read(cls, source: str) -> Scenarios:
        """Of the profile's data source, "synth" or "recordings"."""
        return cls(**yaml.safe_load((DATA / "scenarios" / f"{source}.yaml").read_text()))

    def compatible(self, labels: frozenset[str], available: set[str]) -> dict[str, list[str]]:
        """The scenarios for a clip of these labels, each with its available classes similar to none of them.

        Raises ValueError naming the labels when there is none.
        """
        similar = {noise for label in labels for noise in self.similar.get(label, [])}
        fit = {name: [c for c in classes if c in available - similar] for name, classes in self.scenarios.items()}
        rich = {name: classes for name, classes in fit.items() if len(classes) >= NB_EVENTS[0]}
        fit = rich or {name: classes for name, classes in fit.items() if classes}
        if not fit:
            raise ValueError(
                f"no scenario fits a clip of {sorted(labels)} with test noise {sorted(available)}; "
                "add noise classes to the profile or a scenario to data/scenarios"
            )
        return fit


def compose_noise(data: Data, clips: Clips, sources: Sources, seed: int) -> tuple[Tensor, pd.DataFrame]:
    """Noise tracks of the test `clips` from the noise `sources`, and what they hold.

    → int16 (nb_clips, nb_samples); a table: filename, scenario, onset s, offset s, event_label.
    """
    scenarios, noises = Scenarios.read(data.source), sources.select("noise")
    available = set(noises.by_label)
    audio = np.empty((len(clips), data.nb_samples), np.int16)
    rows: list[tuple[str, str, float, float, str]] = []
    pairs = zip(clips.names, clips.label_sets, strict=True)
    for i, (name, labels) in enumerate(tqdm(pairs, total=len(clips), desc="test noise", unit="clip", mininterval=1.0)):
        rng = generator(seed, "noise", i)
        fit = scenarios.compatible(labels, available)
        scenario = str(rng.choice(sorted(fit)))
        track, events = noise_track(data, noises, fit[scenario], rng)
        audio[i] = to_int16(track)
        rows += [(name, scenario, *event) for event in events]
    columns = ["filename", "scenario", "onset", "offset", "event_label"]
    return torch.from_numpy(audio), pd.DataFrame(rows, columns=columns)


def noise_track(
    data: Data, noises: Sources, classes: list[str], rng: Generator
) -> tuple[Sound, list[tuple[float, float, str]]]:
    """Two to four noise events side by side, overlapping, that fill the clip but for their own pauses.

    → float64 (nb_samples,) within ±0.99; [(onset s, offset s, class), …].
    """
    nb = int(rng.integers(NB_EVENTS[0], NB_EVENTS[1] + 1))
    order = rng.permutation(classes).tolist()
    track, slot, events = np.zeros(data.nb_samples), data.nb_samples / nb, []
    for k in range(nb):
        label = order[k % len(order)]
        start = max(0, round((k - rng.uniform(0, OVERLAP)) * slot))
        stop = min(data.nb_samples, round((k + 1 + rng.uniform(0, OVERLAP)) * slot))
        sound = isolated(noises, int(rng.choice(noises.by_label[label].numpy())))
        pause = round(rng.uniform(*PAUSE_SECONDS) * data.sample_rate)
        sound = faded(repeated(sound, stop - start, pause), data.sample_rate)
        track[start:stop] += at_level(sound, NOISE_RMS * 10 ** (rng.uniform(*LEVEL_DB) / 20))
        events.append((start / data.sample_rate, stop / data.sample_rate, label))
    return track * min(1.0, PEAK / np.abs(track).max()), events


def repeated(sound: Sound, nb_samples: int, pause: int) -> Sound:
    """The sound again and again with `pause` samples between, cut to `nb_samples`."""
    if len(sound) >= nb_samples:
        return sound[:nb_samples]
    return np.resize(np.concatenate([sound, np.zeros(pause)]), nb_samples)
