"""OpenSep (Mahmud and Marculescu 2024): places of the spectrogram attend to the words of a text, on two levels.

Multi-level mix and separate (section 3.4): four sounds make two mixtures of two, and these one mixture of four. Of
that, each sound is asked for by its text, and each mixture of two by the texts of both. Without the levels (Table 4)
it is trained as the other conditional separators are, on mixtures of two.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nrsed_lib.lass.mixtures import Apart
from nrsed_lib.studies.opensep.methods.base import Setup, mixtures_of
from nrsed_lib.studies.opensep.methods.conditional import Conditional
from nrsed_lib.studies.opensep.networks.front_end import features_of, mask_error
from nrsed_lib.studies.opensep.networks.text import Tokens, reader
from nrsed_lib.studies.opensep.networks.unet import AttentionUNet


class OpenSepMethod(Conditional):
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        s = setup.settings
        self.levels = setup.levels
        self.text = reader(s)
        self.net = AttentionUNet(self.front.nb_features, 1, s.nb_channels, s.nb_attended, s.nb_heads, s.condition_size)

    def loss(self, drawn: Apart, texts: list[str]) -> Tensor:
        if not self.levels:
            return super().loss(drawn, texts)
        pairs = mixtures_of(drawn.sounds)  # (B, 2, nb_samples)
        mixtures = self.front.magnitudes(pairs.sum(1))  # of four
        targets = self.front.magnitudes(torch.cat([drawn.sounds, pairs], dim=1))  # (B, 6, nb_frames, nb_features)
        masks = self._asked(mixtures, levels_of(self.text.read(texts), drawn.classes.to(mixtures.device)))
        return mask_error(masks, mixtures[:, None], targets).mean()

    def masks(self, magnitudes: Tensor, classes: Tensor, texts: list[str]) -> Tensor:
        return self._asked(magnitudes, self.text.read(texts).of(classes.flatten()))

    def _asked(self, magnitudes: Tensor, text: Tokens) -> Tensor:
        """(B, nb_frames, nb_features), and texts for each in turn -> masks (B, nb_texts, nb_frames, nb_features)."""
        nb_asked = len(text.vectors) // len(magnitudes)
        with self.reduced(magnitudes):
            skips = self.net.encode(features_of(magnitudes))
            logits = self.net.decode([skip.repeat_interleave(nb_asked, 0) for skip in skips], text)
        return logits.float().sigmoid()[:, 0, : magnitudes.shape[1]].unflatten(0, (-1, nb_asked))


def levels_of(known: Tokens, classes: Tensor) -> Tokens:
    """Texts of all classes, and four classes each (B, 4) -> texts of the four sounds and of the two pairs, (6 B, …)."""
    single, first, second = known.of(classes), known.of(classes[:, 0::2]), known.of(classes[:, 1::2])
    nothing = Tokens(torch.zeros_like(single.vectors), torch.ones_like(single.padding))
    levels = single.beside(nothing), first.beside(second)  # (B, 4, …), (B, 2, …)
    vectors, padding = (torch.cat(parts, dim=1).flatten(0, 1) for parts in zip(*levels, strict=True))
    return Tokens(vectors, padding)
