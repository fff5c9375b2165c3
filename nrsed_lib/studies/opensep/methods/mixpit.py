"""MixPIT (Karamatlı and Kırbız 2022): as PIT, but what is mixed and told apart are mixtures, not single sounds."""

from __future__ import annotations

from torch import Tensor

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.studies.opensep.methods.base import Setup, pairs_of
from nrsed_lib.studies.opensep.methods.unconditional import Unconditional, matched_error


class MixPit(Unconditional):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup, nb_outputs=2)

    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        parts = pairs_of(drawn.sounds).sum(1).unflatten(0, (-1, 2))  # (B, 2, nb_samples)
        mixtures = self.front.magnitudes(parts.sum(1))
        return matched_error(self.masks(mixtures), mixtures, self.front.magnitudes(parts)).mean()
