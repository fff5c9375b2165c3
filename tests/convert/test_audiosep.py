"""From a published checkpoint of AudioSep-DP, CLAP inside, to the published tracks and text embeddings."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from published import Shapes, clap_state, draw, filled, golden, lightning_checkpoint, text_shapes
from torch import Tensor, nn

from nrsed_lib.artefacts import open_run, run_key
from nrsed_lib.convert.convert import convert
from nrsed_lib.errors import WeightsError
from nrsed_lib.lass import clap
from nrsed_lib.lass import separator as separators
from nrsed_lib.lass.clap import ClapText
from nrsed_lib.lass.resunet import ResUNet
from nrsed_lib.lass.separator import Separator, load_separator
from nrsed_lib.lass.training import train_separator
from nrsed_lib.profile import Lass, Profile, load_profile
from nrsed_lib.store import read_tensors
from nrsed_lib.weights import about_weights

TRAIN = {"steps": 1, "warmup_steps": 0, "batch": 1, "seconds": 1}
TEXT = {"nb_layers": 2, "size": 128, "hidden": 96, "nb_words": 300}
TEXTS = ["dog", "running water", "electric shaver toothbrush"]


def net_shapes(name: str) -> Shapes:
    """Names and shapes of a published network: what the golden file has a digest of."""
    config = golden(name)["config"]
    with torch.device("meta"):
        net = ResUNet(
            513, 3, Lass(train=TRAIN).nb_channels, 512, config.get("dprnn_layers", 0), config.get("dprnn_hidden", 0)
        )
    shapes = {k: tuple(v.shape) for k, v in net.state_dict().items() if v.is_floating_point()}
    lines = "\n".join(f"{k} {list(v)}" for k, v in sorted(shapes.items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == golden(name)["names_sha256"]
    return shapes


def write_vocabulary(folder: Path) -> None:
    """A tokenizer of RoBERTa's kind: single letters, and a few pairs joined."""
    folder.mkdir(parents=True)
    letters = [*"abcdefghijklmnopqrstuvwxyz", "Ġ"]  # the last stands for a space
    pairs = ["do", "ru", "Ġw"]
    words = ["<s>", "<pad>", "</s>", "<unk>", *letters, *pairs, "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\nd o\nr u\nĠ w\n")
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    """A weights folder: AudioSep-DP (6 layers of 256) with a small CLAP inside, and a vocabulary."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NRSED_WEIGHTS", str(folder))
        write_vocabulary(folder / "roberta-base")
        file = folder / "dp.ckpt"
        torch.save(lightning_checkpoint(net_shapes("resunet30_dprnn6"), clap_state(**TEXT)), file)
        path, report = convert(file)
        assert path == folder / "audiosep-dp.safetensors"  # so named for its DPRNN
        file.unlink()
        assert report.here.str.startswith("net.").any()
        yield folder


def paper(**lass: object) -> Profile:
    """The smoke profile with the paper's separator."""
    published = load_profile("paper").lass.model_dump() | {"train": TRAIN, "weights": "audiosep-dp"} | lass
    return load_profile("smoke", {"lass": published})


