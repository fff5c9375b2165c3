"""From a published checkpoint of BEATs to the published embeddings, and what is refused on the way."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import pytest
import torch
from published import beats_checkpoint, beats_shapes, digest, draw, filled, golden

from nrsed_lib.convert.convert import convert
from nrsed_lib.errors import WeightsError
from nrsed_lib.profile import load_profile
from nrsed_lib.sed.detector import Detector
from nrsed_lib.sed.encoders import beats as encoders
from nrsed_lib.sed.encoders.base import build_encoder
from nrsed_lib.sed.encoders.beats import BeatsEncoder
from nrsed_lib.store import read_tensors
from nrsed_lib.weights import about_weights

SMALL = {"nb_layers": 2, "size": 64, "hidden": 96, "nb_heads": 4}
BFLOAT16 = 0.02  # of the rms: some 100 tensors on the way are each rounded by up to 2⁻⁹, and √100 x 2⁻⁹ is 2 %


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory):
    """A weights folder with BEATs at its published size, converted from a `.pt`."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NRSED_WEIGHTS", str(folder))
        torch.save(beats_checkpoint(), folder / "BEATs_iter3_plus_AS2M.pt")
        convert(folder / "BEATs_iter3_plus_AS2M.pt")
        (folder / "BEATs_iter3_plus_AS2M.pt").unlink()
        yield folder


def test_the_checkpoint_has_the_published_names_and_shapes() -> None:
    shapes = beats_shapes()
    assert len(shapes) == golden("beats")["nb_entries"]
    assert digest(shapes) == golden("beats")["state_dict_sha256"]


def error(output: torch.Tensor, summary: dict) -> float:
    """Largest difference of 64 samples, in rms of the published output."""
    assert list(output.shape) == summary["shape"]
    flat = output.flatten()
    sample = flat[torch.linspace(0, len(flat) - 1, 64).long()]
    return float((sample - torch.tensor(summary["sample"])).abs().max()) / summary["rms"]


def test_published_embeddings(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = golden("beats")["output"]
    beats = build_encoder("beats", 16_000)
    assert isinstance(beats, BeatsEncoder)
    waveforms = 0.1 * draw("beats", (1, 32_000))
    assert error(beats.mel(waveforms), published["fbank"]) < 1e-4
    embeddings = beats(waveforms)
    assert error(embeddings.transpose(1, 2), published["features"]) < 1e-4
    assert embeddings.square().mean().sqrt().item() == pytest.approx(published["features"]["rms"], rel=1e-4)

    monkeypatch.setattr(encoders, "has_bfloat16", lambda x: True)
    beats.low_precision = True
    rounded = beats(waveforms)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, embeddings)
    assert (rounded - embeddings).square().mean().sqrt() < BFLOAT16 * embeddings.square().mean().sqrt()
    assert error(rounded.transpose(1, 2), published["features"]) < 5 * BFLOAT16  # the worst of 64


