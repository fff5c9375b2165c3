"""CLAP's text branch: RoBERTa and a projection, from LAION's checkpoint or from transformers' → one set of names.

The names kept are those of transformers' ClapTextModelWithProjection, which computes it (`lass/clap.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nrsed_lib.convert.checkpoint import Converted, count, require_match, shapes, size_of, state_of
from nrsed_lib.errors import WeightsError
from nrsed_lib.weights import must_fit

# Published prefix → ours. LAION's projection is linear, ReLU, linear.
NAMES = {
    "text_branch.": "text_model.",
    "text_projection.0.": "text_projection.linear1.",
    "text_projection.2.": "text_projection.linear2.",
    "text_model.": "text_model.",
    "text_projection.linear1.": "text_projection.linear1.",
    "text_projection.linear2.": "text_projection.linear2.",
}
COUNTERS = ("text_model.embeddings.position_ids", "text_model.embeddings.token_type_ids")  # 0, 1, 2 …: no weights
OTHERS = ("audio_", "text_transform.", "logit_scale", "tokenizer")  # the audio branch, and heads of CLAP's own training
HEAD = 64  # channels of an attention head, in RoBERTa of every size
# What LAION trained with, and what transformers' own configuration of CLAP says.
EPS = {"text_branch.": 1e-5, "text_model.": 1e-12}


def convert_clap(content: Mapping[str, Any], what: str) -> Converted:
    """A whole CLAP, as published by LAION ({"state_dict"}, names after "module.") or by transformers.

    Raises WeightsError naming what does not fit.
    """
    return text_branch(state_of(content, "state_dict", what), what)


def text_branch(state: Mapping[str, Tensor], what: str) -> Converted:
    """The text branch among CLAP's tensors. mapped and left_out are of the names in `state`."""
    tensors, mapped, left_out, eps = {}, {}, [], 1e-5
    strange = []
    for name, value in state.items():
        bare = name.removeprefix("module.")
        prefix = next((p for p in NAMES if bare.startswith(p)), None)
        new = NAMES[prefix] + bare.removeprefix(prefix) if prefix else bare
        if new in COUNTERS or bare.startswith(OTHERS):
            left_out.append(name)
        elif prefix is None:
            strange.append(name)
        else:
            tensors[new], mapped[name] = value, new
            eps = EPS.get(prefix, eps)
    architecture = _architecture(tensors, what)
    with_strange = tensors | {name: state[name] for name in strange}
    with must_fit(what, architecture, "use the published file"):
        expected = _expected(architecture)
    require_match(with_strange, expected, what)
    tensors = {name: value.float() for name, value in tensors.items()}
    return Converted("clap", tensors, architecture | {"layer_norm_eps": eps}, mapped, left_out)


def _architecture(state: Mapping[str, Tensor], what: str) -> dict[str, Any]:
    """The arguments of transformers' ClapTextConfig."""
    words = "text_model.embeddings.word_embeddings.weight"
    size = size_of(state, words, 1, what)
    if size % HEAD and size > HEAD:
        raise WeightsError(f"{what}: {words} has {size} channels, which heads of {HEAD} do not divide")
    return {
        "vocab_size": size_of(state, words, 0, what),
        "hidden_size": size,
        "num_hidden_layers": count(state, r"text_model\.encoder\.layer\.(\d+)\."),
        "num_attention_heads": max(1, size // HEAD),
        "intermediate_size": size_of(state, "text_model.encoder.layer.0.intermediate.dense.weight", 0, what),
        "max_position_embeddings": size_of(state, "text_model.embeddings.position_embeddings.weight", 0, what),
        "type_vocab_size": size_of(state, "text_model.embeddings.token_type_embeddings.weight", 0, what),
        "projection_dim": size_of(state, "text_projection.linear1.weight", 0, what),
    }


def _expected(sizes: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    from transformers import ClapTextConfig, ClapTextModelWithProjection  # here: it takes seconds to import

    with torch.device("meta"):
        network = ClapTextModelWithProjection(ClapTextConfig(**sizes))
    return {name: shape for name, shape in shapes(network).items() if name not in COUNTERS}
