"""Which output belongs to which sound, when nothing says so: the assignment with the lowest cost, of all there are."""

from __future__ import annotations

import functools
from itertools import permutations, product

import torch
from torch import Tensor


@functools.cache
def injections(nb_outputs: int, nb_sounds: int) -> Tensor:
    """Every choice of a different output for each sound: (nb_choices, nb_sounds)."""
    return torch.tensor(list(permutations(range(nb_outputs), nb_sounds)))


@functools.cache
def partitions(nb_outputs: int, nb_groups: int) -> Tensor:
    """Every way to give each output to one group: (nb_ways, nb_groups, nb_outputs) of 0 and 1."""
    groups = torch.tensor(list(product(range(nb_groups), repeat=nb_outputs)))  # (nb_ways, nb_outputs)
    return (groups[:, None] == torch.arange(nb_groups)[:, None]).float()


def best_match(costs: Tensor) -> tuple[Tensor, Tensor]:
    """costs: (B, nb_outputs, nb_sounds), at least as many outputs as sounds.

    Returns the lowest mean cost over the sounds (B,), and the output of each sound (B, nb_sounds).
    """
    choices = injections(*costs.shape[1:]).to(costs.device)  # (nb_choices, nb_sounds)
    sounds = torch.arange(costs.shape[2], device=costs.device)
    totals = costs[:, choices, sounds].mean(-1)  # (B, nb_choices)
    lowest, choice = totals.min(-1)
    return lowest, choices[choice]
