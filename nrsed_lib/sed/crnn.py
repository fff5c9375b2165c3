"""The CRNN of the DCASE 2024 task 4 baseline: gated convolutions, bidirectional GRU, attention pooling.

Parameter names are the published ones, so that published checkpoints load. One addition: frame
embeddings coarser than the output are projected, then interpolated; finer ones are averaged as published.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCHNORM_EPS = 1e-3  # as published


class GatedLinear(nn.Module):
    """linear(x) * sigmoid(x) over channels."""

    def __init__(self, nb_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(nb_channels, nb_channels)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, T, F)
        # A linear layer over channels is a 1x1 convolution, without the two transposes.
        return F.conv2d(x, self.linear.weight[:, :, None, None], self.linear.bias) * torch.sigmoid(x)


class Convolutions(nn.Module):
    """Blocks of 3x3 convolution, batch norm, gate, average pooling (time, frequency) and dropout.

    As published, or with one exchange: dropout after pooling has a quarter of the numbers to draw (before it, that was
    a third of a training step on a CPU). In evaluation they are the same.
    """

    def __init__(
        self,
        nb_filters: Sequence[int],
        pooling: Sequence[tuple[int, int]],
        dropout: float,
        dropout_before_pooling: bool = False,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.cnn = nn.Sequential()
        for i, (nb_in, nb_out) in enumerate(zip([1, *nb_filters], nb_filters, strict=False)):
            self.cnn.add_module(f"conv{i}", nn.Conv2d(nb_in, nb_out, 3, padding=1))
            self.cnn.add_module(f"batchnorm{i}", nn.BatchNorm2d(nb_out, eps=BATCHNORM_EPS, momentum=momentum))
            self.cnn.add_module(f"glu{i}", GatedLinear(nb_out))
            last = [(f"pooling{i}", nn.AvgPool2d(pooling[i])), (f"dropout{i}", nn.Dropout(dropout))]
            for name, layer in reversed(last) if dropout_before_pooling else last:
                self.cnn.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:  # (B, 1, T, F) -> (B, C, T', F')
        return self.cnn(x)


class Recurrence(nn.Module):
    def __init__(self, nb_in: int, nb_cells: int, nb_layers: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(nb_in, nb_cells, nb_layers, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, 2 * nb_cells)
        return self.rnn(x)[0]


class CRNN(nn.Module):
    """Scaled mel spectrograms, and frame embeddings if there are any, to class probabilities.

    embedding_size: channels of the frame embeddings; 0: none are used.
    projection: embeddings are first reduced to so many channels; None: taken as they are, as published.
    clip_pooling: what weighs the frames of a class. "attention" is learned, a softmax over classes, as
    published: in frames without an event it must still prefer some class, and until long training has
    taught it otherwise that class's clip probability is drowned in silence. "linear" weighs frames by
    their own probability (linear softmax, Wang et al. 2019) and needs no learning.
    """

    def __init__(
        self,
        nb_classes: int,
        nb_filters: Sequence[int] = (16, 32, 64, 128, 128, 128, 128),
        pooling: Sequence[tuple[int, int]] = ((2, 2), (2, 2), (1, 2), (1, 2), (1, 2), (1, 2), (1, 2)),
        nb_rnn_cells: int = 128,
        nb_rnn_layers: int = 2,
        dropout: float = 0.5,
        clip_pooling: str = "attention",
        dropout_before_pooling: bool = False,
        batchnorm_momentum: float = 0.1,
        embedding_size: int = 0,
        projection: int | None = None,
    ) -> None:
        super().__init__()
        nb_features = nb_filters[-1]
        self.cnn = Convolutions(nb_filters, pooling, dropout, dropout_before_pooling, batchnorm_momentum)
        if embedding_size and projection:
            # Whole channels are dropped: few recordings are soon told apart by single ones.
            self.drop_channels = nn.Dropout1d(dropout)
            self.project = nn.Linear(embedding_size, projection)
        if embedding_size:
            self.cat_tf = nn.Linear(nb_features + (projection or embedding_size), nb_features)
        self.rnn = Recurrence(nb_features, nb_rnn_cells, nb_rnn_layers)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(2 * nb_rnn_cells, nb_classes)
        if clip_pooling == "attention":
            self.dense_softmax = nn.Linear(2 * nb_rnn_cells, nb_classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a fifth faster on a CPU

    def forward(self, mels: Tensor, embeddings: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Frame-wise and clip-wise probabilities (Eq. 1).

        mels: (B, nb_mels, nb_mel_frames), scaled. embeddings: (B, embedding_size, any number of frames
        over the same time). → strong (B, nb_classes, nb_frames), weak (B, nb_classes).
        """
        x = self.cnn(mels.transpose(1, 2).unsqueeze(1))  # (B, C, T, 1)
        x = x.squeeze(-1).transpose(1, 2)  # (B, T, C)
        if embeddings is not None:
            x = self.cat_tf(self.dropout(torch.cat((x, self._align(embeddings, x.shape[1])), -1)))
        x = self.dropout(self.rnn(x))  # (B, T, 2H)
        strong = torch.sigmoid(self.dense(x))  # (B, T, K)
        attention = self._attention(x, strong)
        weak = (strong * attention).sum(1) / attention.sum(1)  # (B, K)
        return strong.transpose(1, 2), weak

    def _attention(self, x: Tensor, strong: Tensor) -> Tensor:  # (B, T, 2H), (B, T, K) -> (B, T, K)
        if hasattr(self, "dense_softmax"):
            return torch.softmax(self.dense_softmax(x), -1).clamp(1e-7, 1)  # over classes
        return strong  # linear softmax

    def _align(self, embeddings: Tensor, nb_frames: int) -> Tensor:  # (B, E, T_e) -> (B, T, E')
        if hasattr(self, "project"):  # before the interpolation: the coarse frames are fewer
            embeddings = self.project(self.drop_channels(embeddings).transpose(1, 2)).transpose(1, 2)
        if embeddings.shape[-1] >= nb_frames:
            return F.adaptive_avg_pool1d(embeddings, nb_frames).transpose(1, 2)
        return F.interpolate(embeddings, nb_frames, mode="linear", align_corners=False).transpose(1, 2)
