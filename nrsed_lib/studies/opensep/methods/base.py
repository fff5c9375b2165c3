"""What the methods share: a network that masks, and how it is asked. Every method is a small file beside this one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.profile import Lass
from nrsed_lib.studies.opensep.networks.front_end import FrontEnd
from nrsed_lib.studies.settings import OpenSep
from nrsed_lib.training import has_bfloat16


@dataclass(frozen=True)
class Setup:
    """What a method is built from. labels: the classes it is trained on, as `Mixer.labels` has them."""

    settings: OpenSep
    lass: Lass
    labels: list[str]
    levels: bool = False


class Method(nn.Module, ABC):
    """asked: whether `separate` is told what to give back; else its outputs are matched with what was mixed."""

    asked = False

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.front = FrontEnd(setup.settings)
        self.low_precision = setup.settings.bfloat16

    @abstractmethod
    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        """Of B times four sounds, to be mixed as the method wants them: (). texts: of every class of the mixer."""

    @abstractmethod
    def masks(self, magnitudes: Tensor, classes: Tensor, texts: list[str]) -> Tensor:
        """Magnitudes of mixtures (B, nb_frames, nb_features) -> masks in 0 … 1 (B, nb_outputs, nb_frames, nb_features).

        classes: (B, nb_outputs) rows of `texts`, what is asked for; to be looked at by a method that is `asked`.
        """

    def separate(self, mixtures: Tensor, classes: Tensor, texts: list[str]) -> Tensor:
        """Mixtures (B, nb_samples) -> sounds (B, nb_outputs, nb_samples)."""
        return self.front.separate(mixtures, self.masks(self.front.magnitudes(mixtures), classes, texts))

    def reduced(self, x: Tensor) -> torch.autocast:
        """Products in bfloat16 where the profile wants them and the processor has them."""
        enabled = self.low_precision and has_bfloat16(x)
        return torch.autocast(x.device.type, torch.bfloat16, enabled=enabled)


def pairs_of(sounds: Tensor) -> Tensor:
    """(B, 4, …) -> (2 B, 2, …): two mixtures of two out of four."""
    return sounds.unflatten(1, (2, 2)).flatten(0, 1)


def mixtures_of(sounds: Tensor) -> Tensor:
    """(B, 4, nb_samples) -> (B, 2, nb_samples): the same two mixtures, for one mixture of both."""
    return pairs_of(sounds).sum(1).unflatten(0, (-1, 2))
