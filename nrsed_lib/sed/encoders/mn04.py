"""EfficientAT mn04: MobileNetV3 of width 0.4, pretrained on AudioSet (Schmid, Koutini and Widmer 2023).

Parameter names are the published ones; the published weights are downloaded by hash.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.compliance.kaldi import get_mel_banks
from torchaudio.transforms import Resample

from nrsed_lib.data.download import fetch
from nrsed_lib.sed.encoders.base import FrameEncoder
from nrsed_lib.store import keep_sums, read_tensors, whole, write_tensors

SAMPLE_RATE = 32_000
URL = (
    "https://raw.githubusercontent.com/nikih94/swch-audio-classification/"
    "2b362d97544673ef1da403b44ecbe1174d8619ec/resources/mn04_as_mAP_432.pt"
)
SHA256 = "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c"


class Row(NamedTuple):
    """One inverted residual of MobileNetV3-Large, channels at width 1."""

    kernel: int
    nb_expanded: int
    nb_out: int
    squeeze: bool
    hardswish: bool
    stride: int


ROWS = (
    Row(3, 16, 16, False, False, 1),
    Row(3, 64, 24, False, False, 2),
    Row(3, 72, 24, False, False, 1),
    Row(5, 72, 40, True, False, 2),
    Row(5, 120, 40, True, False, 1),
    Row(5, 120, 40, True, False, 1),
    Row(3, 240, 80, False, True, 2),
    Row(3, 200, 80, False, True, 1),
    Row(3, 184, 80, False, True, 1),
    Row(3, 184, 80, False, True, 1),
    Row(3, 480, 112, True, True, 1),
    Row(3, 672, 112, True, True, 1),
    Row(5, 672, 160, True, True, 2),
    Row(5, 960, 160, True, True, 1),
    Row(5, 960, 160, True, True, 1),
)
WIDTH = 0.4
NB_BANDS = 4  # of the feature map


class KaldiMel(nn.Module):
    """The log-mel front end of EfficientAT: pre-emphasis .97, Hann 800 in FFT 1024, hop 320, 128 bands to 15 kHz."""

    banks: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        banks, _ = get_mel_banks(128, 1024, SAMPLE_RATE, 0.0, 15_000.0, 100.0, -500.0, 1.0)
        self.register_buffer("banks", F.pad(banks, (0, 1)), persistent=False)  # (128, 513)
        self.register_buffer("window", torch.hann_window(800, periodic=False), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """waveforms: (B, nb_samples) at 32 kHz → (B, 128, nb_frames), 100 frames a second."""
        with torch.autocast(waveforms.device.type, enabled=False):
            emphasised = waveforms[:, 1:] - 0.97 * waveforms[:, :-1]
            spectrum = torch.stft(emphasised, 1024, 320, 800, self.window, return_complex=True)
            power = spectrum.real.square() + spectrum.imag.square()  # (B, 513, T)
            return ((self.banks @ power + 1e-5).log() + 4.5) / 5


class SqueezeExcitation(nn.Module):
    def __init__(self, nb_channels: int, nb_squeezed: int) -> None:
        super().__init__()
        layers = {"fc1": nn.Linear(nb_channels, nb_squeezed), "fc2": nn.Linear(nb_squeezed, nb_channels)}
        self.conc_se_layers = nn.ModuleList([nn.ModuleDict(layers)])  # the published code can squeeze other axes too

    def forward(self, x: Tensor) -> Tensor:  # (B, C, F, T)
        layer = cast(nn.ModuleDict, self.conc_se_layers[0])
        gates = torch.sigmoid(layer["fc2"](F.relu(layer["fc1"](x.mean((2, 3))))))  # (B, C)
        return x * gates[:, :, None, None]


class InvertedResidual(nn.Module):
    def __init__(self, nb_in: int, row: Row) -> None:
        super().__init__()
        nb_expanded, nb_out = scaled(row.nb_expanded), scaled(row.nb_out)
        activation: type[nn.Module] = nn.Hardswish if row.hardswish else nn.ReLU
        layers: list[nn.Module] = [] if nb_expanded == nb_in else [conv(nb_in, nb_expanded, 1, 1, activation)]
        layers.append(conv(nb_expanded, nb_expanded, row.kernel, row.stride, activation, groups=nb_expanded))
        if row.squeeze:
            layers.append(SqueezeExcitation(nb_expanded, divisible(nb_expanded // 4)))
        layers.append(conv(nb_expanded, nb_out, 1, 1, None))
        self.block = nn.Sequential(*layers)
        self.residual = row.stride == 1 and nb_in == nb_out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.residual else self.block(x)


class MN04(nn.Module):
    """Log-mel spectrograms to a feature map; `classifier` gives the logits of AudioSet's 527 classes from it."""

    def __init__(self) -> None:
        super().__init__()
        widths = [scaled(16), *(scaled(row.nb_out) for row in ROWS)]
        nb_features = 6 * widths[-1]
        self.features = nn.Sequential(
            conv(1, widths[0], 3, 2, nn.Hardswish),
            *(InvertedResidual(nb_in, row) for nb_in, row in zip(widths, ROWS, strict=False)),
            conv(widths[-1], nb_features, 1, 1, nn.Hardswish),
        )
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(nb_features, scaled(1280)),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(scaled(1280), 527),
        )

    def forward(self, mels: Tensor) -> Tensor:
        """mels: (B, 128, nb_frames) → (B, 384, 4, ceil(nb_frames / 32))."""
        return self.features(mels.unsqueeze(1))


def conv(
    nb_in: int, nb_out: int, kernel: int, stride: int, activation: type[nn.Module] | None, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch norm and activation, in the order and with the names of torchvision's."""
    layers = [
        nn.Conv2d(nb_in, nb_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(nb_out, eps=1e-3),
    ]
    return nn.Sequential(*layers, *([activation()] if activation else []))


def divisible(nb_channels: float) -> int:
    """Nearest multiple of 8 that is not under 90 % of `nb_channels`."""
    rounded = max(8, int(nb_channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * nb_channels else rounded + 8


def scaled(nb_channels: int) -> int:
    return divisible(nb_channels * WIDTH)


class Mn04Encoder(FrameEncoder):
    """The feature map of EfficientAT mn04: 384 channels x 4 bands, one frame each 0.32 s."""

    size = 384 * NB_BANDS
    frame_seconds = 0.32

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.resample = Resample(sample_rate, SAMPLE_RATE)
        self.mel = KaldiMel()
        self.network = load_mn04()
        self.freeze()

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        """waveforms: (B, nb_samples) → (B, 1536, ceil(seconds / 0.32))."""
        parts = [self.network(self.mel(self.resample(part))) for part in self.parts(waveforms)]
        return torch.cat(parts).flatten(1, 2)


def load_mn04() -> MN04:
    """mn04 with the published weights, downloaded once and kept as safetensors beside the download.

    Raises DownloadError when they can not be had.
    """
    downloaded = fetch(URL, SHA256)
    converted = downloaded.with_suffix(".safetensors")
    keep_sums(converted.parent)
    if not whole(converted):
        weights = torch.load(downloaded, weights_only=True, map_location="cpu")
        write_tensors(converted, weights, url=URL, sha256=SHA256)
    network = MN04()
    network.load_state_dict(read_tensors(converted)[0])
    return network.eval()


def build(sample_rate: int, bfloat16: bool) -> FrameEncoder:
    """The plug-in. `bfloat16` is for BEATs: this network is small."""
    return Mn04Encoder(sample_rate)
