"""Isolated sounds from AudioSet-Strong: the noise vocabulary Uγ of the paper, and targets.

The label files are the published ones (segment_id, start_time_seconds, end_time_seconds, label); they name no
audio files, so four ways to call the clip of a segment are known (`NAMINGS`). A sound is the stretch of one
labelled event. It is kept when no event that could be a target of another class overlaps it, for what
is heard in it besides its label would be a target without a label.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from nrsed_lib.data.desed.layout import find_files, listing, read_tsv, require, timed
from nrsed_lib.data.desed.shards import Item
from nrsed_lib.data.ontology import Ontology, load_ontology
from nrsed_lib.data.soundscapes import generator
from nrsed_lib.data.sources import SPLITS
from nrsed_lib.errors import DataError
from nrsed_lib.paths import data_root
from nrsed_lib.profile import Data

FOLDER = "audioset_strong"
LABELS, NAMES = f"{FOLDER}/audioset_train_strong.tsv", f"{FOLDER}/mid_to_display_name.tsv"
AUDIO = f"{FOLDER}/audio"
WHERE = (
    "labels: audioset_train_strong.tsv and mid_to_display_name.tsv of "
    "https://research.google.com/audioset/download_strong.html; audio: YouTube's, to be downloaded segment by segment"
)
# What the clip of a segment may be called, from its video and its first second.
NAMINGS = ("Y{video}_{start:.3f}_{stop:.3f}.wav", "{video}_{milliseconds}.wav", "Y{video}.wav", "{video}.wav")
SEGMENT_SECONDS = 10.0
MIN_SECONDS = 0.25  # of a sound
# Of ten videos, which are for validation and test; the others for training.
HELD_OUT = {0: "test", 1: "validation"}
COLUMNS = ["segment_id", "start_time_seconds", "end_time_seconds", "label"]


def strong_labels(path: Path, names: Mapping[str, str]) -> pd.DataFrame:
    """A published label file: segment_id, onset and offset in seconds, label (a name).

    names: id → name of a label. Raises DataError naming file, line and value for a missing column, a segment
    that is not <video>_<milliseconds>, a label without a name, or times that are no interval.
    """
    table = timed(path, read_tsv(path, COLUMNS), "start_time_seconds", "end_time_seconds", "segment_id")
    events = pd.DataFrame(
        {
            "segment_id": table["segment_id"],
            "onset": table["start_time_seconds"],
            "offset": table["end_time_seconds"],
            "label": table["label"].map(names),
        }
    )
    for column, right, else_ in (
        ("segment_id", events["segment_id"].str.fullmatch(r"[\w-]{11}_[0-9]{1,9}"), "is not <video>_<milliseconds>"),
        ("label", events["label"].notna(), f"has no name in {NAMES} or the AudioSet ontology"),
    ):
        require(path, table, right, column, else_)
    return events.drop_duplicates(ignore_index=True)


def label_names(ontology: Ontology, path: Path) -> dict[str, str]:
    """Id → name, of the ontology and of the file that comes with the strong labels, if it is there."""
    names = dict(ontology.names)
    if path.is_file():
        table = read_tsv(path, ["id", "name"], header=False)
        names |= dict(zip(table["id"], table["name"], strict=True))
    return names


def target_of(classes: Collection[str], labels: Collection[str], ontology: Ontology) -> dict[str, str]:
    """Label → the target class it could be, of those that could be one: the nodes a class stands for
    (data/vocabulary/classes.csv) and all kinds of them."""
    nodes = {name: ontology.ids_of(name) for name in classes}
    found = {}
    for label in labels:
        above = {n for node in ontology.ids_of(label) for n in ontology.above(node)}
        if target := next((name for name in classes if nodes[name] & above), None):
            found[label] = target
    return found


def segment_files(segments: Collection[str], folder: Path) -> dict[str, Path]:
    """Segment → its audio file, of those that are in `folder`, by the first naming that fits."""
    candidates = {}
    for segment in segments:
        video, _, milliseconds = segment.rpartition("_")
        start = int(milliseconds) / 1000
        about = {"video": video, "milliseconds": milliseconds, "start": start, "stop": start + SEGMENT_SECONDS}
        candidates[segment] = [naming.format(**about) for naming in NAMINGS]
    files = find_files([name for names in candidates.values() for name in names], folder if folder.is_dir() else None)
    found = {segment: next((files[n] for n in names if n in files), None) for segment, names in candidates.items()}
    return {segment: path for segment, path in found.items() if path}


def pure(events: pd.DataFrame) -> pd.Series:
    """Which events no possible target of another class overlaps. events: clip, onset, offset, target ("": none).

    → bool, indexed as `events`.
    """
    indexed = events[["clip", "onset", "offset", "target"]].assign(event=np.arange(len(events)))
    targets = indexed[indexed["target"] != ""]
    pairs = indexed.merge(targets, on="clip", suffixes=("", "_by"))
    overlap = (pairs["onset"] < pairs["offset_by"]) & (pairs["onset_by"] < pairs["offset"])
    spoiled = pairs.loc[overlap & (pairs["target"] != pairs["target_by"]), "event"]
    return pd.Series(~indexed["event"].isin(spoiled).to_numpy(), index=events.index)


def isolated_sounds(data: Data) -> tuple[dict[str, list[tuple[Item, str, str]]], pd.DataFrame]:
    """What the Sources of each split are cut from: (item, label, role); and what there was of each label.

    The role of a noise that could be a target says which: "noise/Speech" is that of a man speaking.
    Noise: at most `nb_noise_draws_per_class` sounds a class in training, the same for all seeds; targets:
    `nb_draws_per_class` events of the ten-class part of AudioSet-Strong. Of the videos a tenth is held
    out for validation and for test; videos of DESED's test clips are left out. The table: label, role, split,
    events (listed), there (with audio), pure (see `pure`), sounds (drawn). Raises DataError when a split has none.
    """
    root = data_root()
    if not (root / LABELS).is_file():
        raise DataError(f"no label file {root / LABELS}; put it and the audio ({root / AUDIO}/) there. {WHERE}")
    ontology = load_ontology()
    noise = strong_labels(root / LABELS, label_names(ontology, root / NAMES))
    files = segment_files(noise["segment_id"].unique(), root / AUDIO)
    targets = target_of(data.classes, noise["label"].unique(), ontology)
    noise = pd.DataFrame(
        {
            "clip": noise["segment_id"],
            "onset": noise["onset"],
            "offset": noise["offset"],
            "label": noise["label"],
            "target": noise["label"].map(targets).fillna(""),
            "path": noise["segment_id"].map(files),
            "video": noise["segment_id"].str[:11],
        }
    )
    real = listing("strong_real", data.classes)
    target = real.events.rename(columns={"filename": "clip", "event_label": "label"})
    target = target.assign(target=target["label"], path=target["clip"].map(real.files), video=target["clip"].str[1:12])
    tested = {name[1:12] for name in listing("real_validation", data.classes).names}
    sounds: dict[str, list[tuple[Item, str, str]]] = {}
    rows = []
    for role, events, nb_draws, known in (
        ("noise", noise, data.nb_noise_draws_per_class, data.noise_classes),
        ("target", target, data.nb_draws_per_class, data.classes),
    ):
        events = events[events["label"].isin(known) & ~events["video"].isin(tested)].assign(
            pure=pure(events), split=events["video"].map(held_out)
        )
        events["usable"] = events["pure"] & events["path"].notna() & (events["offset"] - events["onset"] >= MIN_SECONDS)
        for key, group in events.groupby(["label", "split"], sort=True):
            label, split = cast(tuple[str, str], key)
            usable = group[group["usable"]]
            kind = f"noise/{targets[label]}" if role == "noise" and label in targets else role
            rng = generator(0, "excerpt", role, label, split)
            nb = min(len(usable), nb_draws if split == "train" else max(2, nb_draws // 4))
            chosen = usable.iloc[np.sort(rng.choice(len(usable), nb, replace=False))] if nb else usable
            for video, path, onset, offset in zip(
                *(chosen[c] for c in ("video", "path", "onset", "offset")), strict=True
            ):
                item = Item(f"{video}/{onset:.3f}/{label}", path, float(onset), float(offset - onset))
                sounds.setdefault(split, []).append((item, label, kind))
            there = int(group["path"].notna().sum())
            rows.append((label, role, split, len(group), there, int(group["pure"].sum()), nb))
    table = pd.DataFrame(rows, columns=["label", "role", "split", "events", "there", "pure", "sounds"])
    if lacking := [split for split in SPLITS if split not in sounds]:
        raise DataError(
            f"no sound of AudioSet-Strong for {', '.join(lacking)} is in {root / AUDIO} (called e.g. {NAMINGS[0]!r}). "
            + WHERE
        )
    return sounds, table


def held_out(video: str) -> str:
    """The split of a video: always the same."""
    return HELD_OUT.get(zlib.crc32(video.encode()) % 10, "train")
