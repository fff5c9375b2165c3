"""Figures of the separator (notebook 05)."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from nrsed_lib.plots.clip import draw_spectrogram, magnitudes


def plot_text_space(similarity: Tensor, texts: list[str], targets: list[str]) -> Figure:
    """Cosine of every pair of query texts, (nb_texts, nb_texts); the names of target classes are in bold."""
    side = 2.5 + 0.2 * len(texts)
    figure, axis = plt.subplots(figsize=(side, side), layout="constrained")
    image = axis.pcolormesh(similarity.cpu().numpy(), cmap="RdBu_r", vmin=-1, vmax=1)
    axis.set_xticks(np.arange(len(texts)) + 0.5, texts, fontsize=7)
    axis.set_yticks(np.arange(len(texts)) + 0.5, texts, fontsize=7)
    for label in [*axis.get_xticklabels(), *axis.get_yticklabels()]:
        label.set_fontweight("bold" if label.get_text() in targets else "normal")
    axis.tick_params(axis="x", rotation=90, length=0)
    axis.tick_params(axis="y", length=0)
    axis.invert_yaxis()
    axis.set_aspect("equal")
    figure.colorbar(image, ax=axis, label="cosine of the two conditions", shrink=0.6)
    return figure


def plot_learning(history: pd.DataFrame, window: int = 25) -> Figure:
    """Both parts of the training loss against steps: each step, and the mean of the last `window`."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    parts = {"residual": "residual / mixture energy / dB", "entropy": "cross entropy of the mask / nat"}
    for axis, (name, title) in zip(axes, parts.items(), strict=True):
        axis.plot(history.step, history[name], color="0.8", lw=0.6, label="a step")
        axis.plot(history.step, history[name].rolling(window, min_periods=1).mean(), label=f"mean of {window} steps")
        axis.set(xlabel="step", ylabel=title)
    axes[0].legend(frameon=False)
    return figure


def plot_improvement(table: pd.DataFrame, nb_bins: int = 4) -> Figure:
    """SDR improvement in dB against the input SNR: every held-out mixture, and means in `nb_bins` ranges.

    table: see `measure_separation`. The dashed line is what an all-zero estimate would get.
    """
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    axis.scatter(table.snr, table.improvement, s=9, color="0.7", label="a mixture")
    edges = np.linspace(table.snr.min(), table.snr.max() + 1e-9, nb_bins + 1)
    groups = table.groupby(pd.cut(table.snr, list(edges), right=False), observed=True)
    centres = groups.snr.mean()
    error = 1.96 * groups.improvement.sem().fillna(0)
    axis.errorbar(centres, groups.improvement.mean(), error, marker="o", capsize=3, label="mean, 95 % interval")
    axis.plot(centres, groups.silence.mean(), "--", color="C3", label="silence")
    axis.axhline(0, color="0.5", lw=0.8)
    axis.set(xlabel="SNR of the mixture / dB (active samples)", ylabel="SDR improvement / dB")
    axis.legend(frameon=False)
    return figure


def plot_classes(summary: pd.DataFrame) -> Figure:
    """Mean SDR improvement of each query class, in dB, with its 95 % interval; summary: see `separation_summary`."""
    figure, axis = plt.subplots(figsize=(7, 0.8 + 0.35 * len(summary)), layout="constrained")
    error = np.stack([summary.improvement - summary.low, summary.high - summary.improvement])
    colours = np.where(summary["query"] == "all", "C1", "C0")
    axis.barh(
        summary["query"], summary.improvement, xerr=error, color=colours, height=0.6, capsize=3, label="separator"
    )
    axis.plot(summary.silence, summary["query"], "x", color="C3", label="silence")
    axis.invert_yaxis()
    axis.axvline(0, color="0.5", lw=0.8)
    axis.set(xlabel="SDR improvement / dB", ylabel="query")
    axis.legend(frameon=False)
    return figure


def plot_tracks(tracks: Mapping[str, Tensor], sample_rate: int) -> Figure:
    """Spectrograms under each other, in dB below the loudest of them. tracks: title -> (nb_samples,)."""
    loudest = max(float(magnitudes(track, sample_rate).max()) for track in tracks.values())
    figure, axes = plt.subplots(
        len(tracks), 1, figsize=(8, 1.9 * len(tracks)), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (name, track) in zip(axes[:, 0], tracks.items(), strict=True):
        image = draw_spectrogram(axis, track, sample_rate, loudest)
        axis.set(title=name, ylabel="frequency / kHz")
    axes[-1, 0].set_xlabel("time / s")
    figure.colorbar(image, ax=axes, label="level / dB below the loudest")
    return figure
