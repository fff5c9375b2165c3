"""The SNR against its definition, written out sample by sample."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsed_lib.data.mixing import measured_snr_db, mix_at_snr, noisy

snrs = st.floats(-20, 30)


def slow_power(x: np.ndarray) -> float:
    """Mean square of the samples of 512-sample frames within 30 dB of the loudest, in float64."""
    frames = [x[i : i + 512].astype(np.float64) for i in range(0, len(x), 512)]
    loudest = max(np.mean(f**2) for f in frames)
    active = [f for f in frames if np.mean(f**2) >= loudest / 1000]
    return float(np.mean(np.concatenate(active) ** 2))


def sounds(seed: int, nb: int, nb_samples: int) -> torch.Tensor:
    """Noise bursts of any level, with digital silence and a quiet background in between."""
    rng = np.random.default_rng(seed)
    gate = np.repeat(rng.choice([0.0, 1e-4, 1.0], (nb, 8), p=[0.3, 0.3, 0.4]), -(-nb_samples // 8), 1)[:, :nb_samples]
    gate[:, 0] = 1.0  # never silent
    return torch.tensor(rng.standard_normal((nb, nb_samples)) * gate * 10 ** rng.uniform(-3, 0, (nb, 1))).float()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), snr=st.lists(snrs, min_size=1, max_size=4), nb_samples=st.integers(600, 9000))
def test_every_row_has_its_snr_to_a_hundredth_of_a_db(seed, snr, nb_samples):
    signals, noises = sounds(seed, len(snr), nb_samples), sounds(seed + 1, len(snr), nb_samples)
    mixtures, scaled = mix_at_snr(signals, noises, torch.tensor(snr))
    for wanted, signal, noise in zip(snr, signals.numpy(), scaled.numpy(), strict=True):
        assert abs(10 * np.log10(slow_power(signal) / slow_power(noise)) - wanted) < 0.01
    torch.testing.assert_close(measured_snr_db(signals, scaled), torch.tensor(snr), atol=0.01, rtol=0)
    assert torch.equal(mixtures, signals + scaled)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), snr=snrs, gain=st.floats(0.01, 100))
def test_the_level_of_the_noise_recording_does_not_matter(seed, snr, gain):
    signals, noises = sounds(seed, 2, 4000), sounds(seed + 1, 2, 4000)
    one = mix_at_snr(signals, noises, torch.full((2,), snr))[0]
    other = mix_at_snr(signals, gain * noises, torch.full((2,), snr))[0]
    torch.testing.assert_close(one, other, atol=1e-5 * float(one.abs().max()), rtol=0)  # float32 rounding of the gain


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), snr=st.lists(snrs, min_size=2, max_size=6))
def test_a_batch_is_its_rows_one_by_one(seed, snr):
    signals, noises = sounds(seed, len(snr), 3000), sounds(seed + 1, len(snr), 3000)
    batch = mix_at_snr(signals, noises, torch.tensor(snr))[0]
    rows = [mix_at_snr(s[None], n[None], torch.tensor([x]))[0] for s, n, x in zip(signals, noises, snr, strict=True)]
    torch.testing.assert_close(batch, torch.cat(rows), atol=1e-6, rtol=1e-5)


def test_silence_between_events_does_not_count():
    burst = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    sparse = torch.cat([burst, torch.zeros(1, 144_000)], 1)
    _, scaled = mix_at_snr(sparse, torch.ones(1, 160_000).mul(0.1), torch.tensor([0.0]))
    # Over all samples the noise would be 10 dB weaker: the burst lasts a tenth of the clip.
    assert float(scaled.square().mean()) == pytest.approx(float(burst.square().mean()), rel=0.03)


def test_no_noise_and_no_sound_pass_unchanged():
    signals = torch.randn(3, 2000)
    noises = torch.randn(3, 2000)
    signals[1], noises[2] = 0, 0
    mixtures, scaled = mix_at_snr(signals, noises, torch.tensor([torch.inf, 0.0, 0.0]))
    assert torch.equal(mixtures, signals)
    assert not scaled.any()


def test_a_silent_row_is_an_error_in_a_test_condition():
    clips, noises = torch.ones(2, 1000), torch.tensor([[1.0], [0.0]]).expand(2, 1000)
    assert noisy(clips, noises, None) is clips
    with pytest.raises(ValueError, match=r"clips \[1\] .*-5 dB"):
        noisy(clips, noises, -5.0)
    mixture = noisy(clips[:1], noises[:1], -20.0)
    assert float(mixture[0, 0]) == pytest.approx(11.0)


@pytest.mark.parametrize("snr", [float("nan"), float("-inf")])
def test_an_impossible_snr_is_an_error(snr):
    with pytest.raises(ValueError, match="snr_db"):
        mix_at_snr(torch.ones(1, 600), torch.ones(1, 600), torch.tensor([snr]))


def test_shapes_that_do_not_fit_are_an_error():
    with pytest.raises(ValueError, match=r"\(2, 600\)"):
        mix_at_snr(torch.ones(2, 600), torch.ones(1, 600), torch.zeros(2))
