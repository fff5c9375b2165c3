"""RoBERTa as the reader of texts: from a folder of local files, frozen, and its last layer to the token."""

import json
from pathlib import Path

import pytest
import torch
from transformers import RobertaConfig, RobertaModel

from nrsed_lib.errors import WeightsError
from nrsed_lib.studies.opensep.networks.text import MAX_TOKENS, RobertaReader, reader
from nrsed_lib.studies.settings import CaptionerTrain, OpenSep

SIZE = 16


def settings(size: int = SIZE) -> OpenSep:
    return OpenSep(
        steps=1, warmup_steps=0, batch=1, seconds=1.0, text="roberta", condition_size=size,
        captioner=CaptionerTrain(steps=1, warmup_steps=0),
    )  # fmt: skip


@pytest.fixture
def roberta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RobertaModel:
    """A small one with random weights, whose words are letters."""
    monkeypatch.setenv("NRSED_WEIGHTS", str(tmp_path))
    folder = tmp_path / "roberta-base"
    words = ["<s>", "<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz", "Ġ", "<mask>"]
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(words), hidden_size=SIZE, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=MAX_TOKENS + 2,
    )  # fmt: skip
    model = RobertaModel(config, add_pooling_layer=False).eval()
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}))
    return model


def test_tokens_are_those_of_the_last_layer(roberta: RobertaModel) -> None:
    read = reader(settings())
    assert isinstance(read, RobertaReader) and not any(p.requires_grad for p in read.parameters())
    assert not read.train().network.training
    tokens = read.read(["dog", "a dog barks"])
    assert tokens.padding.tolist()[0] == [False] * 5 + [True] * (tokens.padding.shape[1] - 5)  # <s> d o g </s>
    ids = torch.tensor([[0, 4 + 3, 4 + 14, 4 + 6, 2]])
    expected = roberta(ids, torch.ones_like(ids)).last_hidden_state[0]
    torch.testing.assert_close(tokens.vectors[0, :5], expected, atol=1e-5, rtol=1e-4)
    assert read.read(["a " * 900]).vectors.shape[1] == MAX_TOKENS


def test_what_is_missing_or_does_not_fit_is_said(
    roberta: RobertaModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WeightsError, match="condition_size is 32"):
        reader(settings(32))
    monkeypatch.setenv("NRSED_WEIGHTS", str(tmp_path / "elsewhere"))
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        reader(settings())
