"""What the network sees of a spectrum, and how its mask comes back: every bin, or fewer bands.

At AudioSep's scale the network works on all bins. At a scale that a laptop trains, most of its work
would go into high bins that say nearly the same thing, so bins are gathered into bands: one bin a
band at the bottom, where pitch is, and ever wider above, like hearing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def band_filters(nb_bins: int, nb_bands: int) -> Tensor:
    """Triangular filters (nb_bands, nb_bins) that add up to 1 in every bin.

    The centre of band i lies at bin k sinh(i / k): one bin apart at the bottom, exponentially wider
    at the top; k puts the last centre on the last bin.

    Raises ValueError when there are more bands than bins.
    """
    if not 2 <= nb_bands <= nb_bins:
        raise ValueError(f"nb_bands {nb_bands} must lie in 2 … {nb_bins}, the number of bins of the STFT")
    low, high = (nb_bands - 1) / 50, 1e6  # the last centre falls as k grows: bisect
    for _ in range(200):
        k = math.sqrt(low * high)
        low, high = (k, high) if k * math.sinh((nb_bands - 1) / k) > nb_bins - 1 else (low, k)
    centres = high * torch.sinh(torch.arange(nb_bands, dtype=torch.float64) / high)
    centres[-1] = nb_bins - 1
    bins = torch.arange(nb_bins, dtype=torch.float64)
    above = torch.searchsorted(centres, bins, right=True).clamp(max=nb_bands - 1)
    share = (bins - centres[above - 1]) / (centres[above] - centres[above - 1])  # 0 at the centre below, 1 above
    filters = torch.zeros(nb_bands, nb_bins, dtype=torch.float64)
    filters[above - 1, torch.arange(nb_bins)] = 1 - share
    filters[above, torch.arange(nb_bins)] += share
    return filters.float()


class Bins(nn.Module):
    """The published front end: raw magnitudes of every bin in, logits of every bin out."""

    def __init__(self, nb_bins: int) -> None:
        super().__init__()
        self.nb_features = nb_bins
        self.nb_masks = 3  # magnitude, and a phase rotation as real and imaginary part

    def gather(self, magnitudes: Tensor) -> Tensor:
        return magnitudes

    add_up = spread = gather  # a bin is a band of its own


class Bands(nn.Module):
    """Level of each band in, one mask a band out, interpolated between the centres of the bands.

    The phase stays the mixture's: a band of several bins has no single phase to rotate.
    """

    filters: Tensor

    def __init__(self, nb_bins: int, nb_bands: int) -> None:
        super().__init__()
        self.nb_features = nb_bands
        self.nb_masks = 1
        self.register_buffer("filters", band_filters(nb_bins, nb_bands), persistent=False)

    def gather(self, magnitudes: Tensor) -> Tensor:
        """(B, nb_frames, nb_bins) -> levels (B, nb_frames, nb_bands), natural log of the band's magnitude.

        The floor, 1e-3, is where 16-bit rounding lies for the window lengths in use.
        """
        return torch.log(magnitudes @ self.filters.T + 1e-3)

    def add_up(self, products: Tensor) -> Tensor:
        """Energies or products of spectra, (B, nb_frames, nb_bins) -> (B, nb_frames, nb_bands)."""
        return products @ self.filters.T

    def spread(self, masks: Tensor) -> Tensor:
        """(B, …, nb_bands) -> (B, …, nb_bins)."""
        return masks @ self.filters
