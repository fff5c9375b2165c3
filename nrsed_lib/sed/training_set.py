"""The training clips of the detector on the device: audio, labels, and how a batch is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nrsed_lib.data.prepare import load_split
from nrsed_lib.profile import Batch
from nrsed_lib.store import Run

SPLITS = ("strong", "weak", "unlabelled")


@dataclass(frozen=True)
class TrainingSet:
    """Strong, weak and unlabelled clips, one after the other.

    audio: (nb_clips, nb_samples) int16. strong: (nb_clips, nb_classes, nb_frames), of meaning for the
    strong clips only. weak: (nb_clips, nb_classes), of meaning for the labelled ones. label_sets: of
    each labelled clip. nb: clips in each split.
    """

    audio: Tensor
    strong: Tensor
    weak: Tensor
    label_sets: list[frozenset[str]]
    nb: tuple[int, int, int]

    @classmethod
    def load(cls, run: Run, nb_frames: int, device: torch.device) -> TrainingSet:
        splits = [load_split(run, split) for split in SPLITS]
        return cls(
            torch.cat([s.audio for s in splits]).to(device),
            torch.cat([s.strong(nb_frames) for s in splits]).to(device),
            torch.cat([s.weak() for s in splits]).to(device),
            [labels for s in splits[:2] for labels in s.label_sets],
            tuple(len(s) for s in splits),  # type: ignore[arg-type]
        )

    def draw(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Clip numbers (B,): `batch.strong` strong clips, then weak, then unlabelled ones."""
        sizes, first, index = (batch.strong, batch.weak, batch.unlabelled), 0, []
        for nb, size in zip(self.nb, sizes, strict=True):
            index.append(first + torch.randint(nb, (size,), generator=generator))
            first += nb
        return torch.cat(index).to(self.weak.device)