def test_stage_05_takes_converted_weights_and_separates_as_published(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run("05", paper())
    history = train_separator(run)
    assert len(history) == 0
    assert list(train_separator(run).columns) == list(history.columns)  # again: only read
    separator = load_separator(run.folder / "separator.safetensors", run.profile)
    mixture, condition = 0.1 * draw("mixture", (1, 1, 32000))[0], draw("condition", (1, 512))
    summary = golden("resunet30_dprnn6")["output"]["waveform"]

    def worst(track: Tensor) -> float:
        sample = track.cpu().flatten()[torch.linspace(0, track.numel() - 1, 64).long()]
        return float((sample - torch.tensor(summary["sample"])).abs().max()) / summary["rms"]

    separator.low_precision = False
    with torch.inference_mode():
        track = separator(
            mixture.to(separator.text.here.device), (condition / condition.norm()).to(separator.text.here)
        )
    assert worst(track) < 1e-4
    assert paper().lass.bfloat16  # what the paper profile asks for, where the processor has it
    about = read_tensors(run.folder / "separator.safetensors")[1]
    assert about["sha256"] == about_weights(folder / "audiosep-dp.safetensors")["sha256"]
    assert separator.embed(TEXTS).shape == (3, 512)  # by the text branch of the same file


def test_architecture_is_read_from_shapes(folder: Path) -> None:
    architecture = about_weights(folder / "audiosep-dp.safetensors")["architecture"]
    text = architecture.pop("text")
    assert architecture == {
        "nb_features": 513, "nb_masks": 3, "nb_channels": [32, 64, 128, 256, 384, 384, 384],
        "condition_size": 512, "dprnn_layers": 6, "dprnn_hidden": 256,
    }  # fmt: skip
    assert text["num_hidden_layers"] == 2
    assert text["projection_dim"] == 512
    assert text["layer_norm_eps"] == 1e-5


def test_another_architecture_than_the_profile_is_an_error_that_names_both(folder: Path) -> None:
    run = open_run("05", paper(dprnn_layers=2, dprnn_hidden=128))
    with pytest.raises(WeightsError) as caught:
        train_separator(run)
    assert "lass.dprnn_layers: 6 in the file, 2 in the profile" in str(caught.value)
    assert "lass.dprnn_hidden: 256 in the file, 128 in the profile" in str(caught.value)
    assert "nb_channels" not in str(caught.value)


def small_net(dprnn_layers: int = 0) -> Shapes:
    with torch.device("meta"):
        net = ResUNet(513, 3, [4, 6, 8], 512, dprnn_layers, 5)
    return {k: tuple(v.shape) for k, v in net.state_dict().items() if v.is_floating_point()}


def test_without_a_dprnn_or_a_text_branch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NRSED_WEIGHTS", str(tmp_path))
    checkpoint = lightning_checkpoint(small_net())
    torch.save(checkpoint, tmp_path / "a.ckpt")
    path, report = convert(tmp_path / "a.ckpt")
    assert path.name == "audiosep.safetensors"
    assert about_weights(path)["architecture"]["dprnn_layers"] == 0
    assert "text" not in about_weights(path)["architecture"]
    separator = Separator(Lass(nb_channels=[4, 6, 8], train=TRAIN), text=nn.Identity())
    separator.load_state_dict(read_tensors(path)[0])  # strict: every tensor, and no other
    assert set(report.published) == set(checkpoint["state_dict"])  # kernels are listed as left out
    assert set(report[report.here == ""].published) == {n for n in checkpoint["state_dict"] if "stft" in n}
    with pytest.raises(WeightsError, match=r"clap\.safetensors is missing: get music_speech"):
        clap.clap_weights("audiosep")
    with pytest.raises(WeightsError, match="has no text branch"):
        ClapText(path, 512)


def test_every_tensor_that_does_not_fit_is_named(tmp_path: Path) -> None:
    checkpoint = lightning_checkpoint(small_net(dprnn_layers=1))
    state = checkpoint["state_dict"]
    del state["ss_model.base.DPRNN.0.col_norm.0.bias"]
    state["ss_model.base.more"] = torch.zeros(2)
    state["loss.weight"] = torch.zeros(2)
    torch.save(checkpoint, tmp_path / "a.ckpt")
    with pytest.raises(WeightsError) as caught:
        convert(tmp_path / "a.ckpt", out=str(tmp_path / "x.safetensors"))
    for line in (
        "missing: base.DPRNN.0.col_norm.0.bias [8]",
        "unexpected: base.more [2]",
        "unexpected: loss.weight [2]",
    ):
        assert line in str(caught.value)


@pytest.mark.parametrize("name", ["resunet30", "resunet30_dprnn", "resunet30_dprnn6"])
def test_bfloat16(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some 100 tensors on the way are each rounded by up to 2⁻⁹: √100 x 2⁻⁹ = 2 % of the rms; the worst sample five
    times that."""
    config = golden(name)["config"]
    settings = Lass(
        dprnn_layers=config.get("dprnn_layers", 0), dprnn_hidden=config.get("dprnn_hidden", 128), train=TRAIN
    )
    separator = Separator(settings, text=nn.Identity()).eval()
    separator.net.load_state_dict(filled(net_shapes(name)), strict=False)
    condition, summary = draw("condition", (1, 512)), golden(name)["output"]["waveform"]
    mixture, condition = 0.1 * draw("mixture", (1, 1, 32000))[0], condition / condition.norm()
    monkeypatch.setattr(separators, "has_bfloat16", lambda x: True)
    with torch.inference_mode():
        exact = separator(mixture, condition)
        separator.low_precision = True
        rounded = separator(mixture, condition)
    assert not torch.equal(exact, rounded)
    assert (rounded - exact).square().mean().sqrt() < 0.02 * summary["rms"]
    sample = rounded.flatten()[torch.linspace(0, rounded.numel() - 1, 64).long()]
    assert (sample - torch.tensor(summary["sample"])).abs().max() < 0.1 * summary["rms"]


def reference_embeddings(state: dict[str, Tensor], token_ids: list[list[int]], size: int) -> Tensor:
    """As LAION's code computes it: RoBERTa's pooled output of texts padded to 512, linear, ReLU, linear, norm."""
    from transformers import RobertaConfig, RobertaModel

    config = RobertaConfig(
        vocab_size=TEXT["nb_words"],
        hidden_size=size,
        num_hidden_layers=TEXT["nb_layers"],
        num_attention_heads=size // 64,
        intermediate_size=TEXT["hidden"],
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    roberta = RobertaModel(config).eval()
    branch = {k.removeprefix("text_branch."): v for k, v in state.items() if k.startswith("text_branch.")}
    branch.pop("embeddings.position_ids")
    missing = roberta.load_state_dict(branch, strict=False)
    assert not missing.unexpected_keys
    assert not [k for k in missing.missing_keys if k.endswith(("weight", "bias"))]
    ids = torch.tensor([row + [1] * (512 - len(row)) for row in token_ids])
    x = roberta(ids, (ids != 1).long()).pooler_output
    x = torch.relu(x @ state["text_projection.0.weight"].T + state["text_projection.0.bias"])
    x = x @ state["text_projection.2.weight"].T + state["text_projection.2.bias"]
    return x / x.norm(dim=1, keepdim=True)


@torch.inference_mode()
def test_text_embeddings_are_laions(folder: Path) -> None:
    tokenizer = clap.load_tokenizer()
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    assert ids[0] == [0, 31, 4 + 6, 2]  # <s> do g </s>
    expected = reference_embeddings(clap_state(**TEXT), ids, TEXT["size"])
    assert (expected[0] - expected[1]).norm() > 0.01
    ours = ClapText(folder / "audiosep-dp.safetensors", 512).embed(TEXTS)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_roberta_is_loaded_for_new_texts_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ClapText(folder / "audiosep-dp.safetensors", 512).embed(TEXTS)

    def never(*_: object) -> None:
        raise AssertionError("RoBERTa is loaded")

    monkeypatch.setattr("transformers.ClapTextModelWithProjection.__init__", never)
    monkeypatch.setattr(clap, "load_tokenizer", never)
    again = ClapText(folder / "audiosep-dp.safetensors", 512)
    assert torch.equal(again.embed(TEXTS[::-1]), first.flip(0))
    with pytest.raises(AssertionError, match="RoBERTa is loaded"):
        again.embed([*TEXTS, "cat"])


def test_what_is_conditioned_on_texts_can_learn(folder: Path) -> None:
    conditions = ClapText(folder / "audiosep-dp.safetensors", 512).embed(TEXTS)
    assert not conditions.requires_grad
    layer = nn.Linear(512, 2).to(conditions)
    layer(conditions).sum().backward()
    torch.testing.assert_close(layer.weight.grad, conditions.sum(0).expand(2, -1))


def test_other_weights_have_their_own_texts(folder: Path, tmp_path: Path) -> None:
    state = clap_state(**TEXT)
    state["text_projection.2.bias"] += 1
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "clap.pt")
    path, _ = convert(tmp_path / "clap.pt", out=str(tmp_path / "clap.safetensors"))
    own, other = ClapText(path, 512), ClapText(folder / "audiosep-dp.safetensors", 512)
    assert own.kept != other.kept
    assert not torch.allclose(own.embed(["dog"]), other.embed(["dog"]))


def test_text_errors(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = folder / "audiosep-dp.safetensors"
    with pytest.raises(ValueError, match="query ' ' has no word"):
        ClapText(weights, 512).embed(["dog", " "])
    with pytest.raises(WeightsError, match=r"in 512 numbers, lass\.condition_size is 256"):
        ClapText(weights, 256)
    monkeypatch.setenv("NRSED_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(clap, "TOKENIZER", "no-such-tokenizer")  # transformers' cache may have the real one
    with pytest.raises(WeightsError, match=r"no vocabulary of no-such-tokenizer in .*: put config\.json, vocab\.json"):
        clap.load_tokenizer()


def test_clap_at_the_published_size(tmp_path: Path) -> None:
    """RoBERTa base has 124,645,632 parameters, the projection 656,384."""
    shapes = text_shapes()
    assert sum(torch.Size(s).numel() for s in shapes.values()) == 124_645_632 + 656_384
    state = {k: v.half() for k, v in filled(shapes).items()}
    torch.save({"state_dict": state, "epoch": 15}, tmp_path / "laion.pt")
    one, _ = convert(tmp_path / "laion.pt", out=str(tmp_path / "one.safetensors"))
    sizes = about_weights(one)["architecture"]
    assert sizes == {
        "vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072, "max_position_embeddings": 514, "type_vocab_size": 1, "projection_dim": 512,
        "layer_norm_eps": 1e-5,
    }  # fmt: skip
    tensors = read_tensors(one)[0]
    assert torch.equal(tensors["text_projection.linear2.bias"], state["text_projection.2.bias"].float())
    name = "encoder.layer.11.attention.self.value.weight"
    assert torch.equal(tensors["text_model." + name], state["text_branch." + name].float())


def test_transformers_names_are_the_same_tensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = clap_state(**TEXT)
    names = {"text_branch.": "text_model.", "text_projection.0": "text_projection.linear1"}
    names |= {"text_projection.2": "text_projection.linear2", "audio_branch.": "audio_model."}

    def renamed(name: str) -> str:
        return next((new + name.removeprefix(old) for old, new in names.items() if name.startswith(old)), name)

    save_file({renamed(k): v for k, v in state.items() if "transform" not in k}, tmp_path / "model.safetensors")
    torch.save({"state_dict": state}, tmp_path / "laion.pt")
    theirs, _ = convert(tmp_path / "model.safetensors", out=str(tmp_path / "a.safetensors"))
    laions, _ = convert(tmp_path / "laion.pt", out=str(tmp_path / "b.safetensors"))
    one, other = read_tensors(theirs)[0], read_tensors(laions)[0]
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert about_weights(theirs)["architecture"]["layer_norm_eps"] == 1e-12  # as transformers configures CLAP


def test_results_are_valid_for_the_weights_they_were_made_with(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile, plain = paper(), load_profile("smoke")
    keys = [run_key(stage, p, 0) for p in (profile, plain) for stage in ("05", "06")]
    monkeypatch.setenv("NRSED_WEIGHTS", str(tmp_path))
    missing = [run_key(stage, p, 0) for p in (profile, plain) for stage in ("05", "06")]
    assert [a == b for a, b in zip(keys, missing, strict=True)] == [False, False, True, True]
    torch.save(lightning_checkpoint(small_net()), tmp_path / "a.ckpt")
    convert(tmp_path / "a.ckpt", out="audiosep-dp")
    assert run_key("05", profile, 0) not in (keys[0], missing[0])
