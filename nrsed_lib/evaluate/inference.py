"""From numbers by seed and draw to an interval and a verdict: what chance leaves standing.

A seed deals everything anew: recordings to training and test, soundscapes, noise, every training. Over at least
MIN_SEEDS of them the corrected resampled t interval (Nadeau & Bengio 2003) covers all of that: mean ± t · sqrt((1/J +
n_test / n_train) s²) with J - 1 degrees of freedom, where s² is the variance over seeds and the second term makes up
for training sets that overlap. With fewer there is only the bootstrap over test recordings, which knows of no other
training. Many claims at once are corrected for by Holm's step-down of their p-values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nrsed_lib.evaluate.resampling import Array, interval

MARGIN = 0.03  # what is smaller is no difference worth having: in P1+P2, recall, correlation, each in its own unit
LEVEL = 0.95
MIN_SEEDS = 3  # for a variance over them
VERDICTS = ("holds", "the opposite holds", f"no difference > {MARGIN}", "undecided")


@dataclass(frozen=True)
class Inference:
    """Of a statistic that is above zero when a claim is true. low, high: of LEVEL. p: two-sided, that it is not zero.
    p_same: that it is within ± MARGIN, the larger of two one-sided tests (TOST)."""

    value: float
    low: float
    high: float
    p: float
    p_same: float


def over_seeds(values: Array, share: float) -> Inference:
    """The corrected resampled t of the mean. values: (nb_seeds,), at least two. share: n_test / n_train."""
    nb = len(values)
    mean, free = float(values.mean()), stats.t(nb - 1)
    error = float(np.sqrt((1 / nb + share) * values.var(ddof=1)))
    half = free.ppf((1 + LEVEL) / 2) * error

    def below(threshold: float) -> float:
        """The probability of a mean as high as this one, were the truth `threshold`."""
        if error == 0:
            return 1.0 if mean <= threshold else 0.0
        return float(free.sf((mean - threshold) / error))

    return _inference(mean, mean - half, mean + half, below, lambda at: 1 - below(at) if error else float(mean >= at))


def over_recordings(draws: Array, common: float = 0.0) -> Inference:
    """The bootstrap of the mean over seeds, of which each has its own draws.

    draws: (nb_seeds, 1 + nb_draws), the estimate first. common: the share of recordings that the test sets of two seeds
    have in common (`resampling.overlap`). Their errors are alike by that much, and the mean's variance is 1 + (nb_seeds
    - 1) · common times what it would be for test sets that share nothing.
    """
    nb_seeds, mean = len(draws), draws.mean(0)
    spread = np.sqrt(1 + (nb_seeds - 1) * common) * (mean[1:] - mean[1:].mean())
    low, high = interval(np.append(mean[0], mean[0] + spread))
    drawn = np.sort(mean[0] + spread)
    nb = len(drawn) + 1  # the study itself is one of them: no p-value is zero

    def below(threshold: float) -> float:
        return float(1 + np.searchsorted(drawn, threshold, "right")) / nb

    def above(threshold: float) -> float:
        return float(1 + len(drawn) - np.searchsorted(drawn, threshold, "left")) / nb

    return _inference(float(mean[0]), float(low), float(high), below, above)


def _inference(value: float, low: float, high: float, below, above) -> Inference:
    """below(x), above(x): one-sided p-values that the truth is not at or below, or at or above, x."""
    return Inference(
        value, low, high, min(1.0, 2 * min(below(0.0), above(0.0))), min(1.0, max(below(-MARGIN), above(MARGIN)))
    )


def holm(p: Sequence[float]) -> Array:
    """Holm's adjusted p-values: of the i-th smallest of m, the largest of (m - j) p_(j) over j <= i, at most 1."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate((len(values) - np.arange(len(values))) * values[order])
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(steps, 1)
    return adjusted


def verdict(value: float, p: float, p_same: float) -> str:
    """One of VERDICTS, of adjusted p-values. A difference that is there for certain, however small, is one."""
    holds, opposite, same, undecided = VERDICTS
    if p <= 1 - LEVEL:
        return holds if value > 0 else opposite
    return same if p_same <= 1 - LEVEL else undecided
