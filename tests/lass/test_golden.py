"""The published networks' outputs on fixed weights: ours is the same computation, under the same names."""

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nrsed_lib.lass.separator import Separator
from nrsed_lib.profile import Lass

GOLDEN = Path(__file__).parents[1] / "golden"


def draw(name: str, shape: tuple[int, ...]) -> Tensor:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    """The value of one entry of a state dict, by the recipe the golden outputs were made with."""
    x = draw(name, shape)
    if name.endswith("running_var"):
        return 1 + 0.1 * x.abs()
    if name.endswith("running_mean"):
        return 0.1 * x
    if x.ndim < 2:
        return 0.1 * x + float(name.endswith("weight"))
    return x / np.sqrt(np.prod(shape[1:]))


@pytest.mark.parametrize("name", ["resunet30", "resunet30_dprnn", "resunet30_dprnn6"])
def test_published_network(name: str) -> None:
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    config = golden["config"]
    settings = Lass(  # the defaults are the published sizes
        condition_size=config["condition_size"],
        dprnn_layers=config.get("dprnn_layers", 0),
        dprnn_hidden=config.get("dprnn_hidden", 128),
        train={"steps": 1, "warmup_steps": 0, "batch": 1, "seconds": 1},
    )
    separator = Separator(settings, text=nn.Identity()).eval()
    state = {k: v for k, v in separator.net.state_dict().items() if v.is_floating_point()}
    lines = "\n".join(f"{k} {list(v.shape)}" for k, v in sorted(state.items()))
    assert len(state) == golden["nb_entries"]
    assert hashlib.sha256(lines.encode()).hexdigest() == golden["names_sha256"]

    separator.net.load_state_dict({k: drawn(k, tuple(v.shape)) for k, v in state.items()}, strict=False)
    mixture = 0.1 * draw("mixture", (1, 1, 32000))[0]
    condition = draw("condition", (1, 512))
    with torch.inference_mode():
        out = separator(mixture, condition / condition.norm()).flatten().double()

    summary = golden["output"]["waveform"]
    sample = out[torch.linspace(0, len(out) - 1, 64).long()]
    torch.testing.assert_close(sample, torch.tensor(summary["sample"]).double(), rtol=0, atol=1e-4 * summary["rms"])
    assert out.square().mean().sqrt().item() == pytest.approx(summary["rms"], rel=1e-4)
    assert out.abs().max().item() == pytest.approx(summary["absmax"], rel=1e-4)
    assert out.mean().item() == pytest.approx(summary["mean"], abs=1e-4 * summary["rms"])
