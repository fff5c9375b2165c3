"""A training of a few steps that leaves what trainings leave: a checkpoint, a history and weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from nrsed_lib.artefacts import Run
from nrsed_lib.training import fit, keep, kept


def train(run: Run, steps: int, checkpoint_every_s: float = 30.0) -> tuple[Path, Path]:
    """Weights and history, in the folder of `run`; what is there is kept."""
    files = run.folder / "theta.safetensors", run.folder / "history_theta.csv"
    if kept(*files) is None:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1))
        descent = torch.optim.Adam(network.parameters(), lr=0.1)

        def step(i: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
            loss = network(torch.randn(3, 2, generator=generator)).square().mean()
            descent.zero_grad()
            loss.backward()
            descent.step()
            return {"loss": loss.detach()}

        state = {"network": network, "optimiser": descent}
        keep(*files, network.state_dict(), fit("theta", step, state, steps, run.folder, 0, checkpoint_every_s))
    return files
