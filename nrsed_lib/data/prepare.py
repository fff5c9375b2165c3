"""Notebook 01: everything that is heard, written once and loaded by the notebooks after it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import FULL_SCALE, Clips, Index, Sources, load_audio, save_audio
from nrsed_lib.data.mixing import noisy
from nrsed_lib.data.scenarios import compose_noise
from nrsed_lib.data.soundscapes import compose, unlabelled, weakly_labelled
from nrsed_lib.series import plugin
from nrsed_lib.store import atomic

# Clips: split → the split of the sounds they are made from, and what is known of their events.
CLIP_SPLITS = {
    "strong": ("train", lambda clips: clips),
    "weak": ("train", weakly_labelled),
    "unlabelled": ("train", unlabelled),
    "validation": ("validation", lambda clips: clips),
    "test": ("test", lambda clips: clips),
}


def prepare(run: Run) -> None:
    """Write sources, clips and test noise into the folder of notebook 01; what is there is kept.

    The profile's `data.source` brings the isolated sounds, from which soundscapes and their noise are composed here;
    or, as DESED does, clips and noisy conditions too, which are then there already.
    """
    data = run.profile.data
    source = plugin("data.source", data.source)
    source.prepare_sounds(run)
    for split, (sounds, known) in CLIP_SPLITS.items():
        if not (run.folder / f"{split}.npy").exists():
            targets = load_sources(run, sounds).select("target")
            known(compose(data, targets, split, getattr(data, f"nb_{split}"), run.seed)).save(run.folder, split)
    if not any(run.folder.glob("test_*.npy")):
        audio, table = compose_noise(data, load_split(run, "test"), load_sources(run, "test"), run.seed)
        with atomic(run.folder / "test_noise.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False)
        save_audio(run.folder / "test_noise.npy", audio)


def load_split(run: Run, split: str) -> Clips:
    """The clips of "strong", "weak", "unlabelled", "validation" or "test", for any notebook's run."""
    return Clips.load(run.find(split).parent, split)


def load_sources(run: Run, split: str) -> Sources:
    """Isolated targets and noises of "train", "validation" or "test"; the splits share no recording."""
    return Sources.load(run.find(f"sources-{split}").parent, split)


def load_condition(run: Run, condition: str, index: Index = None) -> Tensor:
    """What is heard in a test condition: (B, nb_samples) float32, of the test clips in `index` (all by default).

    DESED's clips come in noise (WildDESED), the others are mixed with the test noise here.
    """
    clips, snr_db = load_split(run, "test"), run.profile.data.conditions[condition]
    if snr_db is None:
        return clips.waveforms(index)
    if run.profile.data.source == "desed":
        return replace(clips, audio=load_audio(run.find(f"test_{condition}"))).waveforms(index)
    noise = load_test_noise(run)
    return noisy(clips.waveforms(index), (noise if index is None else noise[index]).float() / FULL_SCALE, snr_db)


def load_test_noise(run: Run) -> Tensor:
    """int16 (nb_test, nb_samples): the noise of each test clip, of test recordings only (not for DESED)."""
    return load_audio(run.find("test_noise"))


def load_noise_events(run: Run) -> pd.DataFrame:
    """What the test noise holds: filename, scenario, onset s, offset s, event_label."""
    return pd.read_csv(run.find("test_noise").with_suffix(".tsv"), sep="\t")
