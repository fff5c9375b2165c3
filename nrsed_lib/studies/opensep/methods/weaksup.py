"""WeakSup (Pishdadian et al. 2020): no sound is ever heard alone; a classifier says whether outputs sound right.

One output a class. The classifier learns from mixtures which classes are in them; of the separator it is asked for, for
each class in the mixture, an output that sounds of that class and no other, and that the outputs of the classes that
are there add up to the mixture while the others are silent. In a test nobody says what is in a mixture: the two
classes that the classifier hears most are what is separated. It has no output for a class it was not trained on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, relu

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.studies.opensep.methods.base import Setup, pairs_of
from nrsed_lib.studies.opensep.methods.unconditional import Unconditional
from nrsed_lib.studies.opensep.networks.front_end import features_of, mask_error

WIDTHS = (16, 32, 64)  # of the classifier
NB_SOUNDS = 2  # that a test mixture has
CLASS_WEIGHT, SILENCE_WEIGHT = 0.1, 1.0  # beside the error of the sum


class Classifier(nn.Module):
    """Log-magnitudes (B, nb_frames, nb_features) -> logits of classes (B, nb_classes), at any moment of the clip."""

    def __init__(self, nb_classes: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip((1, *WIDTHS), WIDTHS, strict=False))
        self.norms = nn.ModuleList(nn.GroupNorm(4, width) for width in WIDTHS)
        self.head = nn.LazyLinear(nb_classes)

    def forward(self, features: Tensor) -> Tensor:
        x = avg_pool2d(features[:, None], 2)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = avg_pool2d(relu(norm(conv(x))), 2)
        return self.head(x.amax(2).flatten(1))


class WeakSup(Unconditional):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup, nb_outputs=len(setup.labels))
        self.classifier = Classifier(len(setup.labels))
        self.classifier(torch.zeros(1, 64, self.front.nb_features))  # so that its head has a size

    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        mixtures = self.front.magnitudes(pairs_of(drawn.sounds).sum(1))
        classes = pairs_of(drawn.classes).to(mixtures.device)  # (B, 2): all that is known of a mixture
        there = torch.zeros(len(classes), self.net.mask.out_channels, device=mixtures.device).scatter_(1, classes, 1)
        masks = super().masks(mixtures)  # (B, nb_classes, T, F)
        heard = masks.gather(1, classes[:, :, None, None].expand(-1, -1, *masks.shape[2:]))  # (B, 2, T, F)
        error = mask_error(heard.sum(1), mixtures, mixtures)
        absent = (masks * (1 - there)[:, :, None, None]).sum(1)
        silence = mask_error(absent, mixtures, torch.zeros_like(mixtures))
        alone = features_of((heard * mixtures[:, None]).flatten(0, 1))
        frozen = {name: p.detach() for name, p in self.classifier.named_parameters()}
        wanted = nn.functional.one_hot(classes.flatten(), there.shape[1]).float()
        sounds_right = entropy(functional_call(self.classifier, frozen, (alone,)), wanted)
        knows = entropy(self.classifier(features_of(mixtures)), there)
        return (error + SILENCE_WEIGHT * silence).mean() + CLASS_WEIGHT * sounds_right + knows

    def masks(self, magnitudes: Tensor, classes: Tensor | None = None, texts: list[str] | None = None) -> Tensor:
        loudest = self.classifier(features_of(magnitudes)).topk(NB_SOUNDS).indices  # (B, 2)
        masks = super().masks(magnitudes)
        return masks.gather(1, loudest[:, :, None, None].expand(-1, -1, *masks.shape[2:]))


def entropy(logits: Tensor, there: Tensor) -> Tensor:
    """Binary cross entropy summed over the classes of a clip, mean over clips: ()."""
    return binary_cross_entropy_with_logits(logits, there, reduction="none").sum(1).mean()
