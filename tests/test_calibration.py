"""Thresholds of queries: F1 as counted by hand, and the best of it."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from nrsed_lib import calibration
from nrsed_lib.artefacts import Run
from nrsed_lib.calibration import GRID, best, calibrate, f1_by_class, read_thresholds
from nrsed_lib.profile import load_profile
from nrsed_lib.systems import Queries


def test_f1_is_scikit_learns():
    rng = np.random.default_rng(0)
    scores, labels = rng.uniform(size=(40, 3)), (rng.uniform(size=(40, 3)) < 0.4).astype(int)
    labels[:, 2] = 0
    found = f1_by_class(torch.tensor(scores), torch.tensor(labels), torch.tensor([0.2, 0.5, 1.0]))
    expected = [f1_score(labels, scores > t, average=None, zero_division=1.0) for t in (0.2, 0.5, 1.0)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_best_threshold_is_in_the_middle_of_the_best():
    curve = torch.zeros(len(GRID))
    curve[[10, 11, 12, 90]] = torch.tensor([0.5, 0.5, 0.5, 0.4])
    assert best(curve) == GRID[11]


def test_what_is_calibrated_separates_what_it_was_calibrated_on(tmp_path, monkeypatch):
    """A source whose every score of a class that is there is above 0.1 and of the others below asks rightly."""
    run = Run(load_profile("smoke"), "06", 0)
    vars(run)["folder"] = tmp_path
    labels = (torch.rand(50, 4, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    shy = 0.05 + 0.1 * labels
    each = shy * torch.tensor([1.0, 2.0, 4.0, 6.0])  # comparable within a class only
    found = {"shy": shy, "each": each}
    monkeypatch.setattr(calibration, "validation_scores", lambda run, networks: (found, labels))
    thresholds = calibrate(run, None)
    told = found | {"truth": labels}
    assert torch.equal(Queries("shy", "calibrated").asked(told, thresholds), labels > 0)
    assert torch.equal(Queries("each", "by class").asked(told, thresholds), labels > 0)
    assert not torch.equal(Queries("each", "calibrated").asked(told, thresholds), labels > 0)
    monkeypatch.setattr(calibration, "validation_scores", lambda run, networks: pytest.fail("computed again"))
    again = calibrate(run, None)
    assert again.keys() == thresholds.keys() == read_thresholds(run).keys()
    assert torch.equal(again["by class"]["each"], thresholds["by class"]["each"])
