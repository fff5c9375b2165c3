"""How far chance goes in a study of separators: means over mixtures and trainings, and their differences.

A draw takes as many mixtures as there are, with replacement, and as many training seeds; both are the same for all
variants of a study, so differences draw by draw are a paired bootstrap. With one seed the interval covers other
mixtures, and not other trainings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nrsed_lib.evaluate.bootstrap import Array, draw_clips, interval

NB_DRAWS = 1000


def verdict(low: float, high: float) -> str:
    """Of an interval of a statistic that a true claim puts above zero."""
    return "holds" if low > 0 else "does not hold" if high < 0 else "undecided"


@dataclass(frozen=True)
class Draws:
    """Weights that add up to one. mixtures: (1 + nb_draws, nb_mixtures); seeds: (1 + nb_draws, nb_seeds).

    Row 0 is the study itself, so that estimate and draws go the same way.
    """

    mixtures: Array
    seeds: Array

    @classmethod
    def of(cls, nb_mixtures: int, nb_seeds: int, nb_draws: int = NB_DRAWS, seed: int = 0) -> Draws:
        return cls(
            draw_clips(nb_mixtures, nb_draws, seed) / nb_mixtures, draw_clips(nb_seeds, nb_draws, seed + 1) / nb_seeds
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
