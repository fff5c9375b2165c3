"""Figures of the OpenSep study (notebook 11)."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure


def plot_methods(ours: pd.DataFrame, published: pd.DataFrame, methods: Mapping[str, str], name: str) -> Figure:
    """SDR on seen and unseen classes, a method a row: ours on the left, the source's on VGGSound on the right.

    ours: see `studies.opensep.tables.over_seeds`; published: see `published`; methods: variant row -> name.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
    at = np.arange(len(methods))
    theirs = published.set_index(["row", "column"])
    for shift, (scope, classes, table) in zip((-0.2, 0.2), (("all", "seen", 1), ("half", "unseen", 2)), strict=True):
        keys = [(f"{row}-{scope}", "SDR") for row in methods]
        here = ours.reindex(keys)
        axes[0].barh(at + shift, here["mean"], 0.38, xerr=here.spread.fillna(0), capsize=2, label=f"{classes} classes")
        there = theirs[theirs.table == table].reindex([(m, f"VGGSound {classes} SDR") for m in methods.values()])
        axes[1].barh(at + shift, there.value, 0.38, xerr=there.spread, capsize=2)
    for axis, title in zip(axes, (f"{name}, here", "VGGSound, as published"), strict=True):
        axis.axvline(0, color="0.5", lw=0.8)
        axis.set(title=title, xlabel="SDR / dB")
    axes[0].set_yticks(at, list(methods.values()))
    axes[0].invert_yaxis()
    axes[0].legend(frameon=False)
    return figure


def plot_losses(histories: Mapping[str, pd.DataFrame], window: int = 20) -> Figure:
    """Training losses against steps, means of the last `window`; name -> history with `step` and `loss`."""
    figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for name, history in histories.items():
        axis.plot(history.step, history.loss.rolling(window, min_periods=1).mean(), label=name)
    axis.set(xlabel="step", ylabel=f"loss, mean of {window} steps", yscale="log")
    axis.legend(frameon=False, fontsize=8, ncols=2)
    return figure
