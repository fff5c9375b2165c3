"""A tagger off the shelf: what mn04 was pretrained to tell, AudioSet's 527 classes, read as the profile's.

Nothing is trained, and nothing heard twice: the head takes the feature map that the detector's encoder computes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nrsed_lib.data.ontology import labels_under
from nrsed_lib.profile import Profile
from nrsed_lib.sed.detector import Features
from nrsed_lib.sed.encoders.mn04 import NB_BANDS, load_mn04
from nrsed_lib.training import device


class Tagger(nn.Module):
    """Clip-wise probability of a class: the highest among the AudioSet classes that the ontology puts under it."""

    def __init__(self, head: nn.Module, classes: Sequence[str]) -> None:
        super().__init__()
        self.head = head
        self.under = [labels_under(name) for name in classes]  # numbers of AudioSet's labels, of each class

    def forward(self, waveforms: Tensor, features: Features) -> Tensor:
        """Of the waveforms (B, nb_samples) their features, with mn04's embeddings -> (B, nb_classes)."""
        assert features.embeddings is not None
        tags = self.head(features.embeddings.unflatten(1, (-1, NB_BANDS))).sigmoid()  # (B, 527)
        return torch.stack([tags[:, under].amax(1) for under in self.under], 1)


def load_tagger(profile: Profile) -> Tagger:
    """With the published weights, on the device. Raises DownloadError when they can not be had."""
    return Tagger(load_mn04().classifier, profile.data.classes).requires_grad_(False).eval().to(device())
