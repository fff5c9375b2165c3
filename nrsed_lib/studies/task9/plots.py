"""Figures of notebook 09."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from nrsed_lib.studies.task9.results import by_snr


def plot_losses(histories: Mapping[str, pd.DataFrame], window: int = 25) -> Figure:
    """The training loss of each network, mean of the last `window` steps. histories: name → `step`, `loss`."""
    figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
    for name, history in histories.items():
        axis.plot(history.step, history.loss.rolling(window, min_periods=1).mean(), label=name)
    axis.set(xlabel="step", ylabel="mean |ŝ - s|", title=f"mean of {window} steps")
    axis.legend(frameon=False)
    return figure


def plot_by_snr(table: pd.DataFrame) -> Figure:
    """Mean SDR and SDR improvement in dB by the mixture's SNR, a line a variant; table: of `task9.study`."""
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), sharex=True, layout="constrained")
    for k, (variant, rows) in enumerate(by_snr(table).groupby("variant", sort=True)):
        nudge = 0.3 * (k - 1)  # dB, so that the bars can be told apart
        for axis, ratio in zip(axes, ("sdr", "sdri"), strict=True):
            axis.errorbar(rows.snr + nudge, rows[ratio], rows.error, marker="o", capsize=3, label=str(variant))
    axes[0].plot([-15, 15], [-15, 15], ":", color="0.5", label="the mixture itself")
    axes[0].axhline(0, color="C3", ls="--", lw=0.9, label="silence")
    axes[1].plot([-15, 15], [15, -15], "--", color="C3", lw=0.9)
    axes[1].axhline(0, color="0.5", ls=":")
    for axis, title in zip(axes, ("SDR / dB", "SDR improvement / dB"), strict=True):
        axis.set(xlabel="SNR of the mixture / dB", ylabel=title)
    axes[0].legend(frameon=False, fontsize=8)
    return figure
