"""The training clips of the detector: audio, labels, and how a batch is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_split
from nrsed_lib.profile import Batch

ROOM = 0.4  # of a GPU's free memory, at most, may be taken by clips


@dataclass(frozen=True)
class Audio:
    """Clips of several tensors, one after the other, int16 (nb_clips, nb_samples), wherever they lie.

    On a CPU, and where a GPU has no room for them, they lie in files that are mapped into memory: a batch is gathered
    from there. Indexing returns rows on `device`.
    """

    parts: tuple[Tensor, ...]
    device: torch.device

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """index: clip numbers (B,), or a slice of them → (B, nb_samples) int16."""
        if isinstance(index, slice):
            index = torch.arange(*index.indices(len(self)))
        ends = torch.tensor(list(accumulate(map(len, self.parts))))
        index = index.to(self.parts[0].device)
        part = torch.bucketize(index, ends.to(index.device), right=True)  # (B,)
        rows = self.parts[0].new_empty(len(index), self.parts[0].shape[1])
        for number, (end, audio) in enumerate(zip(ends.tolist(), self.parts, strict=True)):
            here = part == number
            rows[here] = audio[index[here] - (end - len(audio))]
        return rows.to(self.device)

    def placed(self) -> Audio:
        """The same clips in the device's own memory, if that is a GPU with room for them."""
        if self.device.type != "cuda" or self.nbytes > ROOM * torch.cuda.mem_get_info(self.device)[0]:
            return self
        return Audio(tuple(part.to(self.device) for part in self.parts), self.device)


@dataclass(frozen=True)
class TrainingSet:
    """Strong, weak and unlabelled clips, one after the other.

    audio: (nb_clips, nb_samples) int16, see `Audio`. strong: (nb_clips, nb_classes, nb_frames), of meaning for the
    strong clips only. weak: (nb_clips, nb_classes), of meaning for the labelled ones. label_sets: of
    each labelled clip. nb: clips in each split.
    """

    audio: Tensor | Audio
    strong: Tensor
    weak: Tensor
    label_sets: list[frozenset[str]]
    nb: tuple[int, int, int]

    @classmethod
    def load(cls, run: Run, nb_frames: int, device: torch.device) -> TrainingSet:
        splits = [load_split(run, split) for split in ("strong", "weak", "unlabelled")]
        return cls(
            Audio(tuple(s.audio for s in splits), device).placed(),
            torch.cat([s.strong(nb_frames) for s in splits]).to(device),
            torch.cat([s.weak() for s in splits]).to(device),
            [labels for s in splits[:2] for labels in s.label_sets],
            tuple(len(s) for s in splits),  # type: ignore[arg-type]
        )

    def draw(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Clip numbers (B,): `batch.strong` strong clips, then weak, then unlabelled ones."""
        first, index = 0, []
        for nb, size in zip(self.nb, batch.sizes, strict=True):
            index.append(first + torch.randint(nb, (size,), generator=generator))
            first += nb
        return torch.cat(index).to(self.weak.device)
