"""A U-Net with a fixed number of outputs, which is told nothing: what PIT, MixIT, MixPIT and WeakSup train."""

from __future__ import annotations

from torch import Tensor

from nrsed_lib.studies.opensep.methods.base import Method, Setup
from nrsed_lib.studies.opensep.methods.match import best_match
from nrsed_lib.studies.opensep.networks.front_end import features_of, mask_error
from nrsed_lib.studies.opensep.networks.unet import AttentionUNet


class Unconditional(Method):
    def __init__(self, setup: Setup, nb_outputs: int = 2) -> None:
        super().__init__(setup)
        self.net = AttentionUNet(self.front.nb_features, nb_outputs, setup.settings.nb_channels)

    def masks(self, magnitudes: Tensor, classes: Tensor | None = None, texts: list[str] | None = None) -> Tensor:
        with self.reduced(magnitudes):
            logits = self.net.decode(self.net.encode(features_of(magnitudes)))
        return logits.float().sigmoid()[:, :, : magnitudes.shape[1]]

    def matched(self, sounds: Tensor) -> Tensor:
        """The error on mixtures of `sounds` (B, nb_sounds, nb_samples), outputs in the order that fits best: ()."""
        mixtures = self.front.magnitudes(sounds.sum(1))
        return matched_error(self.masks(mixtures), mixtures, self.front.magnitudes(sounds)).mean()


def matched_error(masks: Tensor, mixtures: Tensor, targets: Tensor) -> Tensor:
    """Permutation-invariant error: (B, k, T, F), (B, T, F), (B, nb_sounds, T, F) -> (B,), nb_sounds at most k."""
    return best_match(mask_error(masks[:, :, None], mixtures[:, None, None], targets[:, None]))[0]
