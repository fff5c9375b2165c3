"""The training loop that every network here goes through: visible, resumable, the same to the bit.

`fit` is the loop: it runs any step, shows it and keeps what learns. `descend` is a training in it: it goes down the
gradient of losses on drawn batches. Functions called `train_…` make an artefact with them: a file of weights.

All randomness of step i comes from (seed, name, i), so a run that was killed and resumed from its last checkpoint
takes the same steps as one that was not. Several processes may take them together (`sharding.py`): each draws the
whole batch, `descend` gives it its share of the rows and adds up what they find, and the first one writes.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from nrsed_lib import sharding
from nrsed_lib.profile import Schedule
from nrsed_lib.store import atomic, write_table, write_tensors


class Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any], /) -> Any: ...


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bfloat16(x: torch.Tensor) -> bool:
    """Whether the device of `x` multiplies bfloat16 in hardware; elsewhere it would be slower, not faster."""
    return x.is_cuda or bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def step_generator(seed: int, name: str, step: int) -> torch.Generator:
    """A CPU generator that depends on nothing but (seed, name, step)."""
    return torch.Generator().manual_seed(zlib.crc32(f"{seed}/{name}/{step}".encode()))


def warmup(step: int, schedule: Schedule) -> float:
    """Exponential ramp exp(-5 (1 - step / warm-up)²), 1 after it (Tarvainen and Valpola 2017)."""
    if step >= schedule.warmup_steps:
        return 1.0
    return float(torch.exp(torch.tensor(-5.0 * (1.0 - step / schedule.warmup_steps) ** 2)))


def full_then_warmup(step: int, schedule: Schedule) -> float:
    """As released: the very first step is at the full rate, and the warm-up counts from the next, as its second."""
    return warmup(step + 1, schedule) if step else 1.0


def warmup_and_cosine(step: int, schedule: Schedule) -> float:
    """A linear warm-up times half a cosine down to zero."""
    warm = min(1.0, (step + 1) / max(1, schedule.warmup_steps))
    return warm * 0.5 * (1 + math.cos(math.pi * step / schedule.steps))


def fit(
    name: str,
    step: Callable[[int, torch.Generator], Mapping[str, torch.Tensor | float]],
    state: Mapping[str, Stateful],
    steps: int,
    folder: Path,
    seed: int,
    checkpoint_every_s: float = 30.0,
) -> pd.DataFrame:
    """Run `step(i, generator)` for i in 0 … steps - 1; return one row of what it measured a step.

    state: everything that learns (networks, optimiser), saved to `folder/<name>.checkpoint.pt` every
    `checkpoint_every_s` seconds and restored from it when it is there. A finished run is kept the
    same way, so calling `fit` again costs nothing.

    Raises FloatingPointError naming the step when a measured value is not finite.
    """
    path = folder / f"{name}.checkpoint.pt"
    rows: list[dict[str, float]] = []
    if path.exists():
        saved = torch.load(path, weights_only=True, map_location=device())
        for key, part in state.items():
            part.load_state_dict(saved["state"][key])
        rows = saved["rows"]

    def save() -> None:
        if not sharding.is_first():
            return
        with atomic(path) as temporary, temporary.open("wb") as file:  # given a path it would keep that in the file
            torch.save({"state": {k: part.state_dict() for k, part in state.items()}, "rows": rows}, file)

    last = time.monotonic()
    shown: dict[str, Any] = {"initial": len(rows), "total": steps, "desc": name, "mininterval": 1.0, "leave": None}
    bar = tqdm(range(len(rows), steps), **shown, disable=not sharding.is_first())
    for i in bar:
        generator = step_generator(seed, name, i)
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))  # dropout
        row = {k: float(v) for k, v in step(i, generator).items()}
        bad = {k: v for k, v in row.items() if v != v or v in (float("inf"), float("-inf"))}
        if bad:
            raise FloatingPointError(f"{name}: step {i} measured {bad}; lower the learning rate (lr)")
        rows.append({"step": i} | row)
        if i % 20 == 0:
            bar.set_postfix({k: f"{v:.3f}" for k, v in row.items()})
        if time.monotonic() - last > checkpoint_every_s:
            save()
            last = time.monotonic()
    if len(bar):
        save()
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Optimiser:
    """How to descend, as data. kind: of torch, with its settings; rate: the share of `schedule.lr` at a step."""

    kind: type[torch.optim.Optimizer]
    rate: Callable[[int, Schedule], float]
    settings: Mapping[str, Any] = field(default_factory=dict)


class Step(NamedTuple):
    """number: from 0. generator: what this step draws with. sizes: clips in each group of the batch at hand."""

    number: int
    generator: torch.Generator
    sizes: tuple[int, ...]


class Loss(NamedTuple):
    """A term of what is descended. mean: over the clips of some groups of the batch (all, by default), (); weight: of
    the term in the sum."""

    mean: Tensor
    weight: float = 1.0
    groups: slice = slice(None)


def descend(
    name: str,
    network: nn.Module,
    draw: Callable[[Step], Sequence[Any]],
    losses: Callable[..., Mapping[str, Loss]],
    optimiser: Optimiser,
    schedule: Schedule,
    sizes: tuple[int, ...],
    folder: Path,
    seed: int,
    after: Callable[[int], None] | None = None,
    beside: Mapping[str, Stateful] | None = None,
) -> pd.DataFrame:
    """Train `network` for `schedule.steps` steps of one batch each; killed, it resumes (see `fit`).

    draw(step) gives a batch: its tensors have a row for each clip, group after group of `sizes` clips (strong, weak
    and unlabelled ones, say). losses(step, *batch) gives the terms of its loss. Of several processes each has these
    for its share of the rows; what is no tensor it has whole. after(number): done when a step is taken; beside: what
    else is to be kept in checkpoints.

    Returns one row a step: every term without its weight, their weighted sum `loss`, and the rate `lr`.
    """
    share = sharding.Share(sizes)
    sharding.as_one(network, share).train()
    descent = optimiser.kind(network.parameters(), lr=schedule.lr, **optimiser.settings)  # type: ignore[call-arg]

    def step(i: int, generator: torch.Generator) -> dict[str, Tensor | float]:
        batch = [share.of(x) if isinstance(x, Tensor) else x for x in draw(Step(i, generator, sizes))]
        found = losses(Step(i, generator, share.own), *batch)
        terms = {key: share.weight(term.groups) * term.mean for key, term in found.items()}
        loss = sum((term.weight * terms[key] for key, term in found.items()), torch.zeros(()))
        lr = schedule.lr * optimiser.rate(i, schedule)
        for group in descent.param_groups:
            group["lr"] = lr
        descent.zero_grad()
        loss.backward()
        sharding.add_gradients(network)
        descent.step()
        if after:
            after(i)
        return sharding.add({key: x.detach() for key, x in {"loss": loss, **terms}.items()}) | {"lr": lr}

    state: dict[str, Stateful] = {"network": network, "optimiser": descent, **(beside or {})}
    return fit(name, step, state, schedule.steps, folder, seed)


def keep(weights: Path, table: Path, tensors: Mapping[str, Tensor], history: pd.DataFrame, **about: Any) -> None:
    """Leave what a training has learned: its history, and last its weights: when they are there, all is done."""
    if sharding.is_first():
        write_table(table, history)
        write_tensors(weights, tensors, **about)
    sharding.wait()


def kept(weights: Path, table: Path) -> pd.DataFrame | None:
    """The history of a training whose weights are there; None: it is still to do."""
    return pd.read_csv(table) if weights.exists() and table.exists() else None
