"""BEATs (Chen et al. 2023): a transformer over 16 x 16 patches of a log-mel spectrogram.

The default sizes are those of iter3+ on AudioSet-2M, and names are the published ones but for two that
`convert/beats.py` maps. Attention has a relative position bias, looked up once for all layers, which each query
gates. (speechbrain's BEATs computes the same, but reads its sizes from a pickle only, does not use torch's own
attention, and brings further packages.)
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.compliance.kaldi import get_mel_banks
from torchaudio.transforms import Resample

from nrsed_lib.sed.encoders.base import FrameEncoder
from nrsed_lib.training import has_bfloat16
from nrsed_lib.weights import find_weights, must_fit, read_weights, remedy

SAMPLE_RATE = 16_000
PATCH = 16  # frames and bands a patch
NB_BANDS = 128
MEAN, STD = 15.41663, 6.55582  # of the log-mel spectrogram, as in pretraining


class KaldiFbank(nn.Module):
    """Log-mel energies of Kaldi's recipe: Povey window of 25 ms each 10 ms, pre-emphasis .97, 128 bands from 20 Hz."""

    banks: Tensor
    window: Tensor
    SIZE, HOP, N_FFT = 400, 160, 512

    def __init__(self) -> None:
        super().__init__()
        banks, _ = get_mel_banks(NB_BANDS, self.N_FFT, float(SAMPLE_RATE), 20.0, 0.0, 100.0, -500.0, 1.0)
        self.register_buffer("banks", F.pad(banks, (0, 1)).T.contiguous(), persistent=False)  # (257, 128)
        self.register_buffer("window", torch.hann_window(self.SIZE, periodic=False) ** 0.85, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """waveforms: (B, nb_samples) at 16 kHz, nb_samples ≥ 400 → (B, 1 + (nb_samples - 400) // 160, 128)."""
        with torch.autocast(waveforms.device.type, enabled=False):  # spectra need float32
            frames = (waveforms.float() * 2**15).unfold(-1, self.SIZE, self.HOP)  # (B, T, 400)
            frames = frames - frames.mean(-1, keepdim=True)
            before = F.pad(frames, (1, 0), mode="replicate")[..., :-1]  # the first sample stands before itself
            spectrum = torch.fft.rfft((frames - 0.97 * before) * self.window, self.N_FFT)
            power = spectrum.real.square() + spectrum.imag.square()  # (B, T, 257)
            energies = (power @ self.banks).clamp_min(torch.finfo(torch.float32).eps).log()
            return (energies - MEAN) / (2 * STD)


class PositionConvolution(nn.Conv1d):
    """Position from context: a grouped convolution of even width.

    Published with weight normalisation of each tap; conversion multiplies it out, since nothing learns here.
    """

    def __init__(self, size: int, width: int, nb_groups: int) -> None:
        super().__init__(size, size, width, padding=width // 2, groups=nb_groups)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        y = super().forward(x.transpose(1, 2))[..., :-1]  # an even width gives one step too many
        return F.gelu(y).transpose(1, 2)


class Attention(nn.Module):
    """Self-attention whose logits get a bias by relative position, scaled by a gate of the query (Chi et al. 2022)."""

    def __init__(self, size: int, nb_heads: int) -> None:
        super().__init__()
        self.nb_heads, head = nb_heads, size // nb_heads
        self.k_proj, self.v_proj = nn.Linear(size, size), nn.Linear(size, size)
        self.q_proj, self.out_proj = nn.Linear(size, size), nn.Linear(size, size)
        self.grep_linear = nn.Linear(head, 8)
        self.grep_a = nn.Parameter(torch.ones(1, nb_heads, 1, 1))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:  # (B, T, C), (H, T, T) -> (B, T, C)
        q, k, v = (
            layer(x).unflatten(-1, (self.nb_heads, -1)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )  # (B, H, T, C / H)
        a, b = self.grep_linear(q).unflatten(-1, (2, 4)).sum(-1).sigmoid().chunk(2, -1)  # (B, H, T, 1)
        gate = a * (b * self.grep_a - 1) + 2
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=gate * bias)
        return self.out_proj(y.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention and feed-forward, normalised after each sum; deep norm weighs the residual path up."""

    def __init__(self, size: int, nb_hidden: int, nb_heads: int, residual: float) -> None:
        super().__init__()
        self.residual = residual
        self.self_attn = Attention(size, nb_heads)
        self.self_attn_layer_norm = nn.LayerNorm(size)
        self.fc1, self.fc2 = nn.Linear(size, nb_hidden), nn.Linear(nb_hidden, size)
        self.final_layer_norm = nn.LayerNorm(size)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.self_attn_layer_norm(self.residual * x + self.self_attn(x, bias))
        return self.final_layer_norm(self.residual * x + self.fc2(F.gelu(self.fc1(x))))


class Encoder(nn.Module):
    def __init__(
        self,
        size: int,
        nb_layers: int,
        nb_hidden: int,
        nb_heads: int,
        nb_buckets: int,
        reach: int,
        width: int,
        nb_groups: int,
    ) -> None:
        super().__init__()
        self.reach = reach
        self.pos_conv = nn.ModuleList([PositionConvolution(size, width, nb_groups)])
        residual = (2 * nb_layers) ** 0.25
        self.layers = nn.ModuleList(Layer(size, nb_hidden, nb_heads, residual) for _ in range(nb_layers))
        self.layer_norm = nn.LayerNorm(size)
        self.bias = nn.Embedding(nb_buckets, nb_heads)  # published as each layer's relative_attention_bias

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        rows = buckets(x.shape[1], self.bias.num_embeddings, self.reach, x.device)
        bias = self.bias(rows).permute(2, 0, 1).contiguous()  # (H, T, T)
        x = self.layer_norm(x + self.pos_conv[0](x))
        for layer in self.layers:
            x = layer(x, bias)
        return x


class Beats(nn.Module):
    """Log-mel spectrograms to one embedding a patch; patches of a time follow each other from low to high bands."""

    def __init__(
        self,
        patch_size: int = 512,
        size: int = 768,
        nb_layers: int = 12,
        nb_hidden: int = 3072,
        nb_heads: int = 12,
        nb_buckets: int = 320,
        reach: int = 800,
        width: int = 128,
        nb_groups: int = 16,
    ) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(1, patch_size, PATCH, PATCH, bias=False)
        self.layer_norm = nn.LayerNorm(patch_size)
        self.post_extract_proj = nn.Linear(patch_size, size)
        self.encoder = Encoder(size, nb_layers, nb_hidden, nb_heads, nb_buckets, reach, width, nb_groups)

    def forward(self, mels: Tensor) -> Tensor:
        """mels: (B, nb_frames, 128) → (B, nb_frames // 16 x 8, size): eight bands a time."""
        patches = self.patch_embedding(mels.unsqueeze(1)).flatten(2).transpose(1, 2)  # (B, T, patch_size)
        return self.encoder(self.post_extract_proj(self.layer_norm(patches)))


def buckets(nb_steps: int, nb_buckets: int, reach: int, device: torch.device) -> Tensor:
    """Which row of the bias table belongs to query i and key j: (nb_steps, nb_steps) int64 (Raffel et al. 2020).

    Half of the rows are for keys that come later. Of a half, the first half are for one distance each, the
    rest for distances that grow exponentially up to `reach`; what is further away shares the last.
    """
    step = torch.arange(nb_steps, device=device)
    offset = step[None] - step[:, None]
    half, distance = nb_buckets // 2, offset.abs()
    exact = half // 2
    far = exact + (torch.log(distance.clamp_min(1) / exact) / math.log(reach / exact) * (half - exact)).long()
    return (offset > 0) * half + torch.where(distance < exact, distance, far.clamp_max(half - 1))


class BeatsEncoder(FrameEncoder):
    """BEATs: 768 channels, 50 embeddings a second, which is eight bands of a patch every 0.16 s, one after the other.

    They serve as frames, as published: pooled to the detector's frames, each is a mean over bands and time.
    bfloat16: the network's products, where the processor has them; spectra and sums stay float32. Embeddings then
    differ from those in float32 by about 1 % of their rms.
    """

    size = 768
    frame_seconds = PATCH * 0.01 / (NB_BANDS // PATCH)

    def __init__(self, sample_rate: int, network: Beats, bfloat16: bool = False) -> None:
        super().__init__()
        self.resample = Resample(sample_rate, SAMPLE_RATE)
        self.mel = KaldiFbank()
        self.network = network
        self.low_precision = bfloat16
        self.freeze()

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        """waveforms: (B, nb_samples) → (B, 768, nb_samples // 2560 x 8 or so: 496 for 10 s)."""
        low = self.low_precision and has_bfloat16(waveforms)
        with torch.autocast(waveforms.device.type, torch.bfloat16, enabled=low):
            parts = [self.network(self.mel(self.resample(part))).float() for part in self.parts(waveforms)]
        return torch.cat(parts).transpose(1, 2)


def load_beats() -> Beats:
    """BEATs with the converted weights "beats". Raises WeightsError saying how to come by them."""
    path = find_weights("beats")
    tensors, about = read_weights(path, "beats")
    with must_fit(path, about["architecture"], remedy("beats", " --again")):
        network = Beats(**about["architecture"])
        network.load_state_dict(tensors)
    return network.eval()


def build(sample_rate: int, bfloat16: bool) -> FrameEncoder:
    """The plug-in."""
    return BeatsEncoder(sample_rate, load_beats(), bfloat16)
