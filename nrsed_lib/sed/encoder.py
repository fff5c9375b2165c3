"""Pretrained audio encoders behind one interface: waveforms in, frame embeddings out, never trained.

`size` is the number of channels, `frame_seconds` the time between embeddings, and
`forward(waveforms (B, nb_samples)) -> (B, size, nb_embedding_frames)`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.transforms import Resample

from nrsed_lib.data.download import fetch
from nrsed_lib.sed import beats, mn04
from nrsed_lib.store import read_tensors, write_tensors
from nrsed_lib.training import has_bfloat16
from nrsed_lib.weights.files import about_weights, find_weights

# Few clips at a time stay in a CPU's cache: 2.5 times as fast as a batch of 20.
CPU_BATCH = 2


class FrameEncoder(nn.Module):
    """A frozen network. It stays in evaluation mode, and its weights are nobody's parameters to learn."""

    size: int
    frame_seconds: float

    def freeze(self) -> FrameEncoder:
        return self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrameEncoder:
        return super().train(False)


class Mn04Encoder(FrameEncoder):
    """The feature map of EfficientAT mn04: 384 channels x 4 bands, one frame each 0.32 s."""

    size = 384 * 4
    frame_seconds = 0.32

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.resample = Resample(sample_rate, mn04.SAMPLE_RATE)
        self.mel = mn04.KaldiMel()
        self.network = load_mn04()
        self.freeze()

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        """waveforms: (B, nb_samples) → (B, 1536, ceil(seconds / 0.32))."""
        parts = waveforms.split(CPU_BATCH if waveforms.device.type == "cpu" else len(waveforms))
        return torch.cat([self.network(self.mel(self.resample(part))).flatten(1, 2) for part in parts])


def load_mn04() -> mn04.MN04:
    """mn04 with the published weights, downloaded once and kept as safetensors beside the download.

    Raises DownloadError when they can not be had.
    """
    downloaded = fetch(mn04.URL, mn04.SHA256)
    converted = downloaded.with_suffix(".safetensors")
    if not converted.exists():
        weights = torch.load(downloaded, weights_only=True, map_location="cpu")
        write_tensors(converted, weights, url=mn04.URL, sha256=mn04.SHA256)
    network = mn04.MN04()
    network.load_state_dict(read_tensors(converted)[0])
    return network.eval()


class BeatsEncoder(FrameEncoder):
    """BEATs: 768 channels, 50 embeddings a second, which is eight bands of a patch every 0.16 s, one after the other.

    They serve as frames, as published: pooled to the detector's frames, each is a mean over bands and time.
    bfloat16: the network's products, where the processor has them; spectra and sums stay float32. Embeddings then
    differ from those in float32 by about 1 % of their rms.
    """

    size = 768
    frame_seconds = beats.PATCH * 0.01 / (beats.NB_BANDS // beats.PATCH)

    def __init__(self, sample_rate: int, network: beats.Beats, bfloat16: bool = False) -> None:
        super().__init__()
        self.resample = Resample(sample_rate, beats.SAMPLE_RATE)
        self.mel = beats.KaldiFbank()
        self.network = network
        self.low_precision = bfloat16
        self.freeze()

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        """waveforms: (B, nb_samples) → (B, 768, nb_samples // 2560 x 8 or so: 496 for 10 s)."""
        parts = waveforms.split(CPU_BATCH if waveforms.device.type == "cpu" else len(waveforms))
        low = self.low_precision and has_bfloat16(waveforms)
        with torch.autocast(waveforms.device.type, torch.bfloat16, enabled=low):
            return torch.cat([self.network(self.mel(self.resample(part))).float() for part in parts]).transpose(1, 2)


def load_beats() -> beats.Beats:
    """BEATs with the converted weights "beats". Raises WeightsError saying how to come by them."""
    path = find_weights("beats")
    network = beats.Beats(**about_weights(path)["architecture"])
    network.load_state_dict(read_tensors(path)[0])
    return network.eval()


def build_encoder(name: str, sample_rate: int, bfloat16: bool = False) -> FrameEncoder | None:
    """The encoder of a profile's `sed.encoder`, with its weights; None for "none".

    Raises DownloadError or WeightsError when weights can not be had.
    """
    if name == "beats":
        return BeatsEncoder(sample_rate, load_beats(), bfloat16)
    return Mn04Encoder(sample_rate) if name == "mn04" else None
