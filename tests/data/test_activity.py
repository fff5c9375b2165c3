"""When a sound is active, on sounds whose answer is known."""

import numpy as np
import torch

from nrsed_lib.data.activity import active_power, active_regions

RATE = 16_000


def tone(seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE))


def test_onset_and_offset_are_found_to_a_frame():
    sound = np.concatenate([silence(1.0), tone(0.5), silence(0.7)])
    noise = 1e-3 * np.random.default_rng(0).standard_normal(len(sound))  # -57 dB
    (region,) = active_regions(sound + noise, RATE, max_gap=0.5)
    assert abs(region.start / RATE - 1.0) <= 512 / RATE
    assert abs(region.stop / RATE - 1.5) <= 512 / RATE


def test_only_long_pauses_end_a_region():
    sound = np.concatenate([tone(0.5), silence(0.3), tone(0.5), silence(0.8), tone(0.4)])
    seconds = [(round(r.start / RATE, 1), round(r.stop / RATE, 1)) for r in active_regions(sound, RATE, max_gap=0.5)]
    assert seconds == [(0.0, 1.3), (2.1, 2.5)]
    assert len(active_regions(sound, RATE, max_gap=np.inf)) == 1


def test_clicks_are_dropped_unless_nothing_else_is_there():
    click = tone(0.05)
    assert len(active_regions(np.concatenate([click, silence(1), tone(0.5)]), RATE, max_gap=0.5)) == 1
    assert len(active_regions(np.concatenate([silence(1), click, silence(1)]), RATE, max_gap=0.5)) == 1
    assert active_regions(silence(1), RATE, max_gap=0.5) == []


def test_power_is_that_of_the_active_part():
    sound = torch.tensor(np.concatenate([silence(2), 0.1 * tone(1), silence(1.234)]))[None]
    # A tone of amplitude .1 has power .005; at most one frame in 31 is half empty.
    np.testing.assert_allclose(active_power(sound), 0.005, rtol=1 / 31)


def test_power_of_a_last_frame_that_is_short():
    sound = torch.full((1, 512 + 100), 0.5)
    assert float(active_power(sound)[0]) == 0.25
    assert float(active_power(torch.zeros(1, 700))[0]) == 0.0
