"""MixIT + PIT: mixtures of mixtures as MixIT, and mixtures of two sounds as PIT, of which two outputs are silent."""

from __future__ import annotations

import torch
from torch import Tensor

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.studies.opensep.methods.base import pairs_of
from nrsed_lib.studies.opensep.methods.mixit import MixIt
from nrsed_lib.studies.opensep.methods.unconditional import matched_error


class MixItPit(MixIt):
    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        pairs = pairs_of(drawn.sounds)
        pairs = torch.cat([pairs, torch.zeros_like(pairs)], dim=1)  # (…, 4, nb_samples): as many as there are outputs
        mixtures = self.front.magnitudes(pairs.sum(1))
        single = matched_error(self.masks(mixtures), mixtures, self.front.magnitudes(pairs)).mean()
        return super().loss(drawn, texts) + single
