"""What a separator is made of and what it costs, as tables to show."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nrsed_lib.lass.resunet import DecoderBlock, EncoderBlock
from nrsed_lib.lass.separator import Separator
from nrsed_lib.profile import Lass


def block_table(separator: Separator, settings: Lass, sample_rate: int) -> pd.DataFrame:
    """One row a block, from the input down to the bottleneck and up to the mask.

    Columns: block; channels out; frames a second and bands (or bins) at its output; thousands of parameters.
    """
    net = separator.net.base
    frames, bands = sample_rate / settings.hop, separator.bands.nb_features
    rows: list[tuple] = [("front end", 1, frames, bands, 0)]
    size = {name: sum(p.numel() for p in block.parameters()) for name, block in net.named_children()}
    film = sum(p.numel() for p in separator.net.film.parameters())
    down, up = iter([*net.strides, (1, 1)]), iter(net.strides[::-1])
    for name, block in net.named_children():
        if isinstance(block, EncoderBlock):
            time, frequency = next(down)
            rows.append((name, block.conv_block1.conv2.out_channels, frames, bands, size[name]))
            frames, bands = frames / time, bands // frequency
        elif isinstance(block, DecoderBlock):
            if name == "decoder_block1" and "DPRNN" in size:
                rows.append(("DPRNN", settings.nb_channels[-1], frames, bands, size["DPRNN"]))
            time, frequency = next(up)
            frames, bands = frames * time, bands * frequency
            rows.append((name, block.conv1.out_channels, frames, bands, size[name]))
    rows.append(("mask", separator.bands.nb_masks, frames, separator.bands.nb_features, size["after_conv"]))
    rows.append(("FiLM", settings.condition_size, None, None, film))
    table = pd.DataFrame(rows, columns=["block", "channels", "frames / s", "bands", "parameters / k"])
    table["parameters / k"] /= 1000
    return table.round(1)


def count_gflop(network: nn.Module, compute: Callable[[], object]) -> float:
    """Billions of operations of what `compute` does with `network`: products and convolutions, no Fourier transforms.

    DPRNNs are taken out of `network`, whose last use this is: their recurrences are slow to count.
    """
    for module in network.modules():
        if hasattr(module, "DPRNN"):
            del module.DPRNN
    with FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops() / 1e9


@torch.inference_mode()
def network_costs(settings: dict[str, Lass], sample_rate: int) -> pd.DataFrame:
    """One row a network: millions of parameters (queries' encoder apart), and what ten seconds cost."""
    rows = []
    for name, lass in settings.items():
        with torch.device("meta"):
            # on the device "meta" nothing is computed, only counted
            separator = Separator(lass, text=nn.Identity()).eval()
            features = torch.zeros(1, 1 + 10 * sample_rate // lass.hop, separator.bands.nb_features)
            conditions = torch.zeros(1, lass.condition_size)
        parameters = sum(p.numel() for p in separator.net.parameters())
        rows.append(
            {
                "network": name,
                "parameters / M": parameters / 1e6,
                "GFLOP for 10 s, without DPRNN": count_gflop(separator, partial(separator.net, features, conditions)),
            }
        )
    return pd.DataFrame(rows).round(2)
