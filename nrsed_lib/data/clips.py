"""What the networks learn from and are tested on: labelled clips, and isolated sounds to mix."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nrsed_lib.store import atomic, write_json, write_table

FULL_SCALE = 32768  # int16 → [-1, 1)
EVENT_COLUMNS = ["filename", "onset", "offset", "event_label"]

Index = Tensor | Sequence[int] | slice | None


class Sounds:
    """Rows of audio and their names: what clips and sources have in common. audio: (nb_rows, nb_samples) int16."""

    names: list[str]
    audio: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def waveforms(self, index: Index = None, device: torch.device | str | None = None) -> Tensor:
        """(B, nb_samples) float32 in [-1, 1), of the rows in `index` (all by default)."""
        rows = self.audio if index is None else self.audio[index]
        return rows.to(device or self.audio.device).float() / FULL_SCALE

    def to(self, device: torch.device | str) -> Self:
        """The same with the audio on `device`."""
        return replace(self, audio=self.audio.to(device))  # type: ignore[type-var]  # what is made of it is a dataclass


@dataclass(frozen=True)
class Clips(Sounds):
    """Soundscapes of one length, and what is known of the events in them.

    names: nb_clips file names. audio: (nb_clips, nb_samples) int16. events: one row an event, with
    `filename`, `onset` and `offset` in seconds, `event_label`; a clip without events has no row. A
    weakly labelled clip has its events from 0 to its end. lengths: (nb_clips,) samples before the zeros at
    the end of a recording that is shorter than its row; None: every clip fills its row.
    """

    names: list[str]
    audio: Tensor
    events: pd.DataFrame
    classes: tuple[str, ...]
    sample_rate: int
    lengths: Tensor | None = None

    def __post_init__(self) -> None:
        if len(self.names) != len(self.audio):
            raise ValueError(f"{len(self.names)} names for {len(self.audio)} clips")
        for column, known in (("event_label", self.classes), ("filename", self.names)):
            strange = sorted(set(self.events[column]) - set(known))
            if strange:
                raise ValueError(f"events name {column} {strange[:5]}, which is not among {list(known)[:12]}")

    @property
    def nb_samples(self) -> int:
        return self.audio.shape[1]

    @property
    def seconds(self) -> float:
        return self.nb_samples / self.sample_rate

    @property
    def durations(self) -> dict[str, float]:
        """Name → seconds of the recording."""
        if self.lengths is None:
            return dict.fromkeys(self.names, self.seconds)
        return {name: length / self.sample_rate for name, length in zip(self.names, self.lengths.tolist(), strict=True)}

    @cached_property
    def ground_truth(self) -> dict[str, list[tuple[float, float, str]]]:
        """Name → [(onset s, offset s, label), …], an empty list for a clip without events."""
        truth: dict[str, list[tuple[float, float, str]]] = {name: [] for name in self.names}
        for name, onset, offset, label in self.events[EVENT_COLUMNS].itertuples(index=False):
            truth[name].append((float(onset), float(offset), str(label)))
        return truth

    @cached_property
    def label_sets(self) -> list[frozenset[str]]:
        """The classes of each clip, nb_clips sets."""
        return [frozenset(label for *_, label in events) for events in self.ground_truth.values()]

    @cached_property
    def _rows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of each event: clip number, class number, (onset, offset) in seconds."""
        clip = {name: i for i, name in enumerate(self.names)}
        label = {name: i for i, name in enumerate(self.classes)}
        return (
            torch.tensor([clip[n] for n in self.events.filename], dtype=torch.long),
            torch.tensor([label[n] for n in self.events.event_label], dtype=torch.long),
            torch.tensor(self.events[["onset", "offset"]].to_numpy(np.float64).reshape(-1, 2)),
        )

    def weak(self) -> Tensor:
        """(nb_clips, nb_classes) float32: 1 where a class occurs in a clip."""
        labels = torch.zeros(len(self), len(self.classes))
        clip, label, _ = self._rows
        labels[clip, label] = 1
        return labels

    def strong(self, nb_frames: int, share: float = 0.5) -> Tensor:
        """(nb_clips, nb_classes, nb_frames) float32: 1 where events cover at least `share` of a frame; 0: any of it."""
        frame = self.seconds / nb_frames
        start = torch.arange(nb_frames, dtype=torch.float64) * frame  # (nb_frames,)
        clip, label, times = self._rows
        onset, offset = times[:, :1], times[:, 1:]  # (nb_events, 1)
        covered = (offset.minimum(start + frame) - onset.maximum(start)).clamp(min=0)  # (nb_events, nb_frames)
        total = torch.zeros(len(self), len(self.classes), nb_frames, dtype=torch.float64)
        total.index_put_((clip, label), covered, accumulate=True)
        return (total >= max(share * frame - 1e-9, 1e-9)).float()  # 1 ns: half a frame is half despite rounding

    def save(self, folder: Path, split: str) -> None:
        """`<split>.json`, `<split>.tsv`, and last `<split>.npy`: when that is there, all are."""
        self.save_index(folder, split)
        save_audio(folder / f"{split}.npy", self.audio)

    def save_index(self, folder: Path, split: str) -> None:
        """All but the audio."""
        about = {"classes": self.classes, "sample_rate": self.sample_rate, "names": self.names}
        if self.lengths is not None:
            about |= {"lengths": self.lengths.tolist()}
        write_json(folder / f"{split}.json", about)
        with atomic(folder / f"{split}.tsv") as temporary:  # onsets in full: to the sample
            self.events.to_csv(temporary, sep="\t", index=False)

    @classmethod
    def load(cls, folder: Path, split: str) -> Clips:
        """What `save` wrote; the audio stays on disk until it is used."""
        about = json.loads((folder / f"{split}.json").read_text())
        events = pd.read_csv(folder / f"{split}.tsv", sep="\t")
        lengths = torch.tensor(about["lengths"]) if "lengths" in about else None
        audio = load_audio(folder / f"{split}.npy")
        return cls(about["names"], audio, events, tuple(about["classes"]), about["sample_rate"], lengths)


