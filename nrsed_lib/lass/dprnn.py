"""A dual-path recurrent network over the two axes of a feature map (Luo, Chen and Yoshioka 2020).

AudioSep-DP puts one at the bottleneck of the ResUNet; parameter names are those of its checkpoints.
"""

from __future__ import annotations

from torch import Tensor, nn


class Path(nn.Module):
    """A two-layer bidirectional GRU and a projection back to its input's width."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(size, hidden, num_layers=2, batch_first=True, bidirectional=True)
        self.proj = nn.Linear(2 * hidden, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(self.rnn(x)[0])  # (B, nb_steps, size)


class Dprnn(nn.Module):
    """Each layer runs along time for every band, then along bands for every frame, both residual."""

    def __init__(self, size: int, hidden: int, nb_layers: int) -> None:
        super().__init__()
        self.row_rnn = nn.ModuleList(Path(size, hidden) for _ in range(nb_layers))
        self.col_rnn = nn.ModuleList(Path(size, hidden) for _ in range(nb_layers))
        self.row_norm = nn.ModuleList(nn.GroupNorm(1, size, eps=1e-8) for _ in range(nb_layers))
        self.col_norm = nn.ModuleList(nn.GroupNorm(1, size, eps=1e-8) for _ in range(nb_layers))
        self.output = nn.Sequential(nn.PReLU(), nn.Conv2d(size, size, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, size, nb_frames, nb_bands), and out the same."""
        batch, size, nb_frames, nb_bands = x.shape
        layers = zip(self.row_rnn, self.row_norm, self.col_rnn, self.col_norm, strict=True)
        for row_rnn, row_norm, col_rnn, col_norm in layers:
            y = row_rnn(x.permute(0, 3, 2, 1).reshape(batch * nb_bands, nb_frames, size))
            x = x + row_norm(y.view(batch, nb_bands, nb_frames, size).permute(0, 3, 2, 1))
            y = col_rnn(x.permute(0, 2, 3, 1).reshape(batch * nb_frames, nb_bands, size))
            x = x + col_norm(y.view(batch, nb_frames, nb_bands, size).permute(0, 3, 1, 2))
        return self.output(x)
