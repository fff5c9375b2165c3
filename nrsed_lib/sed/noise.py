"""Noise on the fly: which classes a clip may hear, and tracks of them, batched on the device.

From training recordings only: a few noise events side by side that overlap a little and repeat where they are
short, all about as loud. The noise of the tests is laid out otherwise, by other code (`data/scenarios.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from nrsed_lib.data.clips import FULL_SCALE, Sources

NB_EVENTS = (2, 4)
LEVEL_DB = (-3.0, 3.0)  # of a noise event, about the level of isolated sounds
OVERLAP = 0.3  # of its slot that a noise event may begin early or end late
PAUSE_SECONDS = (0.1, 0.5)  # before a short sound is heard again
BLOCK = 160  # samples: whole blocks are copied, which is far faster on a CPU than looking up each sample


@dataclass(frozen=True)
class NoiseBank:
    """Isolated noises on the device, and of which class each is.

    audio: int16 (nb_noises, nb_samples), zeros after `lengths` (nb_noises,). classes: the vocabulary;
    members: (nb_noise_classes, nb_noises) float, 1 where a noise is of a class.
    """

    audio: Tensor
    lengths: Tensor
    members: Tensor
    classes: tuple[str, ...]
    sample_rate: int

    @classmethod
    def of(cls, sources: Sources, classes: Sequence[str], device: torch.device) -> NoiseBank:
        noises = sources.select("noise")
        members = torch.tensor([[label == c for label in noises.labels] for c in classes])
        return cls(
            noises.audio.to(device),
            noises.lengths.to(device),
            members.float().to(device),
            tuple(classes),
            noises.sample_rate,
        )

    @cached_property
    def blocks(self) -> Tensor:
        """`audio` as (nb_noises · nb_blocks, BLOCK), zeros at the end of each noise's last block."""
        missing = -self.audio.shape[1] % BLOCK
        return (F.pad(self.audio, (0, missing)) if missing else self.audio).reshape(-1, BLOCK)  # no copy of gigabytes

    def allowed(self, chosen: Sequence[Sequence[str]]) -> Tensor:
        """Noise classes of each clip as (nb_clips, nb_noise_classes) bool; those without a recording are left out.

        Raises ValueError naming classes that are not in the vocabulary.
        """
        row = {name: i for i, name in enumerate(self.classes)}
        if strange := {c for names in chosen for c in names} - set(row):
            raise ValueError(f"noise classes {sorted(strange)} are not in the profile's noise_classes")
        table = torch.zeros(len(chosen), len(self.classes), dtype=torch.bool)
        for i, names in enumerate(chosen):
            table[i, [row[name] for name in names]] = True
        return table.to(self.audio.device) & (self.members.sum(1) > 0)

    def draw(self, allowed: Tensor) -> tuple[Tensor, Tensor]:
        """For each clip up to `NB_EVENTS[1]` noises, of classes drawn evenly from its allowed ones.

        allowed: (B, nb_noise_classes) bool → noise numbers (B, nb_events), and which of these events take
        place (B, nb_events) bool: none where nothing is allowed.
        """
        most, none = NB_EVENTS[1], ~allowed.any(1)
        classes = torch.multinomial((allowed | none[:, None]).float(), most, replacement=True)  # (B, E)
        weights = (self.members[classes] + 1e-12 * none[:, None, None]).flatten(0, 1)
        noises = torch.multinomial(weights, 1).view_as(classes)
        nb = torch.randint(NB_EVENTS[0], most + 1, (len(allowed), 1), device=allowed.device)
        return noises, (torch.arange(most, device=allowed.device) < nb) & ~none[:, None]

    def tracks(self, noises: Tensor, present: Tensor, nb_samples: int) -> Tensor:
        """Lay the events of each clip side by side. noises, present: (B, nb_events) → (B, nb_samples) float32.

        Events begin, end and repeat on a grid of `BLOCK` samples.
        """
        nb_blocks = len(self.blocks) // len(self.audio)
        time = torch.arange(-(-nb_samples // BLOCK), device=noises.device)  # (T,) in blocks, as all times here
        slot = len(time) / present.sum(1).clamp_min(1)  # (B,)
        track = torch.zeros(len(noises), len(time), BLOCK, device=noises.device)
        low, high = PAUSE_SECONDS
        for k in range(noises.shape[1]):
            uniform = torch.rand(4, len(noises), device=noises.device)
            start = ((k - OVERLAP * uniform[0]) * slot).long()
            stop = ((k + 1 + OVERLAP * uniform[1]) * slot).long()
            gain = present[:, k] * 10 ** ((LEVEL_DB[0] + (LEVEL_DB[1] - LEVEL_DB[0]) * uniform[2]) / 20) / FULL_SCALE
            length = -(-self.lengths[noises[:, k]] // BLOCK)
            period = length + (self.sample_rate / BLOCK * (low + (high - low) * uniform[3])).long()
            position = (time - start[:, None]) % period[:, None]  # (B, T) within the sound or its pause
            heard = (time >= start[:, None]) & (time < stop[:, None]) & (position < length[:, None])
            index = noises[:, k, None] * nb_blocks + position.clamp_max(nb_blocks - 1)
            sound = self.blocks.index_select(0, index.flatten()).view_as(track)
            track += sound * (heard * gain[:, None])[..., None]
        return track.flatten(1)[:, :nb_samples]


def choose(labels: frozenset[str], selection: Mapping[frozenset[str], Sequence[str]]) -> Sequence[str]:
    """The noise classes for a clip of these labels.

    A label set that was never asked about (predicted for an unlabelled clip, say) takes the answer to the
    set most like it: with the highest Jaccard index, the first in alphabetical order among equals. With no
    label nothing can be confused: every class that was ever chosen.
    """
    if labels in selection:
        return selection[labels]
    if not labels:
        return sorted(set().union(*selection.values()))
    nearest = max(sorted(selection, key=sorted), key=lambda known: len(labels & known) / len(labels | known))
    return selection[nearest]
