"""The U-Net of OpenSep: stages that halve time and frequency, mirrored, and attention in the deepest skips.

OpenSep (section 3.3, appendix A.1) takes seven encoding and seven decoding stages of convolutions; in the skip
connection of the four deepest levels the map first attends to itself, then to the tokens of a text, 8 heads each. The
text enters nowhere else, so `encode` is done once for a mixture, and `decode` once for each text that asks. The kernel
sizes are not published; with two 3 x 3 convolutions a stage the published widths come near the published 43.2 million.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu, pad

from nrsed_lib.studies.opensep.networks.text import Tokens


class Stage(nn.Module):
    """Two convolutions, each normalised; the second one is shifted by a condition where there is one (FiLM)."""

    def __init__(self, nb_in: int, nb_out: int, condition_size: int | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(nb_in, nb_out, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(nb_out)
        self.conv2 = nn.Conv2d(nb_out, nb_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(nb_out)
        self.shift = None if condition_size is None else nn.Linear(condition_size, nb_out)
        if self.shift is not None:  # a condition has length 1: its shifts start about as large as what they shift
            nn.init.normal_(self.shift.weight, std=0.7)

    def forward(self, x: Tensor, conditions: Tensor | None = None) -> Tensor:
        x = leaky_relu(self.norm1(self.conv1(x)), 0.1)
        x = self.norm2(self.conv2(x))
        if self.shift is not None:
            assert conditions is not None
            x = x + self.shift(conditions)[:, :, None, None]
        return leaky_relu(x, 0.1)


class Attention(nn.Module):
    """One attention with a residual connection, over the places of a map: to each other, or to a text."""

    def __init__(self, width: int, nb_heads: int, text_size: int | None = None) -> None:
        super().__init__()
        if width % nb_heads:
            raise ValueError(
                f"{width} channels are not shared by {nb_heads} heads: make opensep.nb_channels of the attended "
                f"stages multiples of opensep.nb_heads"
            )
        self.norm = nn.LayerNorm(width)
        self.attend = nn.MultiheadAttention(width, nb_heads, kdim=text_size, vdim=text_size, batch_first=True)

    def forward(self, x: Tensor, text: Tokens | None = None) -> Tensor:
        """(B, C, T, F) -> the same shape."""
        places = x.flatten(2).transpose(1, 2)  # (B, T * F, C)
        asking = self.norm(places)
        with torch.autocast(x.device.type, enabled=x.is_cuda and torch.is_autocast_enabled(x.device.type)):
            asking = asking.float()  # on a CPU attention is slower in bfloat16
            seen, padding = (asking, None) if text is None else (text.vectors.float(), text.padding)
            found, _ = self.attend(asking, seen, seen, key_padding_mask=padding, need_weights=False)
        return (places + found).transpose(1, 2).view_as(x)


class AttentionUNet(nn.Module):
    """nb_features: bins or bands in; nb_out: maps of their size out. widths: channels of each stage, shallow to deep.

    nb_attended deepest skips attend to themselves, and to a text whose tokens have `text_size` numbers. With
    `film_size` the decoder is conditioned on one vector instead. Raises ValueError for numbers that do not divide.
    """

    def __init__(
        self,
        nb_features: int,
        nb_out: int,
        widths: Sequence[int],
        nb_attended: int = 0,
        nb_heads: int = 8,
        text_size: int | None = None,
        film_size: int | None = None,
    ) -> None:
        super().__init__()
        self.step = 2 ** (len(widths) - 1)  # frames and bands to one place of the deepest map
        if nb_features % self.step or not widths or nb_attended > len(widths):
            raise ValueError(
                f"{len(widths)} stages {list(widths)} halve {nb_features} bands {len(widths) - 1} times, {nb_attended} "
                f"of them attended: make the number of bands a multiple of {self.step}, and attend to fewer stages"
            )
        self.norm = nn.BatchNorm2d(nb_features)  # of each band, so that low and high ones start alike
        self.encoders = nn.ModuleList(Stage(a, b) for a, b in zip([1, *widths[:-1]], widths, strict=True))
        below = [*widths[1:], 0]  # what comes up from the stage below
        self.decoders = nn.ModuleList(Stage(a + b, a, film_size) for a, b in zip(widths, below, strict=True))
        attended = range(len(widths) - nb_attended, len(widths)) if text_size is not None else range(0)
        self.own = nn.ModuleDict({str(i): Attention(widths[i], nb_heads) for i in attended})
        self.cross = nn.ModuleDict({str(i): Attention(widths[i], nb_heads, text_size) for i in attended})
        self.mask = nn.Conv2d(widths[0], nb_out, 1)

    def encode(self, features: Tensor) -> list[Tensor]:
        """(B, nb_frames, nb_features) -> a map (B, C, T, F) of each skip, shallow to deep; T is padded to be halved."""
        x = self.norm(features.transpose(1, 2)[..., None]).permute(0, 3, 2, 1)  # (B, 1, nb_frames, nb_features)
        x = pad(x, (0, 0, 0, -x.shape[2] % self.step)).contiguous(memory_format=torch.channels_last)
        skips = []
        for i, encoder in enumerate(self.encoders):
            x = encoder(x if i == 0 else avg_pool2d(x, 2))
            skips.append(self.own[str(i)](x) if str(i) in self.own else x)
        return skips

    def decode(self, skips: Sequence[Tensor], text: Tokens | None = None, conditions: Tensor | None = None) -> Tensor:
        """Maps as `encode` gave them, each with the batch of the text -> logits (B, nb_out, T, nb_features)."""
        x = None
        for i in reversed(range(len(skips))):
            skip = self.cross[str(i)](skips[i], text) if str(i) in self.cross else skips[i]
            x = skip if x is None else torch.cat([skip, interpolate(x, scale_factor=2.0)], dim=1)
            x = self.decoders[i](x, conditions)
        return self.mask(x)


def stage_table(net: AttentionUNet, nb_frames: float, nb_features: int) -> pd.DataFrame:
    """One row a stage, from the input down: channels and size of its map, what attends, thousands of parameters."""
    rows = []
    for i, (encoder, decoder) in enumerate(zip(net.encoders, net.decoders, strict=True)):
        attentions = [part[str(i)] for part in (net.own, net.cross) if str(i) in part]
        down, up, *attend = (sum(p.numel() for p in m.parameters()) / 1000 for m in (encoder, decoder, *attentions))
        channels, seen = encoder.get_submodule("conv2").out_channels, "to itself, to the text" if attentions else ""
        rows.append((i + 1, channels, nb_frames / 2**i, nb_features // 2**i, seen, down, sum(attend), up))
    sizes = ["encoder / k", "attention / k", "decoder / k"]
    return pd.DataFrame(rows, columns=["stage", "channels", "frames / s", "bands", "attention in the skip", *sizes])
