"""Mix and separate (Zhao et al. 2018): two sounds are mixed, and each is asked for by its text."""

from __future__ import annotations

from torch import Tensor

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.studies.opensep.methods.base import Method, pairs_of
from nrsed_lib.studies.opensep.networks.front_end import mask_error


class Conditional(Method):
    """A method that is asked, and learns from the error of each asked mask on mixtures of two."""

    asked = True

    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        pairs = pairs_of(drawn.sounds)  # (2 B, 2, nb_samples)
        mixtures = self.front.magnitudes(pairs.sum(1))
        masks = self.masks(mixtures, pairs_of(drawn.classes).to(mixtures.device), texts)
        return mask_error(masks, mixtures[:, None], self.front.magnitudes(pairs)).mean()
