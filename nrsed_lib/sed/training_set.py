"""The training clips of the detector: audio, labels, and how a batch is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_split
from nrsed_lib.profile import Batch
from nrsed_lib.training import Step, step_generator

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
    """Strong, weak and unlabelled clips, one after the other, and how batches of them are drawn (`DRAWS`).

    audio: (nb_clips, nb_samples) int16, see `Audio`. strong: (nb_clips, nb_classes, nb_frames), of meaning for the
    strong clips only. weak: (nb_clips, nb_classes), of meaning for the labelled ones. label_sets: of
    each labelled clip. nb: clips in each split. weak_share: of the weak ones, from the first on, that are drawn.
    """

    audio: Tensor | Audio
    strong: Tensor
    weak: Tensor
    label_sets: list[frozenset[str]]
    nb: tuple[int, int, int]
    weak_share: float = 1.0

    @classmethod
    def load(cls, run: Run, nb_frames: int, device: torch.device) -> TrainingSet:
        splits, sed = [load_split(run, split) for split in ("strong", "weak", "unlabelled")], run.profile.sed
        return cls(
            Audio(tuple(s.audio for s in splits), device).placed(),
            torch.cat([s.strong(nb_frames, sed.labelled_share) for s in splits]).to(device),
            torch.cat([s.weak() for s in splits]).to(device),
            [labels for s in splits[:2] for labels in s.label_sets],
            tuple(len(s) for s in splits),  # type: ignore[arg-type]
            sed.weak_share,
        )

    @property
    def drawn(self) -> tuple[int, int, int]:
        """Clips of each split that are drawn."""
        return self.nb[0], round(self.weak_share * self.nb[1]), self.nb[2]

    @property
    def held_out(self) -> Tensor:
        """The weak clips that are not: their numbers."""
        return torch.arange(self.nb[0] + self.drawn[1], self.nb[0] + self.nb[1], device=self.weak.device)

    def epoch(self, batch: Batch) -> int:
        """Steps until the smallest of the splits has been drawn. Raises ValueError where it does not fill a batch."""
        if not (steps := min(nb // size for nb, size in self._each(batch))):
            raise ValueError(f"{self.drawn} strong, weak and unlabelled clips do not fill a batch of {batch.sizes}")
        return steps

    def draw(self, batch: Batch, step: Step, key: tuple[int, str] = (0, "")) -> Tensor:
        """Clip numbers (B,), drawn with replacement: strong clips, then weak, then unlabelled ones."""
        return self._joined([torch.randint(n, (b,), generator=step.generator) for n, b in self._each(batch)])

    def deal(self, batch: Batch, step: Step, key: tuple[int, str]) -> Tensor:
        """Likewise, but in an epoch no clip comes twice. key: seed and name of the training, for the epoch's lots."""
        epoch, place = divmod(step.number, self.epoch(batch))
        lots = step_generator(*key, -1 - epoch)
        rows = [torch.randperm(n, generator=lots)[place * b :][:b] for n, b in self._each(batch)]
        return self._joined(rows)

    def _each(self, batch: Batch) -> list[tuple[int, int]]:
        return list(zip(self.drawn, batch.sizes, strict=True))

    def _joined(self, rows: list[Tensor]) -> Tensor:
        firsts = accumulate(self.nb, initial=0)
        return torch.cat([first + of for first, of in zip(firsts, rows, strict=False)]).to(self.weak.device)


DRAWS = {"ours": TrainingSet.draw, "as_released": TrainingSet.deal}  # by `sed.ways.batches`