@torch.no_grad()
def test_published_detector_of_the_paper_profile(weights: Path) -> None:
    """The CRNN gets its embeddings averaged to 156 frames, where the published one is given 496 and averages them.

    In bfloat16 some 30 tensors on the way to a logit are rounded: √30 x 2⁻⁹ = 1 % of it, so of logits within 1,
    as are the published ones, up to 0.0027 in probability (the sigmoid's slope is at most 1/4).
    """
    published = golden("crnn_beats")
    detector = Detector(load_profile("paper")).eval()
    shapes = {k: tuple(v.shape) for k, v in detector.crnn.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert digest(shapes) == published["state_dict_sha256"]
    detector.crnn.load_state_dict(filled(shapes), strict=False)
    detector.encoder = torch.nn.Identity()  # given embeddings, gives them
    detector.encoder.frame_seconds = BeatsEncoder.frame_seconds
    embeddings = detector.embeddings(draw("embedding", (1, 768, 496)))
    assert embeddings.shape == (1, 768, 156)
    mels = draw("mel", (1, 128, 626)).clamp(-3, 3) / 6 + 0.5
    strong, weak = detector.crnn(mels, embeddings)
    assert error(strong, published["output"]["strong"]) < 1e-4
    assert error(weak, published["output"]["weak"]) < 1e-4
    with torch.autocast("cpu", torch.bfloat16):
        rounded_strong, rounded_weak = detector.crnn(mels, embeddings)
    assert (rounded_strong - strong).square().mean().sqrt() < 0.0027
    assert (rounded_weak - weak).square().mean().sqrt() < 0.0027
    assert (rounded_strong - strong).abs().max() < 5 * 0.0027  # the worst of 1560


def test_ten_seconds_give_496_embeddings_of_768(weights: Path) -> None:
    beats = build_encoder("beats", 16_000)
    assert beats is not None
    embeddings = beats.train()(torch.zeros(1, 160_000))
    assert embeddings.shape == (1, 768, 496) == (1, beats.size, 496)
    assert 496 * beats.frame_seconds == pytest.approx(10, abs=0.16)  # what does not fill a patch is dropped
    assert not embeddings.requires_grad
    assert not beats.training


def small(folder: Path, checkpoint: dict) -> Path:
    path = folder / "small.pt"
    torch.save(checkpoint, path)
    return path


@pytest.fixture(scope="module")
def checkpoint() -> dict:
    return beats_checkpoint(**SMALL)


def test_architecture_and_source_are_recorded(checkpoint: dict, tmp_path: Path) -> None:
    path, report = convert(small(tmp_path, checkpoint), out=str(tmp_path / "beats.safetensors"))
    about = about_weights(path)
    assert about["architecture"] == {
        "patch_size": 512, "size": 64, "nb_layers": 2, "nb_hidden": 96, "nb_heads": 4, "nb_buckets": 320,
        "width": 128, "nb_groups": 16, "reach": 800,
    }  # fmt: skip
    assert about["source"] == "small.pt"
    assert about["sha256"] == hashlib.sha256((tmp_path / "small.pt").read_bytes()).hexdigest()
    assert set(report.published) == set(checkpoint["model"])
    assert set(report.here) == set(read_tensors(path)[0])


def test_new_weight_norm_names_and_a_predictor_make_no_difference(checkpoint: dict, tmp_path: Path) -> None:
    other = copy.deepcopy(checkpoint)
    conv, model = "encoder.pos_conv.0.", other["model"]
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        model[f"{conv}parametrizations.weight.{new}"] = model.pop(conv + old)
    model["predictor.weight"], model["predictor.bias"] = torch.zeros(527, 64), torch.zeros(527)
    old_path, _ = convert(small(tmp_path, checkpoint), out=str(tmp_path / "old.safetensors"))
    new_path, report = convert(small(tmp_path, other), out=str(tmp_path / "new.safetensors"))
    old, new = read_tensors(old_path)[0], read_tensors(new_path)[0]
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert set(report[report.here.isna() | (report.here == "")].published) == {"predictor.weight", "predictor.bias"}


def test_every_tensor_that_does_not_fit_is_named(checkpoint: dict, tmp_path: Path) -> None:
    broken = copy.deepcopy(checkpoint)
    del broken["model"]["encoder.layers.1.fc2.bias"]
    broken["model"]["encoder.extra"] = torch.zeros(3)
    broken["model"]["layer_norm.weight"] = torch.zeros(7)
    with pytest.raises(WeightsError) as caught:
        convert(small(tmp_path, broken), out=str(tmp_path / "x.safetensors"))
    message = str(caught.value)
    assert "missing: encoder.layers.1.fc2.bias [64]" in message
    assert "unexpected: encoder.extra [3]" in message
    assert "shape of layer_norm.weight: [7]" in message
    assert not (tmp_path / "x.safetensors").exists()


def test_what_the_network_is_not_written_for_is_an_error(checkpoint: dict, tmp_path: Path) -> None:
    ungated = {**checkpoint, "cfg": {**checkpoint["cfg"], "gru_rel_pos": False}}
    with pytest.raises(WeightsError, match=r"cfg has \{'gru_rel_pos': False\}"):
        convert(small(tmp_path, ungated))
    tables = copy.deepcopy(checkpoint)
    tables["model"]["encoder.layers.1.self_attn.relative_attention_bias.weight"] = torch.zeros(320, 4)
    with pytest.raises(WeightsError, match=r"layers\.1\.self_attn\.relative_attention_bias\.weight.*differ"):
        convert(small(tmp_path, tables))


def test_missing_weights_say_where_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NRSED_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        build_encoder("beats", 16_000)
    message = str(caught.value)
    assert str(tmp_path / "beats.safetensors") in message
    assert "https://github.com/microsoft/unilm" in message
    assert "nrsed weights convert BEATs_iter3_plus_AS2M.pt --kind beats" in message
