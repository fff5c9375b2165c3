"""DESED-like soundscapes: isolated sounds of one split, overlapping over a quiet background.

Everything about clip i comes from one random generator seeded with (seed, split, i), in float64
and rounded to int16: the same bytes on every machine, in any order.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray
from tqdm import tqdm

from nrsed_lib.data.activity import active_power
from nrsed_lib.data.clips import EVENT_COLUMNS, FULL_SCALE, Clips, Sources, to_int16
from nrsed_lib.paths import DATA
from nrsed_lib.profile import Data

Sound = NDArray[np.floating]

NB_CLASSES_WEIGHTS = (0.4, 0.4, 0.2)  # one, two, three different classes in a clip
BACKGROUND_DBFS = (-60.0, -50.0)
EVENT_DB = (15.0, 30.0)  # above the background, over the active samples
STEADY_SECONDS = (3.0, 9.0)
FADE_SECONDS = 0.01
MERGE_SECONDS = 0.15  # DESED joins events of a class that are closer than this
PEAK = 0.99


@dataclass(frozen=True)
class Home:
    """data/soundscapes.yaml: which events occur together, and which are steady."""

    rooms: dict[str, list[str]]
    steady: list[str]

    @classmethod
    def read(cls, path: Path = DATA / "soundscapes.yaml") -> Home:
        return cls(**yaml.safe_load(path.read_text()))


def generator(seed: int, *what: str | int) -> Generator:
    """A generator that depends on nothing but its arguments."""
    return np.random.default_rng(SeedSequence([seed, zlib.crc32("/".join(map(str, what)).encode())]))


def plan(home: Home, data: Data, index: int, rng: Generator) -> list[str]:
    """The events of clip `index`, as class names (a name twice: the class is heard twice).

    Classes take turns to lead, so that all are as frequent; the others share a room with it.
    """
    lead = data.classes[index % len(data.classes)]
    rooms = [[c for c in room if c in data.classes and c != lead] for room in home.rooms.values() if lead in room]
    if not rooms:
        raise ValueError(f"class {lead!r} is in no room of data/soundscapes.yaml; add it to one")
    company = rooms[rng.integers(len(rooms))]
    nb_classes = min(1 + int(rng.choice(3, p=NB_CLASSES_WEIGHTS)), 1 + len(company), data.max_events_per_clip)
    labels = [lead, *rng.choice(company, nb_classes - 1, replace=False).tolist()] if nb_classes > 1 else [lead]
    again = [label for label in labels if label not in home.steady]
    nb_more = int(rng.integers(data.max_events_per_clip - nb_classes + 1)) if again else 0
    return labels + rng.choice(again, nb_more).tolist() if nb_more else labels


def soundscape(
    home: Home, data: Data, sources: Sources, index: int, rng: Generator
) -> tuple[Sound, list[tuple[float, float, str]], list[int]]:
    """One clip: float64 (nb_samples,) within ±0.99, its events (onset s, offset s, label), and the rows of
    `sources` that it is made from.

    An event begins anywhere that leaves at least half of it inside the clip, and ends with the clip
    at the latest.
    """
    audio, background = room(data, rng)
    events, rows = [], []
    for label in plan(home, data, index, rng):
        rows.append(int(rng.choice(sources.by_label[label].numpy())))
        sound = isolated(sources, rows[-1])
        if label in home.steady:
            sound = excerpt(sound, round(rng.uniform(*STEADY_SECONDS) * data.sample_rate), rng)
        start = int(rng.integers(data.nb_samples - min(len(sound), data.nb_samples) // 2))
        sound = faded(sound[: data.nb_samples - start], data.sample_rate)
        audio[start : start + len(sound)] += at_level(sound, background * 10 ** (rng.uniform(*EVENT_DB) / 20))
        events.append((start / data.sample_rate, (start + len(sound)) / data.sample_rate, label))
    return audio * min(1.0, PEAK / np.abs(audio).max()), merged(events), rows


def compose(data: Data, sources: Sources, split: str, nb_clips: int, seed: int) -> tuple[Clips, pd.DataFrame]:
    """`nb_clips` soundscapes of `split`, strongly labelled, from its own `sources`; and what each is cut from.

    The table has a row for each recording in a clip: filename, recording.
    """
    home, recordings = Home.read(), sources.recordings
    audio = np.empty((nb_clips, data.nb_samples), np.int16)
    names = [f"{split}-{i:05d}.wav" for i in range(nb_clips)]
    rows: list[tuple[str, float, float, str]] = []
    cut_from: list[tuple[str, str]] = []
    for i in tqdm(range(nb_clips), desc=f"{split} soundscapes", unit="clip", mininterval=1.0):
        sound, events, taken = soundscape(home, data, sources, i, generator(seed, "soundscape", split, i))
        audio[i] = to_int16(sound)
        rows += [(names[i], *event) for event in events]
        cut_from += [(names[i], recording) for recording in sorted({recordings[row] for row in taken})]
    table = pd.DataFrame(rows, columns=EVENT_COLUMNS)
    clips = Clips(names, torch.from_numpy(audio), table, tuple(data.classes), data.sample_rate)
    return clips, pd.DataFrame(cut_from, columns=["filename", "recording"])


def weakly_labelled(clips: Clips) -> Clips:
    """The same clips, each class known to be in a clip but not when: its events last from 0 to the end."""
    events = clips.events.drop_duplicates(["filename", "event_label"]).assign(onset=0.0, offset=clips.seconds)
    return Clips(clips.names, clips.audio, events.reset_index(drop=True), clips.classes, clips.sample_rate)


def unlabelled(clips: Clips) -> Clips:
    """The same clips with nothing known of their events."""
    return Clips(clips.names, clips.audio, clips.events.iloc[:0], clips.classes, clips.sample_rate)


def merged(events: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Events in order of label and time, those of a class that touch or nearly do joined."""
    joined: list[tuple[float, float, str]] = []
    for onset, offset, label in sorted(events, key=lambda e: (e[2], e[0])):
        if joined and joined[-1][2] == label and onset - joined[-1][1] < MERGE_SECONDS:
            joined[-1] = (joined[-1][0], max(offset, joined[-1][1]), label)
        else:
            joined.append((onset, offset, label))
    return joined


