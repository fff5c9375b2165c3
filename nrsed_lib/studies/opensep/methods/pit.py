"""PIT (Yu et al. 2017): two outputs, trained on mixtures of two sounds in whichever order fits them best."""

from __future__ import annotations

from torch import Tensor

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.studies.opensep.methods.base import pairs_of
from nrsed_lib.studies.opensep.methods.unconditional import Unconditional


class Pit(Unconditional):
    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        return self.matched(pairs_of(drawn.sounds))
