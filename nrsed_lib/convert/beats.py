"""BEATs' `.pt` ({"cfg", "model"}) → the names of `sed/encoders/beats.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nrsed_lib.convert.checkpoint import Converted, count, require_match, shapes, size_of, state_of
from nrsed_lib.errors import WeightsError, one_line
from nrsed_lib.sed.encoders.beats import Beats
from nrsed_lib.weights import must_fit

# What the shapes do not tell, and what the network is written for.
CONFIG = {
    "deep_norm": True,
    "layer_norm_first": False,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
    "activation_fn": "gelu",
    "input_patch_size": 16,
}
POSITION, TABLE = "encoder.pos_conv.0.", "encoder.layers.{}.self_attn.relative_attention_bias.weight"
NEW_NAMES = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


def convert_beats(content: Mapping[str, Any], what: str) -> Converted:
    """Two names change: the positional convolution's weight norm is multiplied out, and the bias table, which the
    published file names in each layer, is kept once. `predictor`, of fine-tuned files, is left out.

    Raises WeightsError naming what does not fit.
    """
    config = content.get("cfg")
    if "model" not in content or not isinstance(config, Mapping):
        raise WeightsError(f"{what} has no 'cfg' and 'model', dictionaries: a BEATs checkpoint has both")
    state = state_of(content, "model", what)
    if other := {k: config.get(k) for k, v in CONFIG.items() if config.get(k) != v}:
        raise WeightsError(
            f"{what}: cfg has {other}, where the network is written for { ({k: CONFIG[k] for k in other}) }"
        )
    left_out = [name for name in state if name.startswith("predictor")]
    found = {_old(name): value for name, value in state.items() if name not in left_out}
    architecture = _architecture(found, config, what)
    with torch.device("meta"), must_fit(what, architecture, "use the published file"):
        expected = shapes(Beats(**architecture))
    tables = [TABLE.format(i) for i in range(architecture["nb_layers"])]
    published = {k: v for k, v in expected.items() if k not in (POSITION + "weight", "encoder.bias.weight")}
    published |= dict.fromkeys(tables, expected["encoder.bias.weight"])
    published |= {
        POSITION + "weight_g": (1, 1, architecture["width"]),
        POSITION + "weight_v": expected[POSITION + "weight"],
    }
    require_match(found, published, what)
    if different := [name for name in tables if not torch.equal(found[name], found[tables[0]])]:
        raise WeightsError(f"{what}: {different} differ from {tables[0]}, where the published network has one for all")
    tensors = {name: found[name].float() for name in expected if name in found}
    g, v = found[POSITION + "weight_g"].float(), found[POSITION + "weight_v"].float()
    tensors[POSITION + "weight"] = v * (g / v.norm(dim=(0, 1), keepdim=True))
    tensors["encoder.bias.weight"] = found[tables[0]].float()
    renamed = dict.fromkeys(tables, "encoder.bias.weight") | {
        POSITION + n: POSITION + "weight" for n in NEW_NAMES.values()
    }
    mapped = {name: renamed.get(_old(name), _old(name)) for name in state if name not in left_out}
    return Converted("beats", tensors, architecture, mapped, left_out)


def _old(name: str) -> str:
    """Names of the weight norm as of before torch 2."""
    for new, old in NEW_NAMES.items():
        name = name.replace(new, old)
    return name


def _architecture(state: Mapping[str, Tensor], config: Mapping[str, Any], what: str) -> dict[str, int]:
    size = size_of(state, "post_extract_proj.weight", 0, what)
    read = {
        "patch_size": size_of(state, "patch_embedding.weight", 0, what),
        "size": size,
        "nb_layers": count(state, r"encoder\.layers\.(\d+)\."),
        "nb_hidden": size_of(state, "encoder.layers.0.fc1.weight", 0, what),
        "nb_heads": size_of(state, TABLE.format(0), 1, what),
        "nb_buckets": size_of(state, TABLE.format(0), 0, what),
        "width": size_of(state, POSITION + "weight_v", 2, what),
        "nb_groups": size // size_of(state, POSITION + "weight_v", 1, what),
    }
    reach = config.get("max_distance", 800)
    if not isinstance(reach, int) or reach <= read["nb_buckets"]:
        need = f"a whole number above {read['nb_buckets']}, its number of buckets: use the published file"
        raise WeightsError(f"{what}: cfg has max_distance {one_line(repr(reach))}, where it is {need}")
    return read | {"reach": reach}
