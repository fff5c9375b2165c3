"""Pretrained audio encoders behind one interface: waveforms in, frame embeddings out, never trained.

`size` is the number of channels, `frame_seconds` the time between embeddings, and
`forward(waveforms (B, nb_samples)) -> (B, size, nb_embedding_frames)`.
"""

from __future__ import annotations

from torch import Tensor, nn

from nrsed_lib.series import plugin

# Few clips at a time stay in a CPU's cache: 2.5 times as fast as a batch of 20.
CPU_BATCH = 2


class FrameEncoder(nn.Module):
    """A frozen network. It stays in evaluation mode, and its weights are nobody's parameters to learn."""

    size: int
    frame_seconds: float

    def parts(self, waveforms: Tensor) -> tuple[Tensor, ...]:
        """(B, nb_samples) → as many clips at a time as are fastest on their device."""
        return waveforms.split(CPU_BATCH if waveforms.device.type == "cpu" else len(waveforms))

    def freeze(self) -> FrameEncoder:
        return self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrameEncoder:
        return super().train(False)


def build_encoder(name: str, sample_rate: int, bfloat16: bool = False) -> FrameEncoder | None:
    """The encoder of a profile's `sed.encoder`, with its weights; None for "none".

    Raises DownloadError or WeightsError when weights can not be had.
    """
    return None if name == "none" else plugin("sed.encoder", name).build(sample_rate, bfloat16)
