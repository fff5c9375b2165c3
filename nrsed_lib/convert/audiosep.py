"""AudioSep's and AudioSep-DP's Lightning `.ckpt` → the names of `lass/separator.py`, with CLAP's text branch beside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nrsed_lib.convert.checkpoint import Converted, count, require_match, shapes, size_of, state_of
from nrsed_lib.convert.clap import text_branch
from nrsed_lib.errors import WeightsError
from nrsed_lib.lass.resunet import ResUNet
from nrsed_lib.weights import must_fit

NET, QUERY = "ss_model.", "query_encoder.model."
KERNELS = re.compile(r"base\.i?stft\.")  # the transforms' windows and sines, which torch.stft has of its own


def convert_audiosep(content: Mapping[str, Any], what: str) -> Converted:
    """The network becomes `net.…`; the text branch of CLAP, where the checkpoint has one, `text.…`.

    Left out: the transforms' kernels, CLAP's audio branch and the optimiser.

    Raises WeightsError naming what does not fit.
    """
    state = state_of(content, "state_dict", what) if "state_dict" in content else {}
    if not any(name.startswith(NET) for name in state):
        raise WeightsError(f"{what} has no state_dict with names after {NET!r}: an AudioSep checkpoint has one")
    strange = {k: v for k, v in state.items() if not k.startswith((NET, "query_encoder."))}
    found = {name.removeprefix(NET): value for name, value in state.items() if name.startswith(NET)}
    left_out = [NET + name for name in found if KERNELS.match(name)]
    net = {name: value for name, value in found.items() if not KERNELS.match(name)}
    architecture = read_architecture(net, what)
    sizes = dict(architecture)
    with torch.device("meta"), must_fit(what, architecture, "use the published file"):
        expected = shapes(ResUNet(sizes.pop("nb_features"), sizes.pop("nb_masks"), sizes.pop("nb_channels"), **sizes))
    counters = [name for name in expected if name.endswith("num_batches_tracked")]
    require_match(net | strange, expected, what, optional=counters)
    tensors = {"net." + name: value for name, value in net.items()}
    tensors |= {"net." + name: torch.tensor(0) for name in counters if name not in net}
    mapped = {NET + name: "net." + name for name in net}
    query = {name.removeprefix(QUERY): v for name, v in state.items() if name.startswith("query_encoder.")}
    if query:
        text = text_branch(query, what)
        tensors |= {"text." + name: value for name, value in text.tensors.items()}
        mapped |= {QUERY + old: "text." + new for old, new in text.mapped.items()}
        left_out += [QUERY + name for name in text.left_out]
        architecture["text"] = text.architecture
    return Converted("audiosep", tensors, architecture, mapped, left_out)


def read_architecture(net: Mapping[str, Tensor], what: str) -> dict[str, Any]:
    """The arguments of ResUNet, from the shapes of a state dict under the published names."""
    nb_encoders = count(net, r"base\.encoder_block(\d+)\.")
    blocks = [f"encoder_block{i + 1}" for i in range(nb_encoders)] + [f"conv_block{nb_encoders + 1}a"]
    nb_layers = count(net, r"base\.DPRNN\.0\.row_rnn\.(\d+)\.")
    hidden = size_of(net, "base.DPRNN.0.row_rnn.0.rnn.weight_hh_l0", 1, what) if nb_layers else 0
    return {
        "nb_features": size_of(net, "base.bn0.weight", 0, what),
        "nb_masks": size_of(net, "base.after_conv.weight", 0, what),
        "nb_channels": [size_of(net, f"base.{b}.conv_block1.conv2.weight", 0, what) for b in blocks],
        "condition_size": size_of(net, "film.encoder_block1->conv_block1->beta1.weight", 1, what),
        "dprnn_layers": nb_layers,
        "dprnn_hidden": hidden,
    }
