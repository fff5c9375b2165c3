"""PSDS of resampled clips: the area under the ROC that counts of each clip, weighted by a draw, add up to.

What a clip adds to the counts of detections as the threshold falls does not depend on the other clips (`Changes`). A
draw only weights clips, so that thousands of draws take seconds. `psds` makes the changes from frame scores, `counts`
keeps them. The tests hold every draw to sed_scores_eval's PSDS of the resampled clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

SCENARIOS: dict[str, dict] = {
    "psds1": {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "cttc_threshold": None, "alpha_ct": 0.0, "alpha_st": 1.0},
    "psds2": {"dtc_threshold": 0.1, "gtc_threshold": 0.1, "cttc_threshold": 0.3, "alpha_ct": 0.5, "alpha_st": 1.0},
}
MAX_EFPR = 100.0  # effective false positives an hour
TP, FP, CT = 0, 1, 2  # kinds of change; CT + c: detections on events of class c


@dataclass(frozen=True)
class Changes:
    """How one system's counts change as the threshold falls, sparse and in integers.

    Entries stand by class, and within a class by operating point, highest threshold first. clip: (nb_entries,) whose
    count changes. kind: (nb_entries,) TP, FP or CT + class. value: (nb_entries,) by how much. last: (nb_entries,) true
    where an operating point is complete. begin: (nb_classes + 1,) where the entries of each class begin.
    """

    clip: NDArray[np.integer]
    kind: NDArray[np.integer]
    value: NDArray[np.integer]
    last: NDArray[np.bool_]
    begin: NDArray[np.integer]

    @classmethod
    def join(cls, classes: list[Changes]) -> Changes:
        """Of all classes, from one for each."""
        clip, kind, value, last = (np.concatenate([one.entries[i] for one in classes]) for i in range(4))
        return cls(clip, kind, value, last, np.cumsum([0, *(len(one.clip) for one in classes)]))

    @property
    def entries(self) -> tuple[NDArray, ...]:
        return self.clip, self.kind, self.value, self.last

    def arrays(self) -> tuple[NDArray, ...]:
        """As compiled code takes them, each of one type."""
        wide = (self.clip, self.kind, self.value)
        return (*(a.astype(np.int32) for a in wide), self.last.astype(bool), self.begin.astype(np.int64))


@dataclass(frozen=True)
class Weighted:
    """Draws of clips, and the totals that rates and ratios are of: what all systems on one test set share.

    weights: (nb_draws, nb_clips). per_event, per_event_second: (nb_draws, nb_classes). per_hour: (nb_draws,).
    """

    weights: Array
    per_event: Array
    per_event_second: Array
    per_hour: Array

    @classmethod
    def of(cls, weights: NDArray, nb_events: NDArray, event_seconds: NDArray, durations: NDArray) -> Weighted:
        """nb_events, event_seconds: (nb_clips, nb_classes) of the truth. durations: (nb_clips,) s."""
        weights = np.ascontiguousarray(weights, dtype=float)
        # Sums by einsum, not BLAS: these products are small, and threads that wait for each other are not.
        events, seconds = (np.einsum("dn,nc->dc", weights, of.astype(float)) for of in (nb_events, event_seconds))
        hours = np.maximum(weights @ durations, 1e-12) / 3600
        return cls(weights, 1 / np.maximum(events, 1), 1 / np.maximum(seconds, 1e-12), 1 / hours)


def psds_of(changes: Changes, draws: Weighted, alpha_ct: float, alpha_st: float) -> Array:
    """Area under the ROC of each draw, (nb_draws,): mean over classes minus `alpha_st` standard deviations."""
    totals = (draws.weights, draws.per_event, draws.per_event_second, draws.per_hour)
    return _areas((*changes.arrays(), *totals), alpha_ct, alpha_st, MAX_EFPR)


def condensed(changes: Changes, draws: Weighted, alpha_ct: float) -> Changes:
    """The same PSDS from fewer entries.

    Left out are operating points that are no better than a neighbour whatever the clips' weights (no clip gains a
    true positive or loses a false one), and those after the last that is within MAX_EFPR in any of `draws`. The PSDS
    of these draws does not change at all; of others it would, if their rates stayed low for longer.
    """
    nb_clips, nb_classes = draws.weights.shape[1], len(changes.begin) - 1
    clip, kind, value, last, begin = changes.arrays()
    parts = []
    for c in range(nb_classes):
        here = slice(begin[c], begin[c + 1])
        one = (clip[here], kind[here], value[here], last[here])
        for backwards in (False, True):
            one = _merged(*one, _useful(*one, nb_clips, CT + nb_classes, backwards), nb_clips, CT + nb_classes)
        end = _reach(*one, draws.weights, draws.per_event_second, draws.per_hour, alpha_ct, MAX_EFPR)
        clips, kinds, values, lasts = (a[:end] for a in one)
        parts.append(Changes(clips, kinds, values, lasts, np.array([0, end])))
    return Changes.join(parts)


@njit(cache=True, nogil=True)
def _areas(given, alpha_ct, alpha_st, most):
    """given: the arrays of Changes, then of Weighted."""
    clip, kind, value, last, begin, weights, per_event, per_event_second, per_hour = given
    nb_draws, nb_classes = per_event.shape
    others = max(nb_classes - 1, 1)
    areas = np.zeros(nb_draws)
    rate, ratio, label = np.empty(len(clip)), np.empty(len(clip)), np.empty(len(clip), np.int64)
    heights = np.empty(nb_classes)
    for d in range(nb_draws):
        nb = 0
        for c in range(nb_classes):
            first, tp, fp, ct = nb, 0.0, 0.0, 0.0
            for e in range(begin[c], begin[c + 1]):
                change = weights[d, clip[e]] * value[e]
                if kind[e] == 0:
                    tp += change
                elif kind[e] == 1:
                    fp += change
                else:
                    ct += change * per_event_second[d, kind[e] - 2]
                if not last[e]:
                    continue
                x, y = fp * per_hour[d] + alpha_ct * 3600 * ct / others, tp * per_event[d, c]
                if x > most or y <= (ratio[nb - 1] if nb > first and rate[nb - 1] <= x else 0.0):
                    continue  # no better than the point before
                while nb > first and rate[nb - 1] >= x and ratio[nb - 1] <= y:
                    nb -= 1
                rate[nb], ratio[nb], label[nb] = x, y, c
                nb += 1
        # The ROC of a class is the best true positive ratio at or below each rate, a staircase.
        heights[:] = 0
        height, at = 0.0, 0.0
        for i in np.argsort(rate[:nb]):
            if ratio[i] > heights[label[i]]:
                areas[d] += height * (rate[i] - at)
                at, heights[label[i]] = rate[i], ratio[i]
                height = max(heights.mean() - alpha_st * heights.std(), 0.0)
        areas[d] = (areas[d] + height * (most - at)) / most
    return areas


@njit(cache=True, nogil=True)
def _reach(clip, kind, value, last, weights, per_event_second, per_hour, alpha_ct, most):
    """How many entries there are up to the last operating point within `most` in any draw."""
    nb_draws, nb_classes = per_event_second.shape
    others, end = max(nb_classes - 1, 1), 0
    for d in range(nb_draws):
        fp, ct = 0.0, 0.0
        for e in range(len(clip)):
            change = weights[d, clip[e]] * value[e]
            if kind[e] == 1:
                fp += change
            elif kind[e] > 1:
                ct += change * per_event_second[d, kind[e] - 2]
            if last[e] and e >= end and fp * per_hour[d] + alpha_ct * 3600 * ct / others <= most:
                end = e + 1
    return end


@njit(cache=True)
def _useful(clip, kind, value, last, nb_clips, nb_kinds, backwards):
    """Which operating points of a class are better for some clip than the last useful one, (nb_points,).

    backwards: that are better for some clip than the point after them.
    """
    useful = np.ones(last.sum(), np.bool_)
    change = np.zeros((nb_clips, nb_kinds), np.int64)  # since the last useful point
    touched = np.empty(len(clip), np.int64)
    better, worse, nb, point = 0, 0, 0, 0
    for e in range(len(clip)):
        n, k = clip[e], kind[e]
        gain = change[n, k] if k == 0 else -change[n, k]
        better, worse = better - (gain > 0), worse - (gain < 0)
        change[n, k] += value[e]
        gain = change[n, k] if k == 0 else -change[n, k]
        better, worse = better + (gain > 0), worse + (gain < 0)
        touched[nb] = e
        nb += 1
        if not last[e]:
            continue
        if backwards and point > 0:
            useful[point - 1] = worse > 0
        elif not backwards:
            useful[point] = better > 0
        if backwards or useful[point]:
            for t in touched[:nb]:
                change[clip[t], kind[t]] = 0
            better, worse, nb = 0, 0, 0
        point += 1
    return useful


@njit(cache=True)
def _merged(clip, kind, value, last, useful, nb_clips, nb_kinds):
    """The entries between useful points added up; what comes after the last of them is left out."""
    change = np.zeros((nb_clips, nb_kinds), np.int64)
    touched = np.empty(len(clip), np.int64)
    clips, kinds, values = np.empty(len(clip), np.int32), np.empty(len(clip), np.int32), np.empty(len(clip), np.int32)
    lasts = np.zeros(len(clip), np.bool_)
    nb, point, out = 0, 0, 0
    for e in range(len(clip)):
        change[clip[e], kind[e]] += value[e]
        touched[nb] = e
        nb += 1
        if not last[e]:
            continue
        if useful[point]:
            for t in touched[:nb]:
                if change[clip[t], kind[t]] != 0:
                    clips[out], kinds[out], values[out] = clip[t], kind[t], change[clip[t], kind[t]]
                    change[clip[t], kind[t]] = 0
                    out += 1
            lasts[out - 1] = True
            nb = 0
        point += 1
    return clips[:out], kinds[:out], values[:out], lasts[:out]
