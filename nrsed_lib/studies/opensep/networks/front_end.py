"""Between sounds and the networks of the study: magnitudes in, masks on the mixture's magnitude out, its phase kept."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nrsed_lib.lass.bands import Bands, Bins
from nrsed_lib.lass.stft import Stft
from nrsed_lib.studies.settings import OpenSep


class FrontEnd(nn.Module):
    """Magnitude bins but for the last one (1022 samples have 512 bins, of which all are kept), or bands of them."""

    def __init__(self, settings: OpenSep) -> None:
        super().__init__()
        nb_bins = settings.n_fft // 2 + 1
        self.stft = Stft(settings.n_fft, settings.hop)
        self.bands = Bins(nb_bins) if settings.nb_bands is None else Bands(nb_bins, settings.nb_bands)
        self.nb_features = self.bands.nb_features

    def magnitudes(self, waveforms: Tensor) -> Tensor:
        """(…, nb_samples) -> (…, nb_frames, nb_features)."""
        return self.bands.add_up(self.stft(waveforms.flatten(0, -2)).abs()).unflatten(0, waveforms.shape[:-1])

    def separate(self, mixtures: Tensor, masks: Tensor) -> Tensor:
        """mixtures (B, nb_samples), masks (B, k, nb_frames, nb_features) in 0 … 1 -> sounds (B, k, nb_samples)."""
        spectra = self.stft(mixtures)[:, None] * self.bands.spread(masks)  # (B, k, nb_frames, nb_bins)
        return self.stft.inverse(spectra.flatten(0, 1), mixtures.shape[-1]).unflatten(0, masks.shape[:2])


def features_of(magnitudes: Tensor) -> Tensor:
    """log(1 + 1000 |X|): about how loud it is heard. What a network sees, and how much a place counts in the loss."""
    return torch.log1p(1e3 * magnitudes)


def mask_error(masks: Tensor, mixtures: Tensor, targets: Tensor) -> Tensor:
    """L1 between masks and the magnitude of a sound as a share of its mixture's, cut at 1 (…,).

    masks, mixtures, targets: (…, nb_frames, nb_features). As the source has it (appendix A.1) what is supervised is the
    mask; as in the works that it follows, a place counts by its compressed magnitude (see `features_of`).
    """
    weight = features_of(mixtures)
    wanted = (targets / mixtures.clamp(min=1e-8)).clamp(max=1)
    error = (weight * (masks - wanted).abs()).mean((-2, -1))
    return error / weight.mean((-2, -1)).clamp(min=1e-6)
