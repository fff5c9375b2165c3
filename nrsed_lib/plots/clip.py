"""What one clip looks like, drawn on an axis: its spectrogram, and detections beside the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from torch import Tensor

DYNAMIC_RANGE_DB = 70.0


def magnitudes(waveform: Tensor, sample_rate: int) -> Tensor:
    """(nb_samples,) -> (nb_bins, nb_columns): STFT of 16 ms Hann windows, 25 columns a second."""
    size = round(0.016 * sample_rate)
    waveform = waveform.cpu()
    magnitude = torch.stft(waveform, size, size // 2, window=torch.hann_window(size), return_complex=True).abs()
    return F.max_pool1d(magnitude[None], 5, ceil_mode=True)[0]  # a click stays visible


def draw_spectrogram(axis: Axes, waveform: Tensor, sample_rate: int, loudest: float | None = None) -> AxesImage:
    """Levels in dB below the magnitude `loudest`, by default the sound's own; seconds by kHz."""
    magnitude = magnitudes(waveform, sample_rate)
    level = 20 * (magnitude / (loudest or magnitude.max())).clamp(min=1e-6).log10()
    extent = (0.0, len(waveform) / sample_rate, 0.0, sample_rate / 2000)
    return axis.imshow(
        level.numpy(), origin="lower", aspect="auto", extent=extent, vmin=-DYNAMIC_RANGE_DB, vmax=0, cmap="magma",
        interpolation="nearest",
    )  # fmt: skip


def draw_detections(
    axis: Axes, scores: Tensor, truth: Iterable[tuple[float, float, str]], classes: Sequence[str], seconds: float
) -> AxesImage:
    """Frame scores (nb_classes, nb_frames), and the true events (onset s, offset s, label) outlined."""
    image = axis.imshow(
        scores.cpu(), aspect="auto", extent=(0, seconds, len(classes) - 0.5, -0.5), cmap="Blues", vmin=0, vmax=1,
        interpolation="nearest",
    )  # fmt: skip
    for onset, offset, label in truth:
        row = classes.index(label)
        axis.add_patch(plt.Rectangle((onset, row - 0.45), offset - onset, 0.9, fill=False, ec="C3", lw=1.5))
    return image
