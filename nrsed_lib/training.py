"""The training loop that every network here goes through: visible, resumable, the same to the bit.

All randomness of step i comes from (seed, name, i), so a run that was killed and resumed from its
last checkpoint takes the same steps as one that was not. Several processes may take them together
(`sharding.py`): each runs `fit`, and the first one writes.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from tqdm import tqdm

from nrsed_lib import sharding
from nrsed_lib.store import atomic


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


def warmup(step: int, steps: int) -> float:
    """Exponential ramp exp(-5 (1 - step/steps)^2), 1 after `steps` (Tarvainen and Valpola 2017)."""
    if steps == 0 or step >= steps:
        return 1.0
    return float(torch.exp(torch.tensor(-5.0 * (1.0 - step / steps) ** 2)))


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
        with atomic(path) as temporary:
            torch.save({"state": {k: part.state_dict() for k, part in state.items()}, "rows": rows}, temporary)

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
