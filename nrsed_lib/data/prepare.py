"""Stage 01: everything that is heard, written once and loaded by the stages after it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pandas as pd
from torch import Tensor

from nrsed_lib.data.clips import FULL_SCALE, Clips, Index, Sources, load_audio, save_audio
from nrsed_lib.data.mixing import noisy
from nrsed_lib.data.prepare_desed import condition_file, prepare_desed
from nrsed_lib.data.recordings import recorded_sources
from nrsed_lib.data.scenarios import compose_noise
from nrsed_lib.data.soundscape import compose, unlabelled, weakly_labelled
from nrsed_lib.data.sources import SPLITS, synthesised_sources
from nrsed_lib.store import Run, write_table

# Clips: split → the split of the sounds they are made from, and what is known of their events.
CLIP_SPLITS = {
    "strong": ("train", lambda clips: clips),
    "weak": ("train", weakly_labelled),
    "unlabelled": ("train", unlabelled),
    "validation": ("validation", lambda clips: clips),
    "test": ("test", lambda clips: clips),
}


def prepare(run: Run) -> None:
    """Write sources, clips and test noise into the folder of stage 01; what is there is kept.

    `recordings` also leaves results/<profile>/recordings.csv: which recording went where, with its
    source and licence; `desed` reads what is on disk and leaves data.csv (`prepare_desed`).
    """
    data = run.profile.data
    if data.source == "desed":
        return prepare_desed(run)
    _prepare_sources(run)
    for split, (sounds, known) in CLIP_SPLITS.items():
        if not (run.folder / f"{split}.npy").exists():
            targets = load_sources(run, sounds).select("target")
            known(compose(data, targets, split, getattr(data, f"nb_{split}"))).save(run.folder, split)
    if not (run.folder / "test_noise.npy").exists():
        audio, table = compose_noise(data, load_split(run, "test"), load_sources(run, "test"))
        table.to_csv(run.folder / "test_noise.tsv", sep="\t", index=False)
        save_audio(run.folder / "test_noise.npy", audio)


def _prepare_sources(run: Run) -> None:
    missing = [split for split in SPLITS if not (run.folder / f"sources-{split}.npy").exists()]
    if run.profile.data.source == "synth":
        for split in missing:
            synthesised_sources(run.profile.data, split).save(run.folder, split)
    elif missing:
        sources, table = recorded_sources(run.profile.data)
        write_table(run.folder / "recordings.csv", table)
        for split in missing:
            sources[split].save(run.folder, split)
    if run.profile.data.source == "recordings":
        run.tables.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.folder / "recordings.csv", run.tables / "recordings.csv")


def load_split(run: Run, split: str) -> Clips:
    """The clips of "strong", "weak", "unlabelled", "validation" or "test", for any stage's run."""
    return Clips.load(run.find("01", f"{split}.npy").parent, split)


def load_sources(run: Run, split: str) -> Sources:
    """Isolated targets and noises of "train", "validation" or "test"; the splits share no recording."""
    return Sources.load(run.find("01", f"sources-{split}.npy").parent, split)


def load_condition(run: Run, condition: str, index: Index = None) -> Tensor:
    """What is heard in a test condition: (B, nb_samples) float32, of the test clips in `index` (all by default).

    DESED's clips come in noise (WildDESED), the others are mixed with the test noise here.
    """
    clips, snr_db = load_split(run, "test"), run.profile.data.conditions[condition]
    if run.profile.data.source == "desed" and snr_db is not None:
        return replace(clips, audio=load_audio(condition_file(run, condition))).waveforms(index)
    if snr_db is None:
        return clips.waveforms(index)
    noise = load_test_noise(run)
    return noisy(clips.waveforms(index), (noise if index is None else noise[index]).float() / FULL_SCALE, snr_db)


def load_test_noise(run: Run) -> Tensor:
    """int16 (nb_test, nb_samples): the noise of each test clip, of test recordings only (not for DESED)."""
    return load_audio(run.find("01", "test_noise.npy"))


def load_noise_events(run: Run) -> pd.DataFrame:
    """What the test noise holds: filename, scenario, onset s, offset s, event_label."""
    return pd.read_csv(run.find("01", "test_noise.tsv"), sep="\t")
