"""The separator: a mixture and a query in, the queried sound out (h in Eq. 4)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nrsed_lib.lass.bands import Bands, Bins
from nrsed_lib.lass.resunet import ResUNet
from nrsed_lib.lass.stft import Stft
from nrsed_lib.lass.text import text_encoder
from nrsed_lib.profile import Lass, Profile
from nrsed_lib.store import read_tensors
from nrsed_lib.training import device, has_bfloat16


class Separator(nn.Module):
    """Separation in steps, so that work on a clip is shared by its queries.

    `analyse` is the same for every query of a clip; `logits` is the network and `mask` what it means;
    `synthesise` inverts.
    """

    def __init__(self, settings: Lass, text: nn.Module | None = None) -> None:
        super().__init__()
        nb_bins = settings.n_fft // 2 + 1
        self.stft = Stft(settings.n_fft, settings.hop)
        self.bands = Bins(nb_bins) if settings.nb_bands is None else Bands(nb_bins, settings.nb_bands)
        self.text = text_encoder(settings) if text is None else text
        self.net = ResUNet(
            self.bands.nb_features,
            self.bands.nb_masks,
            settings.nb_channels,
            settings.condition_size,
            settings.dprnn_layers,
            settings.dprnn_hidden,
        )
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs
        self.low_precision = settings.bfloat16

    def embed(self, texts: list[str]) -> Tensor:
        """Query texts -> conditions (nb_texts, condition_size)."""
        return self.text.embed(texts)  # type: ignore[operator]

    def analyse(self, mixtures: Tensor) -> tuple[Tensor, Tensor]:
        """(B, nb_samples) -> spectra, complex (B, nb_frames, nb_bins), and features (B, nb_frames, nb_features)."""
        spectra = self.stft(mixtures)
        return spectra, self.bands.gather(spectra.abs())

    def logits(self, features: Tensor, conditions: Tensor) -> Tensor:
        """(B, nb_frames, nb_features), (B, condition_size) -> (B, nb_masks, nb_frames, nb_features): the network."""
        low_precision = self.low_precision and has_bfloat16(features)
        with torch.autocast(features.device.type, torch.bfloat16, enabled=low_precision):
            return self.net(features, conditions).float()

    def mask(self, logits: Tensor) -> Tensor:
        """(B, nb_masks, nb_frames, nb_features) -> (B, nb_frames, nb_bins).

        Real when it is a magnitude alone, complex when it turns the phase too.
        """
        magnitude = self.bands.spread(torch.sigmoid(logits[:, 0]))
        if self.bands.nb_masks == 1:
            return magnitude
        rotation = torch.complex(torch.tanh(logits[:, 1]), torch.tanh(logits[:, 2]))
        return magnitude * rotation / rotation.abs().clamp(min=1e-10)

    def synthesise(self, spectra: Tensor, masks: Tensor, nb_samples: int) -> Tensor:
        """complex (B, nb_frames, nb_bins), and masks of its shape -> (B, nb_samples)."""
        return self.stft.inverse(spectra * masks, nb_samples)

    def forward(self, mixtures: Tensor, conditions: Tensor) -> Tensor:
        """mixtures (B, nb_samples), conditions (B, condition_size) -> tracks (B, nb_samples)."""
        spectra, features = self.analyse(mixtures)
        return self.synthesise(spectra, self.mask(self.logits(features, conditions)), mixtures.shape[-1])


def load_separator(path: Path, profile: Profile) -> Separator:
    """The separator that notebook 05 left at `path`, in eval mode on the device."""
    separator = Separator(profile.lass)
    separator.load_state_dict(read_tensors(path)[0])
    return separator.to(device()).eval()
