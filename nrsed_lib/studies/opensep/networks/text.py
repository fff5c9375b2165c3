"""Texts as sequences of vectors, which every place of a spectrogram may look at: `read(texts) -> Tokens`.

OpenSep reads a sentence of acoustic knowledge with RoBERTa-base, 512 tokens at most, and attends to its tokens. At the
scale of a CPU a small reader is learned with the separator, behind the same call: a vector a word, and nothing else.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nrsed_lib.errors import WeightsError, one_line
from nrsed_lib.lass.clap import TOKENIZER, TOKENIZER_URL, load_tokenizer
from nrsed_lib.lass.text import tokens
from nrsed_lib.paths import weights_folder
from nrsed_lib.studies.settings import OpenSep

MAX_TOKENS = 512


class Tokens(NamedTuple):
    """vectors: (…, nb_tokens, size); padding: (…, nb_tokens) bool, where a shorter text has no token."""

    vectors: Tensor
    padding: Tensor

    def of(self, rows: Tensor) -> Tokens:
        """Of the texts in `rows`, of any shape."""
        return Tokens(self.vectors[rows], self.padding[rows])

    def beside(self, other: Tokens) -> Tokens:
        """The tokens of two texts in one, of each element of a batch."""
        vectors = torch.cat([self.vectors, other.vectors], dim=-2)
        return Tokens(vectors, torch.cat([self.padding, other.padding], dim=-1))


class WordReader(nn.Module):
    """A vector for each word, from hashed buckets of the word and its letter triples (see lass/text.py), normalised,
    and one for its place in the text. `size` numbers each."""

    def __init__(self, size: int, nb_buckets: int = 4096) -> None:
        super().__init__()
        self.nb_buckets = nb_buckets
        self.table = nn.EmbeddingBag(nb_buckets, size, mode="mean")
        self.places = nn.Parameter(torch.zeros(MAX_TOKENS, size))
        self.norm = nn.LayerNorm(size)

    def read(self, texts: list[str]) -> Tokens:
        """Raises ValueError for a text without a word. Words after the first 512 are not read."""
        sentences = [text.split()[:MAX_TOKENS] for text in texts]
        if not all(sentences):
            raise ValueError(f"text {texts[[bool(s) for s in sentences].index(False)]!r} has no word; name a sound")
        words = [word for sentence in sentences for word in sentence]
        row = {word: i for i, word in enumerate(dict.fromkeys(words))}
        bags = [[zlib.crc32(part.encode()) % self.nb_buckets for part in tokens(word)] for word in row]
        device = self.places.device
        flat = torch.tensor([bucket for bag in bags for bucket in bag], device=device)
        starts = torch.tensor([0] + [len(bag) for bag in bags[:-1]], device=device).cumsum(0)
        known = self.table(flat, starts)  # (nb_words, size)
        lengths = torch.tensor([len(sentence) for sentence in sentences])
        padding = torch.arange(int(lengths.max())) >= lengths[:, None]  # (nb_texts, nb_tokens)
        at = torch.zeros(padding.shape, dtype=torch.long)
        at[~padding] = torch.tensor([row[word] for word in words])
        vectors = self.norm(known[at.to(device)]) + self.places[: padding.shape[1]]
        return Tokens(vectors, padding.to(device))


PUT = f"put config.json, model.safetensors, vocab.json, merges.txt and tokenizer.json of {TOKENIZER_URL}"


class RobertaReader(nn.Module):
    """The last layer of RoBERTa-base, frozen; from `<weights folder>/roberta-base`, never from the network.

    Raises WeightsError when its weights or vocabulary are not there, or are of another size than `size`.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        from transformers import RobertaModel

        folder = roberta_folder()
        load: Any = RobertaModel.from_pretrained  # which gives a pair when it is asked for what it found
        try:
            network, told = load(
                folder, local_files_only=True, use_safetensors=True, add_pooling_layer=False, output_loading_info=True
            )
            if absent := sorted(told["missing_keys"]):  # it would draw them at random
                raise LookupError(f"{len(absent)} tensors are missing, e.g. {absent[0]}")
        except Exception as error:  # safetensors and transformers have errors of their own
            raise WeightsError(f"{folder} cannot be read ({one_line(error, 200)}): {PUT} into it anew") from error
        self.network = network.eval().requires_grad_(False)
        self.tokenizer = load_tokenizer()
        if self.network.config.hidden_size != size:
            raise WeightsError(
                f"{folder} has vectors of {self.network.config.hidden_size} numbers, opensep.condition_size is {size}; "
                "make them the same"
            )

    def train(self, mode: bool = True) -> RobertaReader:
        """Stays in eval mode: it does not learn."""
        return super().train(False)

    @torch.no_grad()
    def read(self, texts: list[str]) -> Tokens:
        batch = self.tokenizer(texts, truncation=True, max_length=MAX_TOKENS, padding=True, return_tensors="pt")
        batch = batch.to(self.network.device)
        vectors = self.network(batch["input_ids"], batch["attention_mask"]).last_hidden_state
        return Tokens(vectors, batch["attention_mask"] == 0)


def roberta_folder() -> Path:
    folder = weights_folder() / TOKENIZER
    if not (folder / "model.safetensors").is_file():
        raise WeightsError(
            f"no weights of {TOKENIZER} in {folder}: {PUT} into that folder, or set studies.opensep.text to learned"
        )
    return folder


def reader(settings: OpenSep) -> WordReader | RobertaReader:
    """Raises WeightsError for RoBERTa without its weights."""
    return (RobertaReader if settings.text == "roberta" else WordReader)(settings.condition_size)
