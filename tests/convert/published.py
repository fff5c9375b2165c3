"""Checkpoints with the names and shapes that are published, filled by the recipe of the golden files."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "golden"
Shapes = dict[str, tuple[int, ...]]


def golden(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def draw(name: str, shape: tuple[int, ...]) -> Tensor:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def filled(shapes: Shapes) -> dict[str, Tensor]:
    state = {}
    for name, shape in shapes.items():
        x = draw(name, shape)
        if name.endswith("running_var"):
            x = 1 + 0.1 * x.abs()
        elif name.endswith("running_mean"):
            x = 0.1 * x
        elif x.ndim < 2:
            x = 0.1 * x + float(name.endswith("weight"))
        else:
            x = x / np.sqrt(np.prod(shape[1:]))
        state[name] = x
    return state


def linear(name: str, nb_out: int, nb_in: int) -> Shapes:
    return {f"{name}.weight": (nb_out, nb_in), f"{name}.bias": (nb_out,)}


def norm(name: str, size: int) -> Shapes:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def beats_shapes(nb_layers: int = 12, size: int = 768, hidden: int = 3072, nb_heads: int = 12) -> Shapes:
    """BEATs; at the default sizes the golden file has a digest of it."""
    shapes: Shapes = linear("post_extract_proj", size, 512) | {"patch_embedding.weight": (512, 1, 16, 16)}
    conv = "encoder.pos_conv.0."
    shapes |= {conv + "bias": (size,), conv + "weight_g": (1, 1, 128), conv + "weight_v": (size, size // 16, 128)}
    for i in range(nb_layers):
        layer = f"encoder.layers.{i}."
        attention = layer + "self_attn."
        shapes |= {attention + "grep_a": (1, nb_heads, 1, 1)}
        shapes |= {attention + "relative_attention_bias.weight": (320, nb_heads)}
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes |= linear(attention + part, size, size)
        shapes |= linear(attention + "grep_linear", 8, size // nb_heads) | norm(layer + "self_attn_layer_norm", size)
        shapes |= linear(layer + "fc1", hidden, size) | linear(layer + "fc2", size, hidden)
        shapes |= norm(layer + "final_layer_norm", size)
    return shapes | norm("encoder.layer_norm", size) | norm("layer_norm", 512)


def digest(shapes: Shapes) -> str:
    return hashlib.sha256(json.dumps({k: list(v) for k, v in shapes.items()}, sort_keys=True).encode()).hexdigest()


def beats_checkpoint(**sizes: int) -> dict[str, Any]:
    """{"cfg", "model"}. The bias table is one in all layers: what was filled in last, the last layer's."""
    model = filled(beats_shapes(**sizes))
    tables = [name for name in model if name.endswith("relative_attention_bias.weight")]
    model |= dict.fromkeys(tables, model[tables[-1]])
    return {"cfg": golden("beats")["config"], "model": model}


def text_shapes(nb_layers: int = 12, size: int = 768, hidden: int = 3072, nb_words: int = 50265) -> Shapes:
    """The text branch of LAION's CLAP: RoBERTa's names after text_branch, and two linear layers."""
    table = "text_branch.embeddings."
    shapes: Shapes = {
        table + "word_embeddings.weight": (nb_words, size),
        table + "position_embeddings.weight": (514, size),
        table + "token_type_embeddings.weight": (1, size),
    }
    shapes |= norm(table + "LayerNorm", size)
    for i in range(nb_layers):
        layer = f"text_branch.encoder.layer.{i}."
        for part in ("query", "key", "value"):
            shapes |= linear(f"{layer}attention.self.{part}", size, size)
        shapes |= linear(layer + "attention.output.dense", size, size) | norm(
            layer + "attention.output.LayerNorm", size
        )
        shapes |= linear(layer + "intermediate.dense", hidden, size) | linear(layer + "output.dense", size, hidden)
        shapes |= norm(layer + "output.LayerNorm", size)
    shapes |= linear("text_branch.pooler.dense", size, size)
    return shapes | linear("text_projection.0", 512, size) | linear("text_projection.2", 512, 512)


def clap_state(**sizes: int) -> dict[str, Tensor]:
    """Beside the text branch, a sample of what a whole CLAP has and nothing here uses."""
    others = {
        "logit_scale_a": torch.tensor(2.6),
        "logit_scale_t": torch.tensor(2.6),
        "audio_branch.bn0.weight": torch.ones(64),
        "audio_projection.0.weight": torch.zeros(512, 1024),
        "text_transform.sequential.0.weight": torch.zeros(512, 512),
        "text_branch.embeddings.position_ids": torch.arange(514)[None],
    }
    return filled(text_shapes(**sizes)) | others


def lightning_checkpoint(net: Shapes, clap: dict[str, Tensor] | None = None) -> dict[str, Any]:
    """A `.ckpt` of AudioSep: network, kernels of the transforms, query encoder, optimiser."""
    state = {f"ss_model.{name}": value for name, value in filled(net).items()}
    counters = [name.replace("running_var", "num_batches_tracked") for name in state if name.endswith("running_var")]
    state |= {name: torch.tensor(3920000) for name in counters}
    for kernel in ("stft.conv_real", "stft.conv_imag", "istft.conv_real", "istft.conv_imag"):
        state[f"ss_model.base.{kernel}.weight"] = torch.zeros(513, 1, 8)
    state |= {f"query_encoder.model.{name}": value for name, value in (clap or {}).items()}
    optimiser = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": np.float64(1e-3), "params": [0]}]}
    return {
        "epoch": 3,
        "global_step": 3920000,
        "pytorch-lightning_version": "1.9.0",
        "state_dict": state,
        "loops": {},
        "callbacks": {},
        "optimizer_states": [optimiser],
        "lr_schedulers": [{"base_lrs": [1e-3], "lr_lambdas": [None]}],
    }
