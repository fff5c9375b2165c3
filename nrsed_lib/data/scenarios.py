"""The noise of tests and of validation: each clip happens in a household scenario, as in WildDESED.

A track is a *bed*, one steady noise of the scenario through the whole clip, with noise events at levels of their own
in front of it. What the detectors are trained in (`sed/noise.py`) is laid out otherwise, by other code.

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

from nrsed_lib.data.activity import active_regions
from nrsed_lib.data.clips import EVENT_COLUMNS, FULL_SCALE, Clips, Sources, to_int16
from nrsed_lib.data.soundscapes import EVENT_DB as OVER_ROOM_DB
from nrsed_lib.data.soundscapes import PEAK, Sound, at_level, generator, isolated, ramps, room
from nrsed_lib.paths import DATA
from nrsed_lib.profile import Data

BED_RMS = 0.05
CROSSFADE_SECONDS = 0.25  # from one turn of the bed to the next
NB_EVENTS = (1, 5)  # in front of the bed
EVENT_SECONDS = (0.25, 5.0)  # log-uniform, and no longer than what is left of the recording
EVENT_DB = (-6.0, 12.0)  # over the bed
FADE_SECONDS = 0.05
MAX_GAP = 0.5  # seconds of pause within what an event begins with


@dataclass(frozen=True)
class Scenarios:
    """scenarios: name → noise classes. steady: those that make a bed. inhabited: those whose recordings may hold
    a target. similar: target → noise that sounds like it."""

    scenarios: dict[str, list[str]]
    steady: list[str]
    inhabited: list[str]
    similar: dict[str, list[str]]

    @classmethod
    def read(cls, source: str) -> Scenarios:
        """Of the profile's data source, "synth" or "recordings"."""
        return cls(**yaml.safe_load((DATA / "scenarios" / f"{source}.yaml").read_text()))

    def compatible(self, labels: frozenset[str], available: set[str]) -> dict[str, list[str]]:
        """The scenarios for a clip of these labels, each with its available classes similar to none of them.

        Those that then have a steady class and another, if there are any. A clip of no label hears no inhabited class.

        Raises ValueError naming the labels when there is none.
        """
        unfit = {noise for label in labels for noise in self.similar.get(label, [])} if labels else {*self.inhabited}
        fit = {name: [c for c in classes if c in available - unfit] for name, classes in self.scenarios.items()}
        rich = {name: classes for name, classes in fit.items() if len(classes) > 1 and {*classes} & {*self.steady}}
        fit = rich or {name: classes for name, classes in fit.items() if classes}
        if not fit:
            raise ValueError(
                f"no scenario fits a clip of {sorted(labels)} with the noise {sorted(available)}; "
                "add noise classes to the profile or a scenario to data/scenarios"
            )
        return fit


def compose_noise(data: Data, clips: Clips, sources: Sources, seed: int, split: str) -> tuple[Tensor, pd.DataFrame]:
    """Noise tracks of the `clips` of a `split` from the noise `sources`, and what they hold.

    → int16 (nb_clips, nb_samples); a table, each clip's bed first: filename, scenario, onset s, offset s,
    event_label, recording.
    """
    scenarios, noises = Scenarios.read(data.source), sources.select("noise")
    available, recordings = set(noises.by_label), noises.recordings
    audio = np.empty((len(clips), data.nb_samples), np.int16)
    rows: list[tuple[str, str, float, float, str, str]] = []
    pairs = zip(clips.names, clips.label_sets, strict=True)
    for i, (name, labels) in enumerate(tqdm(pairs, f"{split} noise", len(clips), unit="clip", mininterval=1.0)):
        rng = generator(seed, "household", split, i)
        fit = scenarios.compatible(labels, available)
        scenario = str(rng.choice(sorted(fit)))
        beds = [c for c in fit[scenario] if c in scenarios.steady] or fit[scenario]
        track, events = noise_track(data, noises, beds, fit[scenario], rng)
        audio[i] = to_int16(track)
        rows += [(name, scenario, on, off, noises.labels[row], recordings[row]) for on, off, row in events]
    columns = ["filename", "scenario", "onset", "offset", "event_label", "recording"]
    return torch.from_numpy(audio), pd.DataFrame(rows, columns=columns)


