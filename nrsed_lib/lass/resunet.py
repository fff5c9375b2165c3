"""The query-conditioned residual U-Net of AudioSep (Liu et al. 2023), in any width and depth.

A query shifts every normalised feature map before its non-linearity (FiLM without a scale). Names of
modules and parameters are those of the published checkpoints, whose seven widths are the default of
the profile: six encoder blocks and a bottleneck, mirrored by six decoder blocks. The published layout
also carries a `bn2` and a `beta2` in each decoder block that nothing uses; they stay, for the names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, leaky_relu, pad

from nrsed_lib.lass.dprnn import Dprnn

MOMENTUM = 0.01


class ResidualBlock(nn.Module):
    def __init__(self, name: str, nb_in: int, nb_out: int) -> None:
        super().__init__()
        self.name = name
        self.bn1 = nn.BatchNorm2d(nb_in, momentum=MOMENTUM)
        self.bn2 = nn.BatchNorm2d(nb_out, momentum=MOMENTUM)
        self.conv1 = nn.Conv2d(nb_in, nb_out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(nb_out, nb_out, 3, padding=1, bias=False)
        if nb_in != nb_out:
            self.shortcut = nn.Conv2d(nb_in, nb_out, 1)

    def forward(self, x: Tensor, shifts: Mapping[str, Tensor]) -> Tensor:
        y = self.conv1(leaky_relu(self.bn1(x) + shifts[f"{self.name}->beta1"], inplace=True))
        y = self.conv2(leaky_relu(self.bn2(y) + shifts[f"{self.name}->beta2"], inplace=True))
        return y + (self.shortcut(x) if hasattr(self, "shortcut") else x)


class EncoderBlock(nn.Module):
    def __init__(self, name: str, nb_in: int, nb_out: int) -> None:
        super().__init__()
        self.conv_block1 = ResidualBlock(f"{name}->conv_block1", nb_in, nb_out)

    def forward(self, x: Tensor, shifts: Mapping[str, Tensor]) -> Tensor:
        return self.conv_block1(x, shifts)


class DecoderBlock(nn.Module):
    def __init__(self, name: str, nb_in: int, nb_out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.name = name
        self.conv1 = nn.ConvTranspose2d(nb_in, nb_out, stride, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(nb_in, momentum=MOMENTUM)
        self.conv_block2 = ResidualBlock(f"{name}->conv_block2", 2 * nb_out, nb_out)
        self.bn2 = nn.BatchNorm2d(nb_in, momentum=MOMENTUM)

    def forward(self, x: Tensor, skip: Tensor, shifts: Mapping[str, Tensor]) -> Tensor:
        x = self.conv1(leaky_relu(self.bn1(x) + shifts[f"{self.name}->beta1"], inplace=True))
        return self.conv_block2(torch.cat([x, skip], dim=1), shifts)


class Film(nn.Module):
    """One linear layer from the query to the shift of every normalisation in `base`."""

    def __init__(self, base: nn.Module, condition_size: int) -> None:
        super().__init__()
        self.condition_size = condition_size
        for name, block in base.named_modules():
            if isinstance(block, ResidualBlock | DecoderBlock):
                for beta, norm in (("beta1", block.bn1), ("beta2", block.bn2)):
                    layer = nn.Linear(condition_size, norm.num_features)
                    self.add_module(f"{name.replace('.', '->')}->{beta}", layer)

    def forward(self, conditions: Tensor) -> dict[str, Tensor]:
        """(B, condition_size) -> name -> (B, nb_channels, 1, 1)."""
        return {name: layer(conditions)[:, :, None, None] for name, layer in self.named_children()}


class UNet(nn.Module):
    """nb_features: bins or bands; nb_masks: feature maps out; widths: of each encoder and the bottleneck."""

    def __init__(
        self, nb_features: int, nb_masks: int, widths: Sequence[int], dprnn_layers: int, dprnn_hidden: int
    ) -> None:
        super().__init__()
        depth = len(widths) - 1
        # every block halves time and frequency but the deepest, which halves frequency alone
        self.strides = [(2, 2)] * (depth - 1) + [(1, 2)]
        if depth < 1 or (nb_features - nb_features % 2) % 2**depth:
            raise ValueError(
                f"{len(widths)} nb_channels {list(widths)} halve the {nb_features} bins or bands {depth} times: "
                f"make their number a multiple of {2**depth}, or give fewer nb_channels"
            )
        self.bn0 = nn.BatchNorm2d(nb_features, momentum=MOMENTUM)
        self.pre_conv = nn.Conv2d(1, widths[0], 1)
        nb_in = widths[0]
        self.encoders, self.decoders = [], []  # in the order of the forward pass; modules by name below
        for i, width in enumerate(widths[:-1], start=1):
            self.encoders.append(EncoderBlock(f"encoder_block{i}", nb_in, width))
            self.add_module(f"encoder_block{i}", self.encoders[-1])
            nb_in = width
        self.bottleneck = f"conv_block{depth + 1}a"
        self.add_module(self.bottleneck, EncoderBlock(self.bottleneck, nb_in, widths[-1]))
        nb_in = widths[-1]
        for i, (width, stride) in enumerate(zip(widths[-2::-1], self.strides[::-1], strict=True), start=1):
            self.decoders.append(DecoderBlock(f"decoder_block{i}", nb_in, width, stride))
            self.add_module(f"decoder_block{i}", self.decoders[-1])
            nb_in = width
        self.after_conv = nn.Conv2d(nb_in, nb_masks, 1)
        if dprnn_layers:
            self.DPRNN = nn.Sequential(Dprnn(widths[-1], dprnn_hidden, dprnn_layers))

    def forward(self, features: Tensor, shifts: Mapping[str, Tensor]) -> Tensor:
        """(B, nb_frames, nb_features) -> logits (B, nb_masks, nb_frames, nb_features)."""
        _, nb_frames, nb_features = features.shape
        x = self.bn0(features.transpose(1, 2)[..., None]).permute(0, 3, 2, 1)  # (B, 1, nb_frames, nb_features)
        x = pad(x, (0, 0, 0, -nb_frames % 2 ** (len(self.strides) - 1)))
        x = x[..., : nb_features - nb_features % 2]  # 513 bins: the last one is not looked at
        x = self.pre_conv(x)
        skips = []
        for encoder, stride in zip(self.encoders, self.strides, strict=True):
            skips.append(encoder(x, shifts))
            x = avg_pool2d(skips[-1], stride)
        x = self.get_submodule(self.bottleneck)(x, shifts)
        if hasattr(self, "DPRNN"):
            x = self.DPRNN(x)
        for decoder in self.decoders:
            x = decoder(x, skips.pop(), shifts)
        return pad(self.after_conv(x), (0, nb_features % 2))[:, :, :nb_frames]


class ResUNet(nn.Module):
    """`base` and `film` under their published names: 30 layers at the published depth."""

    def __init__(
        self,
        nb_features: int,
        nb_masks: int,
        widths: Sequence[int],
        condition_size: int,
        dprnn_layers: int = 0,
        dprnn_hidden: int = 128,
    ) -> None:
        super().__init__()
        self.base = UNet(nb_features, nb_masks, widths, dprnn_layers, dprnn_hidden)
        self.film = Film(self.base, condition_size)
        for layer in self.base.modules():  # as AudioSep starts: Xavier weights, no bias
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        for name, parameter in self.film.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:  # a condition has length 1: its shifts start about as large as what they shift
                nn.init.normal_(parameter, std=0.7)

    def forward(self, features: Tensor, conditions: Tensor) -> Tensor:
        """(B, nb_frames, nb_features), (B, condition_size) -> logits (B, nb_masks, nb_frames, nb_features)."""
        return self.base(features, self.film(conditions))
