"""How far chance goes: everything measured again on resampled units, the same resamples for everyone.

A unit is what another study would have drawn anew: a test clip, a held-out mixture, a training seed. A draw takes as
many units as there are, with replacement. Because all systems (or variants of a study), conditions and seeds share
the draws, their differences draw by draw are a paired bootstrap: what both sides share takes no part in them. With
one training seed an interval covers other clips or mixtures, and not other trainings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

NB_DRAWS = 1000  # of the studies; of the paper's tables `evaluate.nb_bootstrap` of the profile


def draw_counts(nb_units: int, nb_draws: int, seed: int = 0) -> NDArray[np.int64]:
    """How often each unit is in each draw: (1 + nb_draws, nb_units), each row adding up to nb_units.

    Row 0 is the study itself, so that estimate and draws go the same way.
    """
    draws = np.random.default_rng(seed).multinomial(nb_units, np.full(nb_units, 1 / nb_units), size=nb_draws)
    return np.concatenate([np.ones((1, nb_units), np.int64), draws])


def interval(draws: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Where the estimate would fall, with probability `level`, had other clips been drawn.

    draws: (…, 1 + nb_draws), the estimate first. Returns (low, high) of shape (…). The quantiles are
    of the draws' distance from their own mean, put around the estimate: PSDS takes off the spread
    over classes, which resampling widens, so the draws lie below the estimate as a whole.
    """
    estimate, drawn = draws[..., 0], draws[..., 1:]
    centred = drawn - drawn.mean(-1, keepdims=True)
    low, high = np.quantile(centred, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return estimate + low, estimate + high


def verdict(low: float, high: float) -> str:
    """Of an interval of a statistic that a true claim puts above zero."""
    return "holds" if low > 0 else "does not hold" if high < 0 else "undecided"


@dataclass(frozen=True)
class Draws:
    """Weights that add up to one. mixtures: (1 + nb_draws, nb_mixtures); seeds: (1 + nb_draws, nb_seeds)."""

    mixtures: Array
    seeds: Array

    @classmethod
    def of(cls, nb_mixtures: int, nb_seeds: int, nb_draws: int = NB_DRAWS, seed: int = 0) -> Draws:
        return cls(
            draw_counts(nb_mixtures, nb_draws, seed) / nb_mixtures, draw_counts(nb_seeds, nb_draws, seed + 1) / nb_seeds
        )

    def mean(self, values: Array) -> Array:
        """(nb_seeds, nb_mixtures) -> (1 + nb_draws,)."""
        return np.einsum("ds,sm,dm->d", self.seeds, values, self.mixtures, optimize=True)

    def estimate(self, values: Array) -> tuple[float, float, float]:
        """(nb_seeds, nb_mixtures) -> their mean, and where it would fall in 95 % of such studies: value, low, high."""
        draws = self.mean(values)
        low, high = interval(draws)
        return float(draws[0]), float(low), float(high)


def by_seed(rows: pd.DataFrame, column: str) -> Array:
    """One value a row, with the columns `seed` and `mixture` -> (nb_seeds, nb_mixtures).

    Raises ValueError when a seed lacks a mixture that another one has: the two could not be compared.
    """
    table = rows.pivot_table(column, "seed", "mixture")
    missing = np.argwhere(table.isna().to_numpy())
    if len(missing):
        seed, mixture = table.index[missing[0, 0]], table.columns[missing[0, 1]]
        raise ValueError(f"{column}: seed {seed} has no value for mixture {mixture}; measure all seeds on the same")
    return table.to_numpy(float)
