"""Mixing at a signal-to-noise ratio: the only definition of SNR in this project.

SNR = 10 log10(P_signal / P_noise), with P the mean square over active samples (`activity.py`). A
signal of two dog barks and a noise that knocks three times are compared while they sound, whatever
the silence between.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nrsed_lib.data.activity import active_power


def mix_at_snr(signals: Tensor, noises: Tensor, snr_db: Tensor) -> tuple[Tensor, Tensor]:
    """Add `noises`, scaled so that each row has its SNR. Batched, on the device of `signals`.

    signals, noises: (B, nb_samples) float; snr_db: (B,) dB, +inf for no noise
    → mixtures (B, nb_samples), scaled noises (B, nb_samples); mixtures = signals + scaled noises.
    Exact to 0.01 dB. Where signal or noise is all zeros no SNR exists: that row's signal passes
    unchanged and its scaled noise is zero. Nothing is clipped.

    Raises ValueError for shapes that do not fit, and for an SNR of NaN or -inf.
    """
    if signals.ndim != 2 or signals.shape != noises.shape or snr_db.shape != signals.shape[:1]:
        raise ValueError(
            f"give signals (B, nb_samples), noises (B, nb_samples) and snr_db (B,), not {tuple(signals.shape)}, "
            f"{tuple(noises.shape)} and {tuple(snr_db.shape)}"
        )
    if not bool((snr_db > -torch.inf).all()):  # NaN compares false
        raise ValueError(f"snr_db {snr_db.tolist()} must be numbers above -inf (+inf: no noise)")
    snr_db = snr_db.to(signals)
    wanted = active_power(signals) * 10 ** (-snr_db / 10)  # (B,), of the noise
    power = active_power(noises)
    gain = torch.where(power > 0, wanted / power, 0).sqrt()
    scaled = gain[:, None] * noises
    return signals + scaled, scaled


def measured_snr_db(signals: Tensor, noises: Tensor) -> Tensor:
    """SNR of rows of signals and noises, (B, nb_samples) each → (B,) dB; +inf without noise."""
    return 10 * (active_power(signals) / active_power(noises)).log10()


def noisy(waveforms: Tensor, noises: Tensor, snr_db: float | None) -> Tensor:
    """Clips (B, nb_samples) in a test condition: at one SNR in dB, or as they are (None: clean).

    Raises ValueError naming the rows whose clip or noise is silent: they would pass for noisy.
    """
    if snr_db is None:
        return waveforms
    silent = (active_power(waveforms) == 0) | (active_power(noises) == 0)
    if bool(silent.any()):
        raise ValueError(f"clips {silent.nonzero().flatten().tolist()} or their noises are silent: no {snr_db:g} dB")
    return mix_at_snr(waveforms, noises, torch.full(waveforms.shape[:1], snr_db, device=waveforms.device))[0]
