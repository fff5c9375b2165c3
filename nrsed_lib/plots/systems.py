"""Figures of stage 3: one clip on its way, and what separation costs."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.signal import spectrogram
from torch import Tensor

from nrsed_lib.systems import Followed


def followed_clip(clip: Followed, classes: tuple[str, ...], sample_rate: int) -> Figure:
    """Mixture, queries, tracks, remix, and detections before and after, on one time axis."""
    heard = [
        ("mixture", clip.mixture),
        *zip((f"track: {q}" for q in clip.queries), clip.tracks, strict=True),
        ("remix", clip.remix),
    ]
    nb_rows = len(heard) + 2
    figure, axes = plt.subplots(
        nb_rows, 2, figsize=(11, 1.5 * nb_rows + 0.8), width_ratios=[4, 1], constrained_layout=True, squeeze=False
    )
    loudest = float(_spectrum_db(clip.mixture, sample_rate)[0].max())
    for row, (title, wave) in enumerate(heard):
        level, times, freqs = _spectrum_db(wave, sample_rate)
        axes[row, 0].pcolormesh(
            times, freqs / 1000, level, vmin=loudest - 70, vmax=loudest, cmap="magma", rasterized=True
        )
        axes[row, 0].set(title=title, ylabel="kHz")
    _detections(
        axes[-2, 0],
        clip.before,
        clip.events,
        classes,
        clip.mixture,
        sample_rate,
        "detected in the mixture (#1), truth outlined",
    )
    _detections(
        axes[-1, 0],
        clip.after,
        clip.events,
        classes,
        clip.mixture,
        sample_rate,
        "detected in the remix (#7's route), truth outlined",
    )
    axes[-1, 0].set_xlabel("time (s)")
    truth = set(clip.events["event_label"])
    bars = axes[0, 1]
    bars.barh(range(len(classes)), clip.clip_scores, color=["C2" if c in truth else "C3" for c in classes])
    bars.axvline(0.5, color="k", lw=0.8, ls=":")
    bars.set(yticks=range(len(classes)), xlim=(0, 1), title="clip-wise prediction")
    bars.set_yticklabels(classes, fontsize=6)
    bars.invert_yaxis()
    for axis in axes[1:, 1]:
        axis.axis("off")
    axes[1, 1].text(0, 0.95, "green: in the clip\nred: not in it\ndotted: queries above", va="top", fontsize=8)
    figure.suptitle(
        f"{clip.name}, {clip.condition}: {len(clip.queries)} quer{'y' if len(clip.queries) == 1 else 'ies'}"
    )
    return figure


def costs(table: pd.DataFrame) -> Figure:
    """Queries a clip and seconds a clip, by system and condition."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), constrained_layout=True)
    asking = table[table["queries_per_clip"] > 0]
    sns.pointplot(asking, x="condition", y="queries_per_clip", hue="system", ax=left, errorbar=None)
    left.set(ylabel="queries a clip", xlabel="condition")
    left.legend(fontsize=7, ncols=2, title="system")
    mean = table.groupby("system", sort=False)["seconds_per_clip"].mean()
    right.barh(mean.index, mean, color="C0")
    right.set(xlabel="seconds a clip, mean over conditions", ylabel="system")
    right.invert_yaxis()
    return figure


def _spectrum_db(wave: Tensor, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    freqs, times, power = spectrogram(wave.numpy(), sample_rate, nperseg=512, noverlap=256)
    return 10 * np.log10(power + 1e-12), times, freqs


def _detections(
    axis: Axes,
    scores: Tensor,
    events: pd.DataFrame,
    classes: tuple[str, ...],
    wave: Tensor,
    sample_rate: int,
    title: str,
) -> None:
    seconds = len(wave) / sample_rate
    axis.imshow(
        scores,
        aspect="auto",
        extent=(0, seconds, len(classes) - 0.5, -0.5),
        vmin=0,
        vmax=1,
        cmap="Blues",
        interpolation="nearest",
    )
    for _, event in events.iterrows():
        row = classes.index(event["event_label"])
        axis.add_patch(
            plt.Rectangle((event["onset"], row - 0.5), event["offset"] - event["onset"], 1, fill=False, ec="C3", lw=1.3)
        )
    axis.set(yticks=range(len(classes)), title=title)
    axis.set_yticklabels(classes, fontsize=6)
