"""Two processes learn what one learns from the same batches, and may take a training over from each other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from nrsed_lib import sharding

pytestmark = pytest.mark.timeout(600)
HERE = Path(__file__).parent
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TASKS = {"float64": 10, "float32": 10, "released": 10, "separator": 5}  # steps
LR = 1e-3
# Batch norm takes away a bias just before it, whose gradient is therefore nothing but rounding. Adam divides by
# its size and takes a step of up to lr all the same, the mean of the norm follows, and no prediction changes.
BEFORE_NORM = ("conv0.bias", "conv1.bias", "output.1.bias", "shortcut.bias", "running_mean")


def learn(nb_processes: int, root: Path, tasks: dict[str, int]) -> None:
    done = subprocess.run(
        [sys.executable, *(TORCHRUN if nb_processes == 2 else []), str(HERE / "learn_toy.py")]
        + [f"{root}/{name}:{steps}" for name, steps in tasks.items()],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> Path:
    """`one`: by one process; `two`: by two; `both`: 4 steps by two, 3 by one, 3 by two."""
    root = tmp_path_factory.mktemp("processes")
    learn(2, root, {f"two/{name}": steps for name, steps in TASKS.items()} | {"both/float64": 4})
    learn(1, root, {f"one/{name}": steps for name, steps in TASKS.items()} | {"both/float64": 7})
    learn(2, root, {"both/float64": 10})
    return root


def checkpoint(folder: Path, name: str) -> dict:
    (path,) = folder.rglob(f"{name}.checkpoint.pt")
    return torch.load(path, weights_only=True)


def gaps(a: dict, b: dict, part: str) -> dict[str, float]:
    """Largest difference of each tensor of a network."""
    a, b = a["state"][part], b["state"][part]
    return {k: float((a[k] - b[k]).abs().max()) for k in a}


def curve_gap(a: dict, b: dict, name: str) -> float:
    """Largest relative difference of a measured value at any step."""
    assert len(a["rows"]) == len(b["rows"]) == TASKS[name]
    pairs = [(x[k], y[k]) for x, y in zip(a["rows"], b["rows"], strict=True) for k in x]
    return max(abs(x - y) / max(abs(x), 1e-12) for x, y in pairs)


@pytest.mark.parametrize(("who", "name"), [("two", "float64"), ("both", "float64"), ("two", "released")])
def test_the_detector_is_that_of_one_process(learned: Path, who: str, name: str) -> None:
    """In double precision, where a wrong weight, row, statistic or draw can not hide behind rounding."""
    one, other = (checkpoint(learned / folder, name) for folder in ("one", who))
    assert curve_gap(one, other, name) < 1e-10
    for part in ("network", "teacher"):
        for key, gap in gaps(one, other, part).items():
            assert gap < (1e-8 if key.endswith(BEFORE_NORM) else 1e-12), (part, key)


def test_in_single_precision_they_differ_by_its_rounding(learned: Path) -> None:
    """2⁻²⁴ = 6e-8 an operation; a gap of predictions, itself about 0.001, has three digits less."""
    one, two = (checkpoint(learned / folder, "float32") for folder in ("one", "two"))
    for a, b in zip(one["rows"], two["rows"], strict=True):
        for name in ("loss", "strong", "weak"):
            assert a[name] == pytest.approx(b[name], rel=1e-5), (a["step"], name)
    for part in ("network", "teacher"):
        for name, gap in gaps(one, two, part).items():
            assert gap < (2 * 10 * LR if name.endswith(BEFORE_NORM) else 1e-4), (part, name)


def test_the_separator_is_that_of_one_process(learned: Path) -> None:
    one, two = (checkpoint(learned / folder, "separator") for folder in ("one", "two"))
    assert curve_gap(one, two, "separator") < 1e-5
    for name, gap in gaps(one, two, "network").items():
        assert gap < (2 * 5 * LR if name.endswith(BEFORE_NORM) else 1e-4), name


def test_every_process_holds_the_same_teacher(learned: Path) -> None:
    ranks = [torch.load(next((learned / "two").rglob(f"float32-rank{rank}.pt")), weights_only=True) for rank in (0, 1)]
    assert all(torch.equal(ranks[0][k], ranks[1][k]) for k in ranks[0])


def test_alone_nothing_is_joined_or_imported() -> None:
    code = (
        "import sys, nrsed_lib.sed.training, nrsed_lib.lass.training; from nrsed_lib import sharding; sharding.start()"
    )
    check = "; assert 'lightning_fabric' not in sys.modules and sharding.size() == 1"
    subprocess.run([sys.executable, "-c", code + check], check=True)
    share, x = sharding.Share((3, 2)), torch.rand(5, 2)
    assert share.of(x) is x and share.gather(x) is x and sharding.total(x) is x
    assert share.own == (3, 2) and share.weight(slice(1)) == share.weight(slice(2)) == 1.0
    net = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout())
    assert type(sharding.as_one(net, share)[0]) is nn.BatchNorm2d


@pytest.fixture
def third_of_three(monkeypatch):
    monkeypatch.setattr(sharding, "_fabric", type("Third", (), {"world_size": 3, "global_rank": 2})())


def test_a_share_is_of_every_group(third_of_three) -> None:
    share = sharding.Share((4, 3, 6))
    assert share.rows.tolist() == [3, 6, 11, 12] and share.own == (1, 1, 2)
    assert share.weight(slice(1)) == 1 / 4 and share.weight(slice(2)) == 2 / 7 and share.weight(slice(3)) == 4 / 13
    assert share.weight(slice(1, 2)) == 1 / 3


def test_what_can_not_be_shared_is_named(third_of_three) -> None:
    with pytest.raises(ValueError, match=r"4 \+ 2 rows.*3 processes.*at most 2"):
        sharding.Share((4, 2))
    for layer in (nn.BatchNorm1d(2), nn.Dropout2d(), nn.GRU(2, 2, 2, dropout=0.5)):
        with pytest.raises(TypeError, match=type(layer).__name__):
            sharding.as_one(nn.Sequential(layer), sharding.Share((3,)))
