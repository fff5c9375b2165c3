"""Matching outputs with sounds, against a search that is written out."""

from itertools import permutations, product

import torch

from nrsed_lib.studies.opensep.measure import LIMIT_DB, ratios
from nrsed_lib.studies.opensep.methods.match import best_match
from nrsed_lib.studies.opensep.methods.mixit import grouped_error
from nrsed_lib.studies.opensep.methods.unconditional import matched_error
from nrsed_lib.studies.opensep.networks.front_end import mask_error


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_best_match_is_that_of_brute_force() -> None:
    costs = draw(6, 4, 3)
    lowest, outputs = best_match(costs)
    for cost, low, order in zip(costs, lowest, outputs, strict=True):
        tried = {p: float(cost[list(p), range(3)].mean()) for p in permutations(range(4), 3)}
        best = min(tried, key=lambda p: tried[p])
        assert tuple(order.tolist()) == best
        assert abs(float(low) - tried[best]) < 1e-6


def test_pit_does_not_care_for_the_order() -> None:
    masks, mixtures, targets = draw(5, 3, 8, 4), draw(5, 8, 4, seed=1) + 0.5, draw(5, 2, 8, 4, seed=2)
    error = matched_error(masks, mixtures, targets)
    for order in permutations(range(3)):
        torch.testing.assert_close(matched_error(masks[:, order], mixtures, targets), error)
    torch.testing.assert_close(matched_error(masks, mixtures, targets.flip(1)), error)
    for i in range(5):
        tried = [
            sum(float(mask_error(masks[i, p[j]], mixtures[i], targets[i, j])) for j in range(2)) / 2
            for p in permutations(range(3), 2)
        ]
        assert abs(float(error[i]) - min(tried)) < 1e-6


def test_mixit_takes_the_best_of_all_sixteen_groupings() -> None:
    masks, mixtures, parts = draw(3, 4, 8, 4), draw(3, 8, 4, seed=1) + 0.5, draw(3, 2, 8, 4, seed=2)
    found = grouped_error(masks, mixtures, parts)
    for i in range(3):
        tried = []
        for groups in product(range(2), repeat=4):
            sums = [sum((masks[i, k] for k in range(4) if groups[k] == g), torch.zeros(8, 4)) for g in range(2)]
            tried.append(sum(float(mask_error(sums[g], mixtures[i], parts[i, g])) for g in range(2)) / 2)
        assert len(tried) == 16
        assert abs(float(found[i]) - min(tried)) < 1e-6


def test_mixit_of_a_perfect_grouping_is_zero() -> None:
    parts = draw(2, 2, 8, 4)
    mixtures = parts.sum(1)
    share = parts / mixtures[:, None]
    masks = torch.stack([0.25 * share[:, 1], share[:, 0], 0.5 * share[:, 1], 0.25 * share[:, 1]], dim=1)
    torch.testing.assert_close(grouped_error(masks, mixtures, parts), torch.zeros(2), atol=1e-6, rtol=0)


def test_a_perfect_and_a_silent_estimate_have_finite_sdr():
    sounds = torch.randn(1, 2, 4000, generator=torch.Generator().manual_seed(0))
    perfect, silent = ratios(sounds, sounds), ratios(sounds, torch.zeros_like(sounds))
    assert perfect.sdr[0] == perfect.sir[0] == LIMIT_DB  # float32 rounding alone is more than 60 dB down
    assert silent.sdr[0] == -LIMIT_DB
