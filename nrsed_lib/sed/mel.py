"""Log-mel spectrograms as the DCASE 2024 task 4 baseline computes them, but for the ends of the scale (`SCALERS`).

Two steps, because mixup acts between them: the linear mel spectrogram, where sounds add, and the
scaled one, which the network sees.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

from nrsed_lib.profile import Mel

MIN_AMPLITUDE = 1e-5  # -100 dB
MIN_DB, MAX_DB = -50.0, 80.0


class LinearMel(nn.Module):
    """Waveforms to mel spectrograms of amplitude (power 1, Hamming window, centred frames)."""

    def __init__(self, mel: Mel, sample_rate: int) -> None:
        super().__init__()
        self.spectrogram = MelSpectrogram(
            sample_rate,
            n_fft=mel.n_fft,
            hop_length=mel.hop,
            f_min=mel.f_min,
            f_max=mel.f_max,
            n_mels=mel.nb_mels,
            window_fn=torch.hamming_window,
            wkwargs={"periodic": False},
            power=1.0,
        )

    def forward(self, waveforms: Tensor) -> Tensor:
        """waveforms: (B, nb_samples) → (B, nb_mels, nb_samples // hop + 1), linear amplitude."""
        with torch.autocast(waveforms.device.type, enabled=False):  # an STFT needs float32
            return self.spectrogram(waveforms.float())


def scale(mels: Tensor) -> Tensor:
    """Amplitude to dB (floor -100 dB, limited to -50 … 80 dB), then each clip to 0 … 1 by its own extremes.

    mels: (B, nb_mels, nb_mel_frames) amplitudes → the same shape. A constant clip becomes 0.
    """
    decibels = (20 * mels.clamp_min(MIN_AMPLITUDE).log10()).clamp(MIN_DB, MAX_DB)
    low, high = decibels.amin((1, 2), keepdim=True), decibels.amax((1, 2), keepdim=True)
    return (decibels - low) / (high - low).clamp_min(1e-6)


# By `sed.ways.scaler`. Behind convolutions padded with zeros, -1 … 1 makes another network of the same weights.
SCALERS: dict[str, Callable[[Tensor], Tensor]] = {"ours": scale, "as_released": lambda mels: 2 * scale(mels) - 1}
