"""How far chance goes: everything measured again on resampled units, the same resamples for everyone.

A unit is what another study would have drawn anew: a source recording that test clips are cut from, a held-out mixture,
a training seed. A draw takes as many units as there are, with replacement. All systems (or variants of a study) and
conditions share the draws, and so their differences draw by draw are a paired bootstrap: what both sides share takes no
part in them. With one training seed an interval covers other recordings or mixtures, and not other trainings.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
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
    draws = _multinomial(np.random.default_rng(seed), nb_units, nb_draws)
    return np.concatenate([np.ones((1, nb_units), np.int64), draws])


def clip_weights(
    recordings: Sequence[Sequence[str]], classes: Mapping[str, str], nb_draws: int, seed: int = 0
) -> NDArray[np.int64]:
    """How often each clip is in each draw of the recordings that clips are cut from: (1 + nb_draws, nb_clips).

    recordings: of each clip. classes: recording -> the class it is of. A draw takes as many recordings of each class
    as there are, with replacement; a clip is in it as often as the product of its recordings says (the pigeonhole
    bootstrap: Owen & Eckles 2012, which errs to the wide side). Where each clip has a recording of its own, and all
    are of one class, it is the ordinary bootstrap. Row 0 is the study itself. Fewer draws are the first of more.
    """
    weights = np.ones((1 + nb_draws, len(recordings)), np.int64)
    for name in sorted(set(classes.values())):
        units = sorted({r for clip in recordings for r in clip if classes[r] == name})
        if units:
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            drawn = dict(zip(units, _multinomial(rng, len(units), nb_draws).T, strict=True))
            for i, clip in enumerate(recordings):
                weights[1:, i] *= math.prod((drawn[r] for r in set(clip) & set(units)), start=np.int64(1))
    return weights


def _multinomial(rng: np.random.Generator, nb_units: int, nb_draws: int) -> NDArray[np.int64]:
    return rng.multinomial(nb_units, np.full(nb_units, 1 / nb_units), size=nb_draws)


def overlap(recordings: Sequence[set[str]]) -> float:
    """The share of its recordings that a test set has in common with another, mean over pairs of them (0 for one)."""
    pairs = [(a, b) for i, a in enumerate(recordings) for b in recordings[:i]]
    return float(np.mean([len(a & b) / math.sqrt(len(a) * len(b)) for a, b in pairs])) if pairs else 0.0


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
