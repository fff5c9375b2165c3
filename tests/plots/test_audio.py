"""Sounds in notebooks: files that are what they say, each player with its title, and none of a recording."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
import torch

from nrsed_lib.plots.audio import listen, ogg, player_widget
from nrsed_lib.profile import load_profile

DATA = load_profile("smoke").data
TONE = 0.25 * torch.sin(2 * torch.pi * 440 * torch.arange(8000) / 16_000)


@pytest.mark.parametrize(("gain", "peak", "expected"), [(1, None, 0.25), (8, None, 1), (1, 0.5, 0.5), (8, 0.5, 0.5)])
def test_levels_stay_unless_a_peak_is_asked_for_or_full_scale_is_passed(gain, peak, expected):
    samples, rate = soundfile.read(io.BytesIO(ogg(gain * TONE, 16_000, peak)))
    assert rate == 16_000 and len(samples) == 8000
    assert np.abs(samples).max() == pytest.approx(expected, rel=0.1)


def test_silence_stays_silent():
    assert not np.abs(soundfile.read(io.BytesIO(ogg(torch.zeros(8000), 16_000, 0.5)))[0]).max()


def test_one_block_has_each_title_with_its_sound():
    block = listen({"a <b>": TONE, "second": 2 * TONE}, DATA).data
    found = re.findall(r'<figcaption>(.*?)</figcaption><audio controls src="data:audio/ogg;base64,(.*?)">', block)
    assert [title for title, _ in found] == ["a &lt;b&gt;", "second"]
    levels = [np.abs(soundfile.read(io.BytesIO(base64.b64decode(file)))[0]).max() for _, file in found]
    assert levels[1] == pytest.approx(2 * levels[0], rel=0.1)


def test_recordings_stay_out_of_notebooks():
    block = listen({"a clip": TONE}, load_profile("open").data).data
    assert "base64" not in block and "a clip" in block and "rate=16000" in block


def test_the_widget_says_that_it_is_ogg():
    assert player_widget(TONE, 16_000).format == "ogg"
