"""Mel, median filter, time axis and batching of the detector."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
import torch

from nrsed_lib.data.clips import Clips
from nrsed_lib.profile import Mel, Profile, load_profile
from nrsed_lib.sed.detector import Detector, load_detector, median_filter, predict
from nrsed_lib.sed.mel import LinearMel, scale
from nrsed_lib.store import write_tensors


@pytest.fixture(scope="module")
def smoke() -> Profile:
    return load_profile("smoke")


@pytest.fixture(scope="module")
def detector(smoke: Profile) -> Detector:
    torch.manual_seed(0)
    return Detector(smoke).eval()


def test_mel_of_a_tone() -> None:
    """A sine of amplitude a in a Hamming window of n samples has a peak of a · sum(window) / 2."""
    mel = LinearMel(Mel(), 16_000)
    tone = 0.5 * torch.sin(2 * torch.pi * 1000 * torch.arange(160_000) / 16_000)  # 1 kHz is bin 128 exactly
    mels = mel(tone[None])
    assert mels.shape == (1, 128, 626)
    bank = mel.spectrogram.mel_scale.fb  # (1025, 128)
    window = torch.hamming_window(2048, periodic=False).double()
    spectrum = torch.fft.rfft(tone[:2048].double() * window).abs().float()
    # A bin-centred tone has the same magnitude spectrum in every frame away from the ends.
    torch.testing.assert_close(mels[0, :, 100], spectrum @ bank, rtol=1e-3, atol=1e-3 * float(mels.max()))
    assert spectrum[128] == pytest.approx(0.5 * float(window.sum()) / 2, rel=1e-4)


def test_scale_is_decibels_between_a_clips_own_extremes() -> None:
    mels = torch.tensor([[[1.0, 0.1], [0.01, 1e-9]], [[2.0, 2.0], [2.0, 2.0]]])
    # 0, -20, -40 dB, and silence at the limit of -50 dB
    expected = torch.tensor([[[1.0, 0.6], [0.2, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    torch.testing.assert_close(scale(mels), expected)
    loud = mels[:1] + 0.01  # all above the floor: the gain of a recording does not matter
    torch.testing.assert_close(scale(3 * loud), scale(loud))


@pytest.mark.parametrize("frames", [1, 3, 7])
def test_median_filter_is_scipys(frames: int) -> None:
    scores = torch.rand(3, 4, 50, generator=torch.Generator().manual_seed(0))
    expected = scipy.ndimage.median_filter(scores.numpy(), size=(1, 1, frames), mode="nearest")
    np.testing.assert_array_equal(median_filter(scores, frames).numpy(), expected)


def test_median_filter_needs_a_middle() -> None:
    with pytest.raises(ValueError, match="odd"):
        median_filter(torch.zeros(1, 1, 5), 4)


def test_predicting_in_a_batch_is_one_by_one(detector: Detector, smoke: Profile) -> None:
    waveforms = 0.1 * torch.randn(5, smoke.data.nb_samples, generator=torch.Generator().manual_seed(0))
    frames, clips = predict(detector, waveforms, batch=4)
    assert frames.shape == (5, len(smoke.data.classes), detector.nb_frames)
    for i, waveform in enumerate(waveforms):
        alone = predict(detector, waveform[None])
        torch.testing.assert_close(frames[i], alone[0][0], atol=1e-5, rtol=0)  # float32, sums in another order
        torch.testing.assert_close(clips[i], alone[1][0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("profile", ["smoke", "mini", "paper"])
def test_labels_and_detections_share_their_time_axis(profile: str) -> None:
    """A burst lights up, in the CNN's input after its pooling in time, the frames that its label names."""
    settings = load_profile(profile, {"sed.encoder": "none"})
    detector, data = Detector(settings), settings.data
    onset, offset = 0.31 * data.clip_seconds, 0.67 * data.clip_seconds
    time = torch.arange(data.nb_samples) / data.sample_rate
    burst = 0.1 * torch.sin(2 * torch.pi * 1000 * time) * ((time >= onset) & (time < offset))
    events = pd.DataFrame(
        [["a", onset, offset, data.classes[0]]], columns=["filename", "onset", "offset", "event_label"]
    )
    clips = Clips(["a"], (burst[None] * 32768).short(), events, tuple(data.classes), data.sample_rate)
    label = clips.strong(detector.nb_frames)[0, 0].nonzero().flatten()
    level = detector.mel(burst[None]).sum(1)  # (1, nb_mel_frames)
    for frames, _ in settings.sed.crnn.pooling:
        level = torch.nn.functional.avg_pool1d(level, frames)
    heard = (level[0] > 0.5 * level.max()).nonzero().flatten()
    assert abs(int(heard[0]) - int(label[0])) <= 1
    assert abs(int(heard[-1]) - int(label[-1])) <= 1


def test_saved_and_loaded(detector: Detector, smoke: Profile, tmp_path) -> None:
    write_tensors(tmp_path / "a.safetensors", detector.crnn.state_dict(), classes=detector.classes)
    waveforms = 0.1 * torch.randn(2, smoke.data.nb_samples, generator=torch.Generator().manual_seed(1))
    same = load_detector(tmp_path / "a.safetensors", smoke)
    for a, b in zip(predict(detector, waveforms), predict(same, waveforms), strict=True):
        torch.testing.assert_close(a, b, atol=0, rtol=0)
    other = load_profile("smoke", {"data.classes": ["Cat", "Dog", "Frying", "Speech"]})
    with pytest.raises(ValueError, match=r"a\.safetensors"):
        load_detector(tmp_path / "a.safetensors", other)
