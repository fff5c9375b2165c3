"""Notebook 01: everything that is heard, written once and loaded by the notebooks after it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import FULL_SCALE, Clips, Index, Sources, load_audio, save_audio
from nrsed_lib.data.mixing import noisy
from nrsed_lib.data.scenarios import compose_empty, compose_noise
from nrsed_lib.data.soundscapes import compose, unlabelled, weakly_labelled
from nrsed_lib.series import plugin
from nrsed_lib.store import atomic, write_table

# Clips: split → the split of the sounds they are made from, and what is known of their events.
CLIP_SPLITS = {
    "strong": ("train", lambda clips: clips),
    "weak": ("train", weakly_labelled),
    "unlabelled": ("train", unlabelled),
    "validation": ("validation", lambda clips: clips),
    "test": ("test", lambda clips: clips),
}


NOISY_SPLITS = ("validation", "test")  # what thresholds are calibrated on, and what is tested


def prepare(run: Run) -> None:
    """Write sources, clips, noise and clips without targets into the folder of notebook 01; what is there is kept.

    The profile's `data.source` brings the isolated sounds, from which all else is composed here; or, as DESED does,
    clips and noisy conditions too.
    """
    data, seed = run.profile.data, run.seed
    plugin("data.source", data.source).prepare_sounds(run)
    if data.source == "desed":
        return
    for split, (sounds, known) in CLIP_SPLITS.items():
        if _missing(run, f"{split}.npy", f"recordings_{split}.csv"):
            targets = load_sources(run, sounds).select("target")
            clips, cut_from = compose(data, targets, split, getattr(data, f"nb_{split}"), seed)
            write_table(run.folder / f"recordings_{split}.csv", cut_from)
            known(clips).save(run.folder, split)
    for split in NOISY_SPLITS:
        if _missing(run, f"{split}_noise.npy"):
            audio, events = compose_noise(data, load_split(run, split), load_sources(run, split), seed, split)
            _write_events(run, f"{split}_noise", events)
            save_audio(run.folder / f"{split}_noise.npy", audio)
    if _missing(run, "empty.npy", "empty_noise.tsv"):
        empty, events = compose_empty(data, load_sources(run, "test"), seed)
        _write_events(run, "empty_noise", events)
        empty.save(run.folder, "empty")


def _missing(run: Run, *files: str) -> bool:
    return not all((run.folder / file).exists() for file in files)


def _write_events(run: Run, name: str, events: pd.DataFrame) -> None:
    with atomic(run.folder / f"{name}.tsv") as temporary:  # onsets in full: to the sample
        events.to_csv(temporary, sep="\t", index=False)


def load_split(run: Run, split: str) -> Clips:
    """The clips of "strong", "weak", "unlabelled", "validation" or "test", for any notebook's run."""
    return Clips.load(run.find(split).parent, split)


def load_sources(run: Run, split: str) -> Sources:
    """Isolated targets and noises of "train", "validation" or "test"; the splits share no recording."""
    return Sources.load(run.find(f"sources-{split}").parent, split)


def load_condition(run: Run, condition: str, index: Index = None, split: str = "test") -> Tensor:
    """What is heard in a condition: (B, nb_samples) float32, of the clips in `index` (all by default) of "test" or
    "validation".

    DESED's test clips come in noise (WildDESED), and its validation clips in none; the others are mixed here.
    """
    clips, snr_db = load_split(run, split), run.profile.data.conditions[condition]
    if snr_db is None:
        return clips.waveforms(index)
    if run.profile.data.source == "desed":
        return replace(clips, audio=load_audio(run.find(f"{split}_{condition}"))).waveforms(index)
    noise = load_noise(run, split)
    return noisy(clips.waveforms(index), (noise if index is None else noise[index]).float() / FULL_SCALE, snr_db)


def load_noise(run: Run, split: str = "test") -> Tensor:
    """int16 (nb_clips, nb_samples): the noise of each "test" or "validation" clip, of recordings of that split only
    (not for DESED)."""
    return load_audio(run.find(f"{split}_noise"))


def load_noise_events(run: Run, split: str = "test") -> pd.DataFrame:
    """What the noise of "test", "validation" or "empty" clips holds: filename, scenario, onset s, offset s,
    event_label, recording; of each clip the bed comes first (not for DESED)."""
    path = run.find(f"{split}_noise")
    return pd.read_csv(path.with_suffix(".tsv"), sep="\t")


def load_empty(run: Run) -> tuple[Clips, pd.DataFrame]:
    """Clips in which no target is heard, only a household's noise of test recordings; and what that holds, as
    `load_noise_events` has it (not for DESED)."""
    return load_split(run, "empty"), load_noise_events(run, "empty")


def recordings_of(run: Run, split: str = "test") -> list[list[str]]:
    """Of each clip of a split, the recordings that its targets are cut from, sorted: what a bootstrap resamples.

    A clip of DESED is a recording of its own.
    """
    names = load_split(run, split).names
    if run.profile.data.source == "desed":
        return [[name] for name in names]
    cut_from = pd.read_csv(run.find(f"recordings_{split}")).groupby("filename").recording.agg(list)
    return [cut_from[name] for name in names]
