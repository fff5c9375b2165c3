"""MixPIT (Karamatlı and Kırbız 2022): as PIT, but what is mixed and told apart are mixtures, not single sounds."""

from __future__ import annotations

from torch import Tensor

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.studies.opensep.methods.base import mixtures_of
from nrsed_lib.studies.opensep.methods.unconditional import Unconditional


class MixPit(Unconditional):
    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        return self.matched(mixtures_of(drawn.sounds))