def isolated(sources: Sources, row: int) -> Sound:
    """The sound in `row`, float64 without its padding."""
    return sources.audio[row, : int(sources.lengths[row])].numpy() / FULL_SCALE


def excerpt(sound: Sound, nb_samples: int, rng: Generator) -> Sound:
    """A random stretch of at most `nb_samples`."""
    start = int(rng.integers(max(len(sound) - nb_samples, 0) + 1))
    return sound[start : start + nb_samples]


def faded(sound: Sound, sample_rate: int) -> Sound:
    """The sound with 10 ms cosine ramps at both ends: a cut makes no click."""
    return sound * ramps(len(sound), min(round(FADE_SECONDS * sample_rate), len(sound) // 2))


def ramps(nb_samples: int, nb_ramp: int) -> Sound:
    """A window of ones (nb_samples,) that rises and falls by a raised cosine over `nb_ramp` samples at its ends."""
    window = np.ones(nb_samples)
    window[:nb_ramp] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(nb_ramp) + 0.5) / nb_ramp)
    window[nb_samples - nb_ramp :] = window[:nb_ramp][::-1]
    return window


def at_level(sound: Sound, rms: float) -> Sound:
    """The sound scaled so that its active samples have this root mean square; silence stays silent."""
    power = float(active_power(torch.from_numpy(sound)[None])[0])
    return sound * (rms / np.sqrt(power)) if power > 0 else sound


def room(data: Data, rng: Generator) -> tuple[Sound, float]:
    """The background of a clip (nb_samples,), and its root mean square."""
    level = 10 ** (rng.uniform(*BACKGROUND_DBFS) / 20)
    return quiet_room(data.nb_samples, data.sample_rate, rng) * level, level


def quiet_room(nb_samples: int, sample_rate: int, rng: Generator) -> Sound:
    """A background of unit power: noise with a 1/f^a spectrum (a in 0.5-1.5) and the hum of the mains.

    Made in the frequency domain; the hum's six harmonics lie on the nearest bins.
    """
    frequency = np.fft.rfftfreq(nb_samples, 1 / sample_rate)
    spectrum = rng.standard_normal(2 * len(frequency)).view(np.complex128)
    spectrum *= np.maximum(frequency, 20.0) ** (-rng.uniform(0.5, 1.5) / 2)
    total = np.sqrt(np.square(np.abs(spectrum)).sum())
    bins = np.rint(rng.choice([50.0, 60.0]) * np.arange(1, 7) * nb_samples / sample_rate).astype(int)
    hum = rng.uniform(0, 0.5) * total * rng.uniform(0, 1 / np.arange(1, 7))
    spectrum[bins] += hum * np.exp(2j * np.pi * rng.uniform(size=6))
    sound = np.fft.irfft(spectrum, nb_samples)
    return sound / np.sqrt(np.mean(np.square(sound)))
