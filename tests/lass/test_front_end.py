"""STFT, bands and text: what goes into the network and comes back."""

from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import torch

from nrsed_lib.errors import WeightsError
from nrsed_lib.lass.bands import band_filters
from nrsed_lib.lass.separator import Separator
from nrsed_lib.lass.stft import Stft
from nrsed_lib.lass.text import LearnedText, text_encoder
from nrsed_lib.profile import Lass

TRAIN = {"steps": 1, "warmup_steps": 0, "batch": 1, "seconds": 1}
SMALL = Lass(
    n_fft=64, hop=32, nb_bands=16, nb_channels=[4, 6, 8], condition_size=8, dprnn_layers=1, dprnn_hidden=4, train=TRAIN
)


def test_stft_is_that_of_scipy() -> None:
    x = np.random.default_rng(0).standard_normal(1000)
    ours = Stft(64, 16)(torch.from_numpy(x)[None])[0].numpy()
    padded = np.pad(x, 32, mode="reflect")
    window = scipy.signal.get_window("hann", 64)
    frames = np.stack([np.fft.rfft(window * padded[i * 16 : i * 16 + 64]) for i in range(1 + 1000 // 16)])
    np.testing.assert_allclose(ours, frames, atol=1e-5 * np.abs(frames).max())


@pytest.mark.parametrize("nb_samples", [1000, 1024, 1029])
def test_nothing_is_lost_without_a_mask(nb_samples: int) -> None:
    x = torch.randn(2, nb_samples)
    stft = Stft(64, 32)
    torch.testing.assert_close(stft.inverse(stft(x), nb_samples), x, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("nb_bins", "nb_bands"), [(257, 64), (513, 64), (513, 128), (65, 65), (33, 2)])
def test_bands(nb_bins: int, nb_bands: int) -> None:
    filters = band_filters(nb_bins, nb_bands)
    torch.testing.assert_close(filters.sum(0), torch.ones(nb_bins))  # a mask of ones stays one
    assert (filters >= 0).all()
    assert (filters.sum(1) > 0).all()  # no band is empty
    centres = filters.argmax(1)
    assert (centres.diff() >= 1).all()
    assert centres[0] == 0
    assert centres[-1] == nb_bins - 1
    gaps = centres.diff()
    assert (gaps.diff() >= -1).all()  # ever wider, to a bin
    assert (gaps[: nb_bands // 8] == 1).all()  # one bin a band at the bottom


def test_a_mask_of_bands_is_interpolated() -> None:
    filters = band_filters(129, 20)
    mask = torch.rand(20)
    inside = mask @ filters
    assert inside.min() >= mask.min() - 1e-6
    assert inside.max() <= mask.max() + 1e-6


def test_more_bands_than_bins_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"nb_bands 300 must lie in 2 … 257"):
        band_filters(257, 300)


def test_bands_that_cannot_be_halved_are_an_error() -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        Separator(SMALL.model_copy(update={"nb_bands": 24, "nb_channels": [4] * 5}))


def test_any_length_comes_back_as_long() -> None:
    separator = Separator(SMALL).eval()
    conditions = separator.embed(["dog", "running water"])
    for nb_samples in (640, 1000, 1217):
        assert separator(torch.randn(2, nb_samples), conditions).shape == (2, nb_samples)


def test_the_query_matters() -> None:
    torch.manual_seed(0)
    separator = Separator(SMALL).eval()
    mixture = torch.randn(1, 1000)
    dog, cat = separator.embed(["dog", "cat"]).split(1)
    assert (separator(mixture, dog) - separator(mixture, cat)).abs().max() > 1e-4


def test_texts() -> None:
    torch.manual_seed(0)
    encoder = LearnedText(16)
    texts = ["electric shaver toothbrush", "dog", "Dog", "vacuum cleaner"]
    together = encoder.embed(texts)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(together, torch.cat([encoder.embed([t]) for t in texts]))
    torch.testing.assert_close(together[1], together[2])
    assert (together[0] - together[3]).norm() > 0.1


def test_an_empty_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="query ' ' has no word"):
        LearnedText(8).embed(["dog", " "])


def test_clap_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NRSED_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"clap\.safetensors is missing: get .* from https://"):
        text_encoder(SMALL.model_copy(update={"text": "clap"}))
