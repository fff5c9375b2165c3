"""LASSNet (Liu et al. 2022): one vector for the query shifts the decoder's maps (FiLM); L1 on the magnitude."""

from __future__ import annotations

from torch import Tensor

from nrsed_lib.lass.text import LearnedText
from nrsed_lib.studies.opensep.methods.base import Setup
from nrsed_lib.studies.opensep.methods.conditional import Conditional
from nrsed_lib.studies.opensep.networks.front_end import features_of
from nrsed_lib.studies.opensep.networks.unet import AttentionUNet


class LassNet(Conditional):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        size = setup.settings.condition_size
        self.text = LearnedText(size)
        self.net = AttentionUNet(self.front.nb_features, 1, setup.settings.nb_channels, film_size=size)

    def masks(self, magnitudes: Tensor, classes: Tensor, texts: list[str]) -> Tensor:
        nb_asked = classes.shape[1]
        with self.reduced(magnitudes):
            skips = self.net.encode(features_of(magnitudes))
            skips = [skip.repeat_interleave(nb_asked, 0) for skip in skips]
            logits = self.net.decode(skips, conditions=self.text.embed(texts)[classes.flatten()])
        return logits.float().sigmoid()[:, 0, : magnitudes.shape[1]].unflatten(0, (-1, nb_asked))
