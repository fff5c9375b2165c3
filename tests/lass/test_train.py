"""The separator learns, and a killed training ends in the same weights."""

from pathlib import Path

import pytest
import torch
from test_front_end import SMALL
from test_mixtures import RATE, tones

from nrsed_lib.artefacts import Run
from nrsed_lib.evaluate.separation import sdr_gained
from nrsed_lib.lass import training as train
from nrsed_lib.lass.mixtures import Mixer
from nrsed_lib.lass.separator import Separator
from nrsed_lib.profile import LassTrain, load_profile
from nrsed_lib.training import device, warmup_and_cosine

SCHEDULE = LassTrain(steps=6, warmup_steps=2, batch=3, seconds=0.5, lr=1e-2)


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("NRSED_RESULTS", str(folder))
    result = Run(load_profile("smoke"), "05", 0)
    result.folder.mkdir(parents=True, exist_ok=True)
    return result


def learnt(where: Run, schedule: LassTrain = SCHEDULE, seed: int = 0) -> Separator:
    torch.manual_seed(seed)
    separator = Separator(SMALL).to(device())
    train.mix_and_separate(separator, tones(1.0).to(device()), schedule, where.folder, 0)
    return separator.eval()


def test_killed_is_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = learnt(run(tmp_path / "whole", monkeypatch)).state_dict()

    killed = run(tmp_path / "killed", monkeypatch)
    residual, calls = train.residual_db, []

    def kill(*args: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return residual(*args)

    monkeypatch.setattr(train, "residual_db", kill)
    monkeypatch.setattr("nrsed_lib.training.fit.__defaults__", (0.0,))  # a checkpoint after every step
    with pytest.raises(KeyboardInterrupt):
        learnt(killed)
    resumed = learnt(killed, seed=1).state_dict()  # what it would start from does not matter any more
    assert len(calls) == 4 + 3  # steps 0-2, the kill in 3, then 3-5 alone
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_it_learns_to_tell_tones_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = SCHEDULE.model_copy(update={"steps": 80, "batch": 8})
    separator = learnt(run(tmp_path, monkeypatch), schedule)
    mixer = Mixer(tones(1.0, per_class=1), RATE)
    drawn = mixer.draw(40, (-10.0, 10.0), torch.Generator().manual_seed(1))
    with torch.inference_mode():
        conditions = separator.embed([train.query_text(label) for label in mixer.labels])
        estimates = separator(drawn.mixtures.to(device()), conditions[drawn.queries.to(device())]).cpu()
    assert sdr_gained(estimates, drawn.mixtures, drawn.targets)["improvement"].mean() > 5


def test_loss_closed_forms() -> None:
    target = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    mixture = 2 * target
    floor = train.FLOOR
    for estimate, share in ((mixture, 1 / 4), (target, 0.0), (0 * target, 1 / 4)):
        expected = 10 * torch.log10(torch.tensor([share + floor]))
        torch.testing.assert_close(train.residual_db(estimate, target, mixture), expected)
    silent = torch.zeros_like(target)
    assert train.residual_db(silent, silent, mixture) == pytest.approx(-30, abs=1e-4)
    assert torch.isfinite(train.residual_db(silent, silent, silent)).all()


def test_the_best_mask_has_the_lowest_entropy() -> None:
    energy = torch.rand(2, 5, 8) + 0.1
    best = torch.rand(2, 5, 8) * 0.8 + 0.1
    at_best = train.mask_entropy(best.logit(), best * energy, energy)
    expected = -(best * best.log() + (1 - best) * (1 - best).log())  # of the mask with itself
    weight = energy**0.3
    torch.testing.assert_close(at_best, (weight * expected).sum((1, 2)) / weight.sum((1, 2)))
    for step in (-0.2, 0.2):
        assert (train.mask_entropy(best.logit() + step, best * energy, energy) > at_best).all()


def test_rate_warms_up_and_falls_to_nothing() -> None:
    schedule = LassTrain(steps=100, warmup_steps=10, batch=1, seconds=1.0)
    rates = [warmup_and_cosine(i, schedule) for i in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) > 0.95
    assert rates[-1] < 1e-3
    assert rates[10:] == sorted(rates[10:], reverse=True)
