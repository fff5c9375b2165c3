"""Mix and separate (Zhao et al. 2018): two sounds are mixed, and each is asked for by its text."""

from __future__ import annotations

from torch import Tensor

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.studies.opensep.methods.base import Method, pairs_of
from nrsed_lib.studies.opensep.networks.front_end import mask_error


def single_level(method: Method, drawn: Apart, texts: list[str]) -> Tensor:
    """The error of each asked mask on mixtures of two: ()."""
    pairs = pairs_of(drawn.sounds)  # (2 B, 2, nb_samples)
    mixtures = method.front.magnitudes(pairs.sum(1))
    masks = method.masks(mixtures, pairs_of(drawn.classes).to(mixtures.device), texts)
    return mask_error(masks, mixtures[:, None], method.front.magnitudes(pairs)).mean()
