"""Mixtures with a known answer: a queried sound, and others it has to be told from.

The same drawing makes what the separators learn from (training sources) and what their SDR improvement
is measured on (held-out sources). Nothing is per clip: rows are drawn, cropped and mixed together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nrsed_lib.data.clips import FULL_SCALE, Sources
from nrsed_lib.data.mixing import mix_at_snr

MAX_INTERFERERS = 3
TARGET_SHARE = 0.4  # of the interferers: other target classes overlap in a soundscape as noises do
TWICE_SHARE = 0.2  # of the mixtures hold two sounds of the queried class, and both are wanted


@dataclass(frozen=True)
class Mixtures:
    """mixtures, targets: (B, nb_samples) float32; queries: (B,) rows of `Mixer.labels`; snr_db: (B,)."""

    mixtures: Tensor
    targets: Tensor
    queries: Tensor
    snr_db: Tensor


@dataclass(frozen=True)
class Apart:
    """Sounds before they are mixed. sounds: (B, nb_sources, nb_samples) float32; classes: (B, nb_sources)
    rows of `Mixer.labels`."""

    sounds: Tensor
    classes: Tensor


class Mixer:
    """Draws mixtures of `nb_samples` samples from `sources` (whose audio is on the device).

    A label that targets and noises share is one class, a target; a kind of a target (role "noise/<target>") is
    a class of its own, which never interferes with that target nor with other kinds of it.

    Raises ValueError when there are too few classes to find an interferer.
    """

    def __init__(self, sources: Sources, nb_samples: int) -> None:
        self.sources, self.nb_samples = sources, nb_samples
        self.labels = sorted(sources.by_label)
        kind = dict(zip(sources.labels, sources.kinds, strict=True))
        targets = {label for label, role in zip(sources.labels, sources.roles, strict=True) if role == "target"}
        is_target = torch.tensor([label in targets for label in self.labels])
        alike = torch.tensor([[kind[a] == kind[b] for b in self.labels] for a in self.labels])
        if int((~alike).sum(1).min()) < MAX_INTERFERERS:
            raise ValueError(f"sources of {self.labels} alone: a mixture needs {MAX_INTERFERERS + 1} classes")
        share = torch.where(is_target, TARGET_SHARE / is_target.sum(), (1 - TARGET_SHARE) / (~is_target).sum())
        self.alike = alike
        self.interferers = share.repeat(len(self.labels), 1).masked_fill(alike, 0)  # never of the queried class
        self.is_target = is_target
        self.rows = torch.cat([sources.by_label[label] for label in self.labels])
        self.counts = torch.tensor([len(sources.by_label[label]) for label in self.labels])
        self.starts = self.counts.cumsum(0) - self.counts
        # all sounds on one tape with silence before each, so that any crop of any sound is one window of it
        self.tape_step = nb_samples + sources.audio.shape[1]
        tape = sources.audio.new_zeros(len(sources) * self.tape_step + nb_samples)
        tape[:-nb_samples].view(-1, self.tape_step)[:, nb_samples:] = sources.audio
        self.windows = tape.unfold(0, nb_samples, 1)

    def draw(
        self,
        batch: int,
        snr_db: tuple[float, float],
        generator: torch.Generator,
        noise_queries: float = 0.0,
        absent: float = 0.0,
    ) -> Mixtures:
        """`batch` mixtures at an SNR uniform in `snr_db`, of a queried sound and 1-3 other classes.

        Queries are target classes, each as often, but for the share `noise_queries`; for the share
        `absent` the queried sound is not there and the target is silence.
        """
        target_share = torch.where(self.is_target, (1 - noise_queries) / self.is_target.sum(), 0)
        share = torch.where(self.is_target, target_share, noise_queries / (~self.is_target).sum().clamp(min=1))
        queries = torch.multinomial(share, batch, replacement=True, generator=generator)  # (B,)
        others = torch.multinomial(self.interferers[queries], MAX_INTERFERERS, generator=generator)  # (B, 3)
        uniform = torch.rand(batch, 4, generator=generator)
        present = torch.arange(MAX_INTERFERERS) <= (uniform[:, :1] * MAX_INTERFERERS).floor()  # (B, 3)
        twice = uniform[:, 1:2] < TWICE_SHARE  # (B, 1)
        level_db = 10 * torch.rand(batch, MAX_INTERFERERS + 2, generator=generator) - 5  # of each sound in its sum
        gains = 10 ** (level_db / 20) * torch.cat([torch.ones_like(twice), twice, present], dim=1)
        classes = torch.cat([queries[:, None], queries[:, None], others], dim=1)  # (B, 5)
        heard = gains > 0  # (B, 5)
        sounds = self._sounds(classes[heard], generator)  # (nb_sounds, nb_samples)
        sounds = sounds * gains[heard].to(sounds.device)[:, None]
        row = 2 * torch.arange(batch)[:, None] + torch.tensor([0, 0, 1, 1, 1])  # (B, 5): target or noise of a mixture
        sums = sounds.new_zeros(2 * batch, self.nb_samples).index_add_(0, row[heard].to(sounds.device), sounds)
        targets, noises = sums[0::2], sums[1::2]
        snr = snr_db[0] + (snr_db[1] - snr_db[0]) * uniform[:, 2]
        _, noises = mix_at_snr(targets, noises, snr.to(targets))
        here = (uniform[:, 3:] >= absent).to(targets)  # (B, 1)
        return Mixtures(noises + here * targets, here * targets, queries, snr)

    def draw_apart(
        self,
        batch: int,
        nb_sources: int,
        level_db: tuple[float, float],
        generator: torch.Generator,
        among: Tensor | None = None,
    ) -> Apart:
        """`batch` times `nb_sources` sounds of different kinds, of every class as often, at levels uniform in
        `level_db`: what the separation studies mix from, two or four at a time.

        among: (nb_labels,) bool, the classes to draw from (all by default). Raises ValueError when they are
        fewer kinds than `nb_sources`.
        """
        weights = torch.ones(len(self.labels)) if among is None else among.float()
        free = weights.repeat(batch, 1)  # (B, nb_labels): what may still come
        classes = torch.zeros(batch, 0, dtype=torch.long)
        for _ in range(nb_sources):
            if not bool((free.sum(1) > 0).all()):
                raise ValueError(f"{int(weights.sum())} classes do not make {nb_sources} kinds; give more of them")
            classes = torch.cat([classes, torch.multinomial(free, 1, generator=generator)], dim=1)
            free = free.masked_fill(self.alike[classes[:, -1]], 0)
        sounds = self._sounds(classes.flatten(), generator)  # (B * nb_sources, nb_samples)
        low, high = level_db
        gains = 10 ** ((low + (high - low) * torch.rand(batch * nb_sources, 1, generator=generator)) / 20)
        return Apart((gains.to(sounds) * sounds).view(batch, nb_sources, -1), classes)

    def _sounds(self, classes: Tensor, generator: torch.Generator) -> Tensor:
        """One sound of each class (N,), placed or cut at random -> (N, nb_samples) float32."""
        choice, place = torch.rand(2, len(classes), generator=generator)
        rows = self.rows[self.starts[classes] + (choice * self.counts[classes]).long()]
        start = (place * (self.sources.lengths[rows] - self.nb_samples)).round().long()  # below 0: it starts later
        at = rows * self.tape_step + self.nb_samples + start
        return self.windows[at.to(self.windows.device)].float() / FULL_SCALE