@dataclass(frozen=True)
class Sources(Sounds):
    """Isolated sounds of targets and noises: what soundscapes, noise on the fly and separation are mixed from.

    names: `<source recording>/…/<part>`, nb_sources of them. labels: their classes. roles: "target",
    "noise", or, of a noise that is a kind of a target, "noise/<target>". audio: (nb_sources, nb_samples)
    int16, zeros after `lengths` (nb_sources,) samples; all at about the same active level (`activity.py`).
    """

    names: list[str]
    labels: list[str]
    roles: list[str]
    audio: Tensor
    lengths: Tensor
    sample_rate: int

    @property
    def recordings(self) -> list[str]:
        """The source recording (or draw) that each sound comes from."""
        return [name.partition("/")[0] for name in self.names]

    @property
    def kinds(self) -> list[str]:
        """Of each sound: its class, or the target that its class is a kind of. Sounds of one kind are never mixed."""
        return [role.partition("/")[2] or label for label, role in zip(self.labels, self.roles, strict=True)]

    @cached_property
    def by_label(self) -> dict[str, Tensor]:
        """Class → int64 row numbers of its sounds."""
        labels = np.array(self.labels)
        return {str(label): torch.from_numpy(np.flatnonzero(labels == label)) for label in np.unique(labels)}

    def select(self, role: str) -> Sources:
        """The targets alone, or the noises alone."""
        keep = [i for i, r in enumerate(self.roles) if r.partition("/")[0] == role]
        names, labels, roles = ([column[i] for i in keep] for column in (self.names, self.labels, self.roles))
        return Sources(names, labels, roles, self.audio[keep], self.lengths[keep], self.sample_rate)

    def save(self, folder: Path, split: str) -> None:
        """`sources-<split>.csv`, then `sources-<split>.npy`."""
        self.save_index(folder, split)
        save_audio(folder / f"sources-{split}.npy", self.audio)

    def save_index(self, folder: Path, split: str) -> None:
        """All but the audio."""
        columns = {"name": self.names, "label": self.labels, "role": self.roles, "length": self.lengths.numpy()}
        write_table(folder / f"sources-{split}.csv", pd.DataFrame(columns | {"sample_rate": self.sample_rate}))

    @classmethod
    def load(cls, folder: Path, split: str) -> Sources:
        """What `save` wrote; the audio stays on disk until it is used."""
        table = pd.read_csv(folder / f"sources-{split}.csv")
        return cls(
            table["name"].tolist(),
            table["label"].tolist(),
            table["role"].tolist(),
            load_audio(folder / f"sources-{split}.npy"),
            torch.tensor(table.length.to_numpy()),
            int(table.sample_rate.iloc[0]),
        )


def list_digest(names: Sequence[str]) -> str:
    """SHA-256 (12 digits) of the sorted names of clips, to stand beside every score: copies of data sets miss clips."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:12]


def to_int16(audio: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1] to int16, rounded: what differs by less than 1e-6 gets the same bytes."""
    return np.clip(np.rint(audio * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def save_audio(path: Path, audio: Tensor) -> None:
    """int16 (nb_clips, nb_samples) as .npy, written whole or not at all."""
    with atomic(path) as temporary:
        np.save(temporary, audio.cpu().numpy())


def load_audio(path: Path) -> Tensor:
    """int16 (nb_clips, nb_samples), memory-mapped (copy on write)."""
    return torch.from_numpy(np.load(path, mmap_mode="c"))
