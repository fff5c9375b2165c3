import math
import warnings

import numpy as np
import pytest
import torch

from nrsed_lib.evaluate.separation import mean_interval, sdr, sdr_gained, si_sdr

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import fast_bss_eval


def orthogonal(nb_samples: int = 1000) -> tuple[torch.Tensor, torch.Tensor]:
    """A target and a disturbance of equal energy with no overlap."""
    target, noise = torch.zeros(2, nb_samples)
    target[0::2], noise[1::2] = 1.0, 1.0
    return target, noise


@pytest.mark.parametrize("snr", [-20.0, -3.0, 0.0, 12.5])
def test_closed_forms(snr: float) -> None:
    target, noise = orthogonal()
    mixture = target + 10 ** (-snr / 20) * noise
    assert sdr(mixture, target).item() == pytest.approx(snr, abs=1e-5)
    assert si_sdr(3 * mixture, target).item() == pytest.approx(snr, abs=1e-5)  # blind to the gain
    # half the target: |s|² / |s/2|² = 4
    assert sdr(target / 2, target).item() == pytest.approx(10 * math.log10(4), abs=1e-6)
    # silence improves by what the mixture lacked
    gained = sdr_gained(torch.zeros_like(target), mixture, target)
    assert gained["improvement"].item() == pytest.approx(-snr, abs=1e-5) == gained["silence"].item()


def test_a_perfect_estimate_is_infinitely_good() -> None:
    target, _ = orthogonal()
    assert sdr(target, target) == torch.inf


def test_si_sdr_is_that_of_fast_bss_eval() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(6, 4000, generator=generator).double()
    estimates = targets * torch.rand(6, 1, generator=generator) + torch.randn(6, 4000, generator=generator)
    theirs = fast_bss_eval.si_sdr(targets[:, None].numpy(), estimates[:, None].numpy())[:, 0]
    np.testing.assert_allclose(si_sdr(estimates, targets).numpy(), theirs, atol=1e-3)


def test_batched_is_one_by_one() -> None:
    estimates, targets = torch.randn(2, 3, 4, 500)
    for measure in (sdr, si_sdr):
        slow = [[measure(e, t) for e, t in zip(es, ts, strict=True)] for es, ts in zip(estimates, targets, strict=True)]
        torch.testing.assert_close(measure(estimates, targets), torch.tensor(slow, dtype=torch.float64))


def test_interval_of_a_mean() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    mean, low, high = mean_interval(values)
    assert mean == values.mean()
    half = 1.96 * values.std() / 20  # of a mean of 400
    assert low == pytest.approx(mean - half, abs=0.15 * half)
    assert high == pytest.approx(mean + half, abs=0.15 * half)
