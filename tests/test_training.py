"""Training that was killed goes on to the same weights as training that was not."""

import subprocess
import sys

import pytest
import torch

from nrsed_lib.profile import Schedule
from nrsed_lib.training import fit, step_generator, warmup

KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from nrsed_lib.profile import Schedule
from nrsed_lib.training import fit
folder, die_at = Path(sys.argv[1]), int(sys.argv[2])
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))
optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
def step(i, generator):
    if i == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
    loss = net(torch.randn(16, 4, generator=generator)).square().mean()
    optimiser.zero_grad(); loss.backward(); optimiser.step()
    return {"loss": loss.detach()}
history = fit("toy", step, {"net": net, "optimiser": optimiser}, 12, folder, seed=5, checkpoint_every_s=0.0)
torch.save(net.state_dict(), folder / "final.pt")
history.to_csv(folder / "history.csv")
"""


def train(folder, die_at=-1):
    folder.mkdir(exist_ok=True)
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(die_at)], capture_output=True, text=True)
    return done.returncode


def test_killed_and_resumed_equals_uninterrupted_to_the_bit(tmp_path):
    assert train(tmp_path / "whole") == 0
    assert train(tmp_path / "broken", die_at=7) == -9
    assert not (tmp_path / "broken" / "final.pt").exists()
    assert train(tmp_path / "broken") == 0
    whole, broken = (torch.load(tmp_path / d / "final.pt", weights_only=True) for d in ("whole", "broken"))
    assert all(torch.equal(whole[k], broken[k]) for k in whole)
    assert (tmp_path / "whole" / "history.csv").read_text() == (tmp_path / "broken" / "history.csv").read_text()


def test_a_finished_training_is_not_run_again(tmp_path):
    calls = []

    def step(i, generator):
        calls.append(i)
        return {"loss": 1.0}

    for _ in range(2):
        assert len(fit("once", step, {}, 3, tmp_path, seed=0)) == 3
    assert calls == [0, 1, 2]


def test_a_loss_that_is_not_finite_stops_at_once_and_says_where(tmp_path):
    with pytest.raises(FloatingPointError, match=r"step 2.*loss.*nan.*lr"):
        fit("bad", lambda i, g: {"loss": float("nan") if i == 2 else 0.0}, {}, 5, tmp_path, seed=0)


def test_randomness_belongs_to_seed_name_and_step():
    draws = {
        (s, n, i): torch.randint(2**40, (), generator=step_generator(s, n, i)).item()
        for s in (0, 1) for n in ("a", "b") for i in (0, 1)
    }  # fmt: skip
    assert len(set(draws.values())) == len(draws)


def test_warmup_is_the_exponential_ramp():
    ten, none = (Schedule(steps=100, warmup_steps=steps) for steps in (10, 0))
    assert warmup(0, ten) == pytest.approx(torch.tensor(-5.0).exp().item())
    assert warmup(5, ten) == pytest.approx(torch.tensor(-1.25).exp().item())
    assert warmup(10, ten) == warmup(99, ten) == warmup(0, none) == 1.0
