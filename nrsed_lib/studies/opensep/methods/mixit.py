"""MixIT (Wisdom et al. 2020): no sound is ever heard alone. Two mixtures are mixed, and the four outputs have to add up
to them, in whichever grouping fits best. A mixture of two still gets four outputs: over-separation is its weakness."""

from __future__ import annotations

import torch
from torch import Tensor

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.studies.opensep.methods.base import Setup, mixtures_of
from nrsed_lib.studies.opensep.methods.match import partitions
from nrsed_lib.studies.opensep.methods.unconditional import Unconditional
from nrsed_lib.studies.opensep.networks.front_end import mask_error


class MixIt(Unconditional):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup, nb_outputs=4)

    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        parts = mixtures_of(drawn.sounds)
        mixtures = self.front.magnitudes(parts.sum(1))
        return grouped_error(self.masks(mixtures), mixtures, self.front.magnitudes(parts)).mean()


def grouped_error(masks: Tensor, mixtures: Tensor, parts: Tensor) -> Tensor:
    """The lowest error over all groupings of outputs: (B, k, T, F), (B, T, F), (B, nb_parts, T, F) -> (B,)."""
    ways = partitions(masks.shape[1], parts.shape[1]).to(masks)  # (nb_ways, nb_parts, k)
    sums = torch.einsum("wpk,bktf->bwptf", ways, masks)
    return mask_error(sums, mixtures[:, None, None], parts[:, None]).mean(-1).min(-1).values
