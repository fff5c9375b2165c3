"""MixIT + PIT: mixtures of mixtures as MixIT, and mixtures of two sounds as PIT, of which two outputs are silent."""

from __future__ import annotations

import torch
from torch import Tensor

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.studies.opensep.methods.base import pairs_of
from nrsed_lib.studies.opensep.methods.mixit import MixIt


class MixItPit(MixIt):
    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        pairs = pairs_of(drawn.sounds)
        single = self.matched(torch.cat([pairs, torch.zeros_like(pairs)], dim=1))  # as many as there are outputs
        return super().loss(drawn, texts) + single
