"""How every separator learns: AdamW down the gradient of a loss on drawn mixtures, at a rate that rises and falls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from nrsed_lib import sharding
from nrsed_lib.profile import Schedule
from nrsed_lib.training import Stateful, fit

Losses = Callable[[torch.Generator], tuple[Tensor, Mapping[str, Tensor]]]


def rate(step: int, schedule: Schedule) -> float:
    """Share of the learning rate at a step: a linear warm-up, then half a cosine down to zero."""
    warm = min(1.0, (step + 1) / max(1, schedule.warmup_steps))
    return warm * 0.5 * (1 + math.cos(math.pi * step / schedule.steps))


def descend(name: str, network: nn.Module, losses: Losses, schedule: Schedule, folder: Path, seed: int) -> pd.DataFrame:
    """Train `network` for `schedule.steps` steps of one batch each; killed, it resumes (see `training.fit`).

    losses: draws a batch with the generator it is given; the loss to descend, and what to show of it (this process's
    share each). Returns one row a step of what is shown.
    """
    optimiser = torch.optim.AdamW(network.parameters(), lr=schedule.lr, betas=(0.9, 0.99))

    def step(i: int, generator: torch.Generator) -> dict[str, Any]:
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr * rate(i, schedule)
        loss, shown = losses(generator)
        optimiser.zero_grad()
        loss.backward()
        sharding.add_gradients(network)
        optimiser.step()
        return sharding.add({key: value.detach() for key, value in shown.items()})

    state: dict[str, Stateful] = {"separator": network, "optimiser": optimiser}
    return fit(name, step, state, schedule.steps, folder, seed)
