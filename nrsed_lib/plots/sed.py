"""Figures of training and fine-tuning (notebooks 03 and 04)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

from nrsed_lib.plots.clip import draw_detections

LOSSES = {
    "strong": "cross entropy of frames",
    "weak": "cross entropy of clips",
    "consistency_strong": "student - teacher, frames",
    "consistency_weak": "student - teacher, clips",
}
Truth = Sequence[tuple[float, float, str]]  # (onset s, offset s, label)


def plot_learning(histories: Mapping[str, pd.DataFrame], stages: Sequence[float] = (), smooth: int = 15) -> Figure:
    """The four losses over steps, a line a model, running means over `smooth` steps; `stages`: steps to mark."""
    figure, axes = plt.subplots(1, len(LOSSES), figsize=(13, 2.8), layout="constrained")
    for axis, (column, title) in zip(axes, LOSSES.items(), strict=True):
        for name, history in histories.items():
            axis.plot(history.step, history[column].rolling(smooth, min_periods=1).mean(), label=name, lw=1.2)
        for step in stages:
            axis.axvline(step, color="0.8", lw=0.8, zorder=0)
        axis.set(title=title, xlabel="step", ylim=(0, None))
    axes[0].set_ylabel("loss")
    axes[2].set_ylabel("mean squared difference")
    if len(histories) > 1:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def plot_spectrograms(mels: Mapping[str, Tensor], seconds: float) -> Figure:
    """Scaled mel spectrograms side by side. mels: title -> (nb_mels, nb_mel_frames) in 0 … 1."""
    figure, axes = plt.subplots(
        1, len(mels), figsize=(2.8 * len(mels), 2.5), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (title, mel) in zip(axes[0], mels.items(), strict=True):
        image = axis.imshow(
            mel.cpu(), origin="lower", aspect="auto", extent=(0, seconds, 0, len(mel)), cmap="magma", vmin=0, vmax=1
        )
        axis.set_title(title, fontsize=9)
        axis.set(xlabel="time / s")
    axes[0, 0].set_ylabel("mel band")
    figure.colorbar(image, ax=axes[0].tolist(), label="level, scaled", aspect=12)
    return figure


def plot_detections(
    mels: Tensor, scores: Tensor, truths: Sequence[Truth], titles: Sequence[str], classes: Sequence[str], seconds: float
) -> Figure:
    """Spectrograms above frame-wise probabilities, true events outlined; a column a clip.

    mels: (nb_clips, nb_mels, nb_mel_frames) in 0 … 1. scores: (nb_clips, nb_classes, nb_frames).
    """
    figure, axes = plt.subplots(
        2, len(mels), figsize=(4.2 * len(mels), 5), sharex=True, sharey="row", squeeze=False, layout="constrained",
        height_ratios=(1, 1.1),
    )  # fmt: skip
    for column, (mel, score, truth, title) in enumerate(zip(mels, scores, truths, titles, strict=True)):
        top, bottom = axes[:, column]
        top.imshow(mel.cpu(), origin="lower", aspect="auto", extent=(0, seconds, 0, len(mel)), cmap="magma")
        top.set_title(title, fontsize=9)
        image = draw_detections(bottom, score, truth, classes, seconds)
        bottom.set(xlabel="time / s")
    axes[0, 0].set_ylabel("mel band")
    axes[1, 0].set_yticks(range(len(classes)), [c.replace("_", " ") for c in classes], fontsize=8)
    figure.colorbar(image, ax=axes[1].tolist(), label="probability (red: true events)", aspect=12)
    return figure


def plot_heard(heard: pd.DataFrame) -> Figure:
    """SNRs that each recipe hears over its steps. heard: one row a clip with recipe, step, snr_db (inf: clean)."""
    recipes = list(dict.fromkeys(heard.recipe))
    figure, axes = plt.subplots(
        1, len(recipes), figsize=(4 * len(recipes), 2.8), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, recipe in zip(axes[0], recipes, strict=True):
        rows = heard[heard.recipe == recipe]
        noisy, clean = rows[np.isfinite(rows.snr_db)], rows[~np.isfinite(rows.snr_db)]
        axis.scatter(noisy.step, noisy.snr_db, s=4, alpha=0.5, lw=0, label="in noise")
        axis.scatter(clean.step, np.full(len(clean), 14.0), s=4, color="C2", lw=0, label="clean")
        axis.set(title=recipe, xlabel="step", ylim=(-11, 16))
    axes[0, 0].set_yticks([-10, -5, 0, 5, 10, 14], ["-10", "-5", "0", "5", "10", "clean"])
    axes[0, 0].set_ylabel("SNR / dB")
    return figure


def plot_noise_classes(counts: pd.DataFrame) -> Figure:
    """How often each noise class is heard, bars per recipe. counts: rows noise classes, columns recipes, per cent."""
    figure, axis = plt.subplots(figsize=(0.26 * len(counts) + 2, 3.2), layout="constrained")
    long = counts.rename_axis("class").reset_index().melt("class", var_name="recipe", value_name="share")
    sns.barplot(long, x="class", y="share", hue="recipe", ax=axis)
    axis.set(xlabel="", ylabel="share of noise events / %")
    axis.tick_params("x", labelsize=7)
    plt.setp(axis.get_xticklabels(), rotation=60, ha="right", rotation_mode="anchor")
    axis.legend(frameon=False)
    return figure


def plot_clipwise(table: pd.DataFrame) -> Figure:
    """Recall and precision of queries per condition. table: model, condition, recall, precision (macro, 0 … 1)."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True, layout="constrained")
    for axis, metric in zip(axes, ("recall", "precision"), strict=True):
        sns.barplot(table, x="condition", y=metric, hue="model", ax=axis, legend=metric == "precision")
        axis.set(ylim=(0, 1), ylabel=f"macro {metric}", xlabel="SNR")
    axes[1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure
