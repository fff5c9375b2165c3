"""What DCASE 2024 task 9 measures: SDR, SDR improvement and SI-SDR, with the floors of the challenge's baseline.

They are those of `separation` but for the floors: SDR keeps both mean powers at 1e-10 or above, and SI-SDR adds
the rounding unit of float32 to numerators and denominators, so that silence has a value in both.
"""

from __future__ import annotations

import torch
from torch import Tensor

POWER_FLOOR = 1e-10
ROUNDING = torch.finfo(torch.float32).eps  # of the samples that the baseline reads


def challenge_sdr(estimates: Tensor, targets: Tensor) -> Tensor:
    """(…, nb_samples) each -> (…,) dB: 10 log10(max(P_s, 1e-10) / max(P_{ŝ-s}, 1e-10)), P the mean power."""
    estimates, targets = estimates.double(), targets.double()
    power, error = targets.square().mean(-1), (estimates - targets).square().mean(-1)
    return 10 * (power.clamp(min=POWER_FLOOR) / error.clamp(min=POWER_FLOOR)).log10()


def challenge_si_sdr(estimates: Tensor, targets: Tensor) -> Tensor:
    """(…, nb_samples) each -> (…,) dB: of the targets scaled to fit, (ε + Σ(as)²) / (ε + Σ(ŝ-as)²)."""
    estimates, targets = estimates.double(), targets.double()
    overlap, energy = (targets * estimates).sum(-1), targets.square().sum(-1)
    scaled = ((ROUNDING + overlap) / (ROUNDING + energy))[..., None] * targets
    kept, rest = scaled.square().sum(-1), (estimates - scaled).square().sum(-1)
    return 10 * ((ROUNDING + kept) / (ROUNDING + rest)).log10()
