"""Figures of caption augmentation (notebook 10)."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

COLOURS = {"original": "C0", "held-out": "C1", "class name": "C2"}  # of the phrasings


def plot_texts(statistics: pd.DataFrame) -> Figure:
    """Words a text, with the range, and the share of words that the original has not; see `text_statistics`."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 0.8 + 0.35 * len(statistics)), sharey=True, layout="constrained"
    )
    error = np.stack([statistics.words - statistics.least, statistics.most - statistics.words])
    left.barh(statistics.kind, statistics.words, xerr=error, height=0.6, color="C0", ecolor="0.4", capsize=3)
    left.set(xlabel="words a text: mean, least and most")
    bars = right.barh(statistics.kind, 100 * statistics.new, height=0.6, color="C1")
    right.bar_label(bars, fmt="%.0f", padding=2)
    right.set(xlabel="content words that the original caption has not / %", xlim=(0, 105))
    left.invert_yaxis()
    return figure


def plot_prompts(rows: pd.DataFrame) -> Figure:
    """Gain over training on the originals alone, in dB, with its 95 % interval: a panel a phrasing, a row a prompt."""
    figure, axes = plt.subplots(
        1, rows.phrasing.nunique(), figsize=(11, 3), sharex=True, sharey=True, layout="constrained"
    )
    for axis, (phrasing, some) in zip(axes, rows.groupby("phrasing", sort=False), strict=True):
        error = np.stack([some.gain - some.gain_low, some.gain_high - some.gain])
        axis.errorbar(some.gain, some.prompt, xerr=error, fmt="o", capsize=3, color=COLOURS[str(phrasing)])
        axis.axvline(0, color="0.5", lw=0.8)
        axis.set(title=f"asked by: {phrasing}", xlabel="gain in SDR improvement / dB")
    axes[0].invert_yaxis()
    axes[0].set_ylabel(f"prompt, {rows.added.iloc[0]} captions a class")
    return figure


def plot_numbers(rows: pd.DataFrame) -> Figure:
    """SDR improvement, and the gain over no added captions, against the number of captions added; 95 % intervals."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for i, (phrasing, some) in enumerate(rows.groupby("phrasing", sort=False)):
        at, style = some.added + 0.06 * (i - 1), {"marker": "o", "capsize": 3, "color": COLOURS[str(phrasing)]}
        for axis, name in ((left, "improvement"), (right, "gain")):
            values, low, high = (some[column].fillna(0) for column in (name, f"{name}_low", f"{name}_high"))
            axis.errorbar(at, values, np.stack([values - low, high - values]), label=str(phrasing), **style)
    for axis, what in ((left, "SDR improvement / dB"), (right, "gain over no added captions / dB")):
        axis.set(xlabel="captions added to each original", ylabel=what, xticks=sorted(rows.added.unique()))
    right.axhline(0, color="0.5", lw=0.8)
    left.legend(title="asked by", frameon=False)
    return figure


def plot_closeness(rows: pd.DataFrame) -> Figure:
    """What the text encoder makes of held-out phrasings, mean over seeds, each seed a dot; see `text_distances`."""
    means = rows.groupby("variant", sort=False)[["same", "different", "right"]].mean()
    place = {variant: i for i, variant in enumerate(means.index)}
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 0.8 + 0.3 * len(means)), sharey=True, layout="constrained")
    at = rows.variant.map(place)
    for name, colour, label in (("same", "C0", "own class"), ("different", "0.6", "other classes")):
        left.plot(means[name], range(len(means)), "|", ms=14, mew=2, color=colour)
        left.plot(rows[name], at, "o", ms=4, color=colour, label=label)
    left.set(xlabel="cosine with the original caption of …", xlim=(-1, 1))
    left.legend(frameon=False)
    right.barh(range(len(means)), 100 * means.right, height=0.6, color="C1")
    right.plot(100 * rows.right, at, "o", ms=4, color="0.2")
    right.set(xlabel="nearest original is that of the own class / %", xlim=(0, 100))
    left.set_yticks(range(len(means)), means.index)
    left.invert_yaxis()
    return figure
