"""When a sound is active: the one definition behind trimming, event levels and the SNR.

A sound is cut into frames of 512 samples (32 ms at 16 kHz). A frame is active when its mean square
is within 30 dB of the loudest frame's: pauses, background and digital silence do not count.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FRAME = 512  # samples
RANGE_DB = 30.0  # below the loudest frame


def active_power(waveforms: Tensor) -> Tensor:
    """Mean square over the active samples. waveforms: (B, nb_samples) float → (B,); 0 for silence.

    Scaling a waveform by g scales its power by g² exactly, since activity is relative.
    """
    nb_frames, rest = divmod(waveforms.shape[-1], FRAME)  # the last frame may be shorter
    whole, last = waveforms.split([nb_frames * FRAME, rest], -1)
    # A norm squares and sums in one pass, without a padded copy and its squares.
    energy = torch.linalg.vector_norm(whole.unflatten(-1, (nb_frames, FRAME)), dim=-1).square()  # (B, nb_frames)
    if rest:
        energy = torch.cat([energy, torch.linalg.vector_norm(last, dim=-1, keepdim=True).square()], -1)
    length = energy.new_tensor([FRAME] * nb_frames + [rest] * (rest > 0))
    power = energy / length
    active = (power >= power.amax(-1, keepdim=True) * 10 ** (-RANGE_DB / 10)).to(energy.dtype)
    return (energy * active).sum(-1) / (length * active).sum(-1)


def active_regions(
    sound: NDArray[np.floating], sample_rate: int, max_gap: float, min_length: float = 0.2
) -> list[slice]:
    """Where `sound` (nb_samples,) is active, as slices of samples in order.

    Pauses of at most `max_gap` seconds do not end a region; regions shorter than `min_length`
    seconds are dropped, unless that would leave none. Silence gives no region.
    """
    hop = FRAME // 2  # finer than a frame, so that an onset is found to 16 ms
    padded = np.pad(sound, (0, -len(sound) % hop + hop))
    halves = np.square(padded).reshape(-1, hop).sum(1)
    power = halves[:-1] + halves[1:]  # of the frame that starts at each hop
    if not power.any():
        return []
    frames = np.flatnonzero(power >= power.max() * 10 ** (-RANGE_DB / 10))
    breaks = np.flatnonzero(np.diff(frames) * hop > max_gap * sample_rate + FRAME)
    starts, stops = frames[np.r_[0, breaks + 1]], frames[np.r_[breaks, -1]]
    regions = [slice(int(a) * hop, min((int(b) + 2) * hop, len(sound))) for a, b in zip(starts, stops, strict=True)]
    long = [r for r in regions if r.stop - r.start >= min_length * sample_rate]
    return long or [max(regions, key=lambda r: r.stop - r.start)]
