"""Between waveform and complex spectrogram, as AudioSep does it: Hann window, centred, reflected ends."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Stft(nn.Module):
    """n_fft, hop: in samples. The window is rebuilt from n_fft, so no weights are saved."""

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(B, nb_samples) -> complex (B, nb_frames, nb_bins), nb_frames = 1 + nb_samples // hop."""
        spectra = torch.stft(waveforms.float(), self.n_fft, self.hop, window=self.window, return_complex=True)
        return spectra.transpose(1, 2)

    def inverse(self, spectra: Tensor, nb_samples: int) -> Tensor:
        """complex (B, nb_frames, nb_bins) -> (B, nb_samples)."""
        return torch.istft(spectra.transpose(1, 2), self.n_fft, self.hop, window=self.window, length=nb_samples)