def noise_track(
    data: Data, noises: Sources, beds: list[str], classes: list[str], rng: Generator
) -> tuple[Sound, list[tuple[float, float, int]]]:
    """A bed of a class of `beds` through the whole clip, and one to five events of the other `classes` anywhere.

    → float64 (nb_samples,) within ±0.99; [(onset s, offset s, row of `noises`), …], the bed first.
    """
    bed = str(rng.choice(beds))
    row = int(rng.choice(noises.by_label[bed].numpy()))
    turn = looped(isolated(noises, row), round(CROSSFADE_SECONDS * data.sample_rate))
    begin = int(rng.integers(len(turn)))
    track = at_level(np.resize(np.roll(turn, -begin), data.nb_samples), BED_RMS)
    events = [(0.0, data.clip_seconds, row)]
    others = [c for c in classes if c != bed] or classes
    for _ in range(int(rng.integers(NB_EVENTS[0], NB_EVENTS[1] + 1))):
        row = int(rng.choice(noises.by_label[str(rng.choice(others))].numpy()))
        sound = isolated(noises, row)
        begin = int(rng.choice([region.start for region in active_regions(sound, data.sample_rate, MAX_GAP)]))
        most = round(float(np.exp(rng.uniform(*np.log(EVENT_SECONDS)))) * data.sample_rate)
        sound = sound[begin : begin + min(most, data.nb_samples)]
        sound = sound * ramps(len(sound), min(round(FADE_SECONDS * data.sample_rate), len(sound) // 2))
        start = int(rng.integers(data.nb_samples - len(sound) + 1))
        track[start : start + len(sound)] += at_level(sound, BED_RMS * 10 ** (rng.uniform(*EVENT_DB) / 20))
        events.append((start / data.sample_rate, (start + len(sound)) / data.sample_rate, row))
    return track * min(1.0, PEAK / np.abs(track).max()), events


def looped(sound: Sound, nb_fade: int) -> Sound:
    """One turn of an endless loop: the last `nb_fade` samples, at most half of them, fade into the first at equal
    power. (nb_samples,) → (nb_samples - nb_fade,)."""
    nb_fade = min(nb_fade, len(sound) // 2)
    phase = np.pi / 2 * (np.arange(nb_fade) + 0.5) / nb_fade if nb_fade else np.zeros(0)
    turn = sound[: len(sound) - nb_fade].copy()
    turn[:nb_fade] = turn[:nb_fade] * np.sin(phase) + sound[len(turn) :] * np.cos(phase)
    return turn


def compose_empty(data: Data, sources: Sources, seed: int) -> tuple[Clips, pd.DataFrame]:
    """`data.nb_empty` clips in which no target is heard, only a household's noise, and what that holds.

    A quiet room as every clip has it, and noise as loud over it as events are. The table is `compose_noise`'s.
    """
    names = [f"empty-{i:05d}.wav" for i in range(data.nb_empty)]
    audio = torch.zeros(len(names), data.nb_samples, dtype=torch.int16)
    silent = Clips(names, audio, pd.DataFrame(columns=EVENT_COLUMNS), tuple(data.classes), data.sample_rate)
    noise, table = compose_noise(data, silent, sources, seed, "empty")
    for i, track in enumerate(noise.numpy() / FULL_SCALE):
        rng = generator(seed, "empty", i)
        background, level = room(data, rng)
        clip = background + at_level(track, level * 10 ** (rng.uniform(*OVER_ROOM_DB) / 20))
        audio[i] = torch.from_numpy(to_int16(clip * min(1.0, PEAK / np.abs(clip).max())))
    return silent, table
