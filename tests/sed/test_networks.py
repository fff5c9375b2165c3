"""CRNN and mn04 compute what the published networks compute, under the published names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden import assert_golden, draw, fill, names_and_shapes, read

from nrsed_lib.errors import DownloadError, WeightsError
from nrsed_lib.sed.crnn import CRNN
from nrsed_lib.sed.encoders.base import build_encoder
from nrsed_lib.sed.encoders.mn04 import MN04, KaldiMel, Mn04Encoder


@pytest.mark.parametrize("name", ["crnn", "crnn_beats"])
@torch.no_grad()
def test_crnn_is_the_published_one(name: str) -> None:
    golden = read(name)
    config = golden["config"]
    size = config.get("embedding_size", 0)
    crnn = CRNN(
        config["nclass"],
        config["nb_filters"],
        config["pooling"],
        config["n_RNN_cell"],
        config["n_layers_RNN"],
        config["dropout"],
        embedding_size=size,
    )
    assert sum(p.numel() for p in crnn.parameters()) == golden["parameters"]
    assert names_and_shapes(crnn) == golden["state_dict_sha256"]
    mels = draw("mel", (1, 128, 626)).clamp(-3, 3) / 6 + 0.5
    strong, weak = fill(crnn)(mels, draw("embedding", (1, size, 496)) if size else None)
    assert_golden(strong, golden["output"]["strong"])
    assert_golden(weak, golden["output"]["weak"])


def test_mn04_front_end() -> None:
    assert_golden(KaldiMel()(0.1 * draw("mn04", (1, 320_000))), read("mn04")["output"]["mel"])


def test_mn04_has_the_published_names() -> None:
    golden = read("mn04")
    network = MN04()
    assert names_and_shapes(network) == golden["state_dict_sha256"]
    assert sum(p.numel() for p in network.parameters()) == golden["parameters"]


@pytest.fixture(scope="module")
def encoder() -> Mn04Encoder:
    try:
        return Mn04Encoder(32_000)
    except DownloadError as error:
        pytest.skip(f"the weights of mn04 are neither cached nor to be had: {error}")


@torch.no_grad()
def test_mn04_with_the_published_weights(encoder: Mn04Encoder) -> None:
    golden = read("mn04")["output"]
    features = encoder.network(encoder.mel(0.1 * draw("mn04", (1, 320_000))))
    assert_golden(features, golden["feature_map"])
    assert_golden(features.mean((2, 3)), golden["embedding"])
    assert_golden(encoder.network.classifier(features), golden["logits"])


def test_encoder_is_frozen_and_batches_agree(encoder: Mn04Encoder) -> None:
    waveforms = 0.1 * draw("noise", (5, 32_000))
    together = encoder.train()(waveforms)
    assert together.shape == (5, encoder.size, 4)
    assert not together.requires_grad
    one_by_one = torch.cat([encoder(w[None]) for w in waveforms])
    torch.testing.assert_close(together, one_by_one, rtol=1e-4, atol=1e-4 * float(together.abs().max()))


def test_encoders_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_encoder("none", 16_000) is None
    monkeypatch.setenv("NRSED_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="nrsed weights convert"):
        build_encoder("beats", 16_000)
