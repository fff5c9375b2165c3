"""How the golden outputs were made and are compared: fixed weights and inputs, drawn by name."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

GOLDEN = Path(__file__).parents[1] / "golden"


def read(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def draw(name: str, shape: tuple[int, ...]) -> Tensor:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def fill(network: nn.Module) -> nn.Module:
    """The fixed weights, by the recipe of the golden files; in evaluation mode."""
    state = network.state_dict()
    for name, value in state.items():
        if not value.is_floating_point():
            continue
        x = draw(name, tuple(value.shape))
        if name.endswith("running_var"):
            state[name] = 1 + 0.1 * x.abs()
        elif name.endswith("running_mean"):
            state[name] = 0.1 * x
        elif x.ndim < 2:
            state[name] = 0.1 * x + float(name.endswith("weight"))
        else:
            state[name] = x / np.sqrt(np.prod(x.shape[1:]))
    network.load_state_dict(state)
    return network.eval()


def names_and_shapes(network: nn.Module) -> str:
    """Digest of the published part of a state dict: names and shapes, counters left out."""
    shapes = {k: list(v.shape) for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    return hashlib.sha256(json.dumps(shapes, sort_keys=True).encode()).hexdigest()


def assert_golden(output: Tensor, golden: dict, tolerance: float = 1e-4) -> None:
    """The same shape, 64 sample values and mean, to `tolerance` of the output's rms (float32 arithmetic)."""
    assert list(output.shape) == golden["shape"]
    flat = output.flatten()
    sample = flat[torch.linspace(0, len(flat) - 1, 64).long()]
    assert (sample - torch.tensor(golden["sample"])).abs().max() < tolerance * golden["rms"]
    assert abs(flat.double().mean() - golden["mean"]) < tolerance * golden["rms"]
