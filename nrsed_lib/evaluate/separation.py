"""How well a sound was separated: distortion ratios in dB, batched.

Definitions. SDR = 10 log10(|s|² / |s - ŝ|²), with no filter or gain allowed. SI-SDR (Le Roux et al.
2019) first scales s to fit ŝ, so a wrong gain costs nothing. An improvement is the ratio of the
estimate minus that of the mixture taken as an estimate.
"""

from __future__ import annotations

from torch import Tensor


def sdr(estimates: Tensor, targets: Tensor) -> Tensor:
    """(…, nb_samples) each -> (…,) dB; +inf when equal, -inf or NaN for a silent target."""
    return _ratio_db(targets.double(), (targets - estimates).double())


def si_sdr(estimates: Tensor, targets: Tensor) -> Tensor:
    """(…, nb_samples) each -> (…,) dB. Means are kept: they are part of the signals."""
    estimates, targets = estimates.double(), targets.double()
    gain = (estimates * targets).sum(-1, keepdim=True) / targets.square().sum(-1, keepdim=True)
    return _ratio_db(gain * targets, gain * targets - estimates)


def sdr_improvement(estimates: Tensor, mixtures: Tensor, targets: Tensor) -> Tensor:
    """(…, nb_samples) each -> (…,) dB: what separation gained over doing nothing."""
    return sdr(estimates, targets) - sdr(mixtures, targets)


def _ratio_db(signal: Tensor, distortion: Tensor) -> Tensor:
    return 10 * (signal.square().sum(-1) / distortion.square().sum(-1)).log10()
