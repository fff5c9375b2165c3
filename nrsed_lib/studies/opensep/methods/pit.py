"""PIT (Yu et al. 2017): two outputs, trained on mixtures of two sounds in whichever order fits them best."""

from __future__ import annotations

from torch import Tensor

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.studies.opensep.methods.base import Setup, pairs_of
from nrsed_lib.studies.opensep.methods.unconditional import Unconditional, matched_error


class Pit(Unconditional):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup, nb_outputs=2)

    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        pairs = pairs_of(drawn.sounds)  # (2 B, 2, nb_samples)
        mixtures = self.front.magnitudes(pairs.sum(1))
        return matched_error(self.masks(mixtures), mixtures, self.front.magnitudes(pairs)).mean()
