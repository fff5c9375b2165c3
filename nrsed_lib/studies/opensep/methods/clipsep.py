"""CLIPSep (Dong et al. 2022, after Sound of Pixels): the U-Net makes maps without being asked anything, and the query
weighs them into a mask at the very end. The text encoder is this project's, not CLIP."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nrsed_lib.lass.text import LearnedText
from nrsed_lib.studies.opensep.methods.base import Setup
from nrsed_lib.studies.opensep.methods.conditional import Conditional
from nrsed_lib.studies.opensep.networks.front_end import features_of
from nrsed_lib.studies.opensep.networks.unet import AttentionUNet

NB_MAPS = 32  # as in CLIPSep


class ClipSep(Conditional):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        size = setup.settings.condition_size
        self.text = LearnedText(size)
        self.weigh = nn.Linear(size, NB_MAPS)
        nn.init.normal_(self.weigh.weight)  # a condition has length 1
        self.scale = nn.Parameter(torch.ones(NB_MAPS))
        self.bias = nn.Parameter(torch.zeros(()))
        self.net = AttentionUNet(self.front.nb_features, NB_MAPS, setup.settings.nb_channels)

    def masks(self, magnitudes: Tensor, classes: Tensor, texts: list[str]) -> Tensor:
        with self.reduced(magnitudes):
            maps = self.net.decode(self.net.encode(features_of(magnitudes)))
        weights = self.scale * self.weigh(self.text.embed(texts))[classes]  # (B, nb_outputs, NB_MAPS)
        logits = torch.einsum("bok,bktf->botf", weights, maps.float()) + self.bias
        return logits.sigmoid()[:, :, : magnitudes.shape[1]]
