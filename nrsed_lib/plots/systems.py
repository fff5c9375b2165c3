"""Figures of the tests (notebook 06): one clip on its way, and what separation costs."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from torch import Tensor

from nrsed_lib.plots.clip import draw_detections, draw_spectrogram, magnitudes
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
    loudest = float(magnitudes(clip.mixture, sample_rate).max())
    for row, (title, wave) in enumerate(heard):
        draw_spectrogram(axes[row, 0], wave, sample_rate, loudest)
        axes[row, 0].set(title=title, ylabel="kHz")
    truth = list(clip.events[["onset", "offset", "event_label"]].itertuples(index=False, name=None))
    for row, scores, what in ((-2, clip.before, "mixture (#1)"), (-1, clip.after, "remix (#7's route)")):
        draw_detections(axes[row, 0], scores, truth, classes, len(clip.mixture) / sample_rate)
        axes[row, 0].set(yticks=range(len(classes)), title=f"detected in the {what}, truth outlined")
        axes[row, 0].set_yticklabels(classes, fontsize=6)
    axes[-1, 0].set_xlabel("time (s)")
    bars, present = axes[0, 1], {label for *_, label in truth}
    bars.barh(range(len(classes)), clip.clip_scores, color=["C2" if c in present else "C3" for c in classes])
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


def threshold_curves(table: pd.DataFrame, chosen: Mapping[str, Tensor]) -> Figure:
    """Macro F1 of queries on validation clips against the threshold, a curve for who asks, its choice as a dot.

    table: as `calibration.calibrate` leaves it. chosen: who -> threshold.
    """
    figure, axis = plt.subplots(figsize=(7, 3.6), constrained_layout=True)
    pooled = table[table["class"] == "all"]
    for number, (who, threshold) in enumerate(chosen.items()):
        curve = pooled[pooled["who"] == who]
        axis.plot(curve["threshold"], curve["f1"], color=f"C{number}", label=who)
        axis.plot(threshold, curve["f1"].max(), "o", color=f"C{number}")
    axis.axvline(0.5, color="k", lw=0.8, ls=":")
    axis.set(xscale="logit", xlabel="queries are probabilities above", ylabel="macro F1 of queries")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.legend(fontsize=7)
    return figure


def track_energies(table: pd.DataFrame) -> Figure:
    """Energy of tracks against their mixtures, median and quartiles, by condition: of queries that #7 makes rightly
    and falsely, misses, and rightly does not make.

    table: as `testing.measure_energies` makes it.
    """
    kinds = {(True, True): "right", (True, False): "missed", (False, True): "false", (False, False): "rightly not made"}
    figure, axis = plt.subplots(figsize=(7, 3.6), constrained_layout=True)
    pooled = table[table["class"] == "all"]
    conditions = list(dict.fromkeys(pooled["condition"]))
    for number, (key, name) in enumerate(kinds.items()):
        some = pooled[(pooled["present"] == key[0]) & (pooled["asked_by_7"] == key[1])]
        x = [conditions.index(c) + 0.12 * (number - 1.5) for c in some["condition"]]
        spread = [some["median"] - some["low"], some["high"] - some["median"]]
        axis.errorbar(x, some["median"], spread, fmt="osD^"[number], ms=5, label=name)
    axis.set(xticks=range(len(conditions)), ylabel="track against mixture (dB)", xlabel="condition")
    axis.set_xticklabels(conditions)
    axis.legend(fontsize=8, title="queries of #7")
    return figure


def costs(table: pd.DataFrame) -> Figure:
    """Queries a clip and seconds a clip, by system and condition."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), constrained_layout=True)
    asking = table[table["queries_per_clip"] > 0]
    sns.stripplot(asking, x="queries_per_clip", y="system", hue="condition", palette="viridis", jitter=False, ax=left)
    left.set(xlabel="queries a clip", ylabel="system")
    left.legend(fontsize=7, title="condition")
    mean = table.groupby("system", sort=False)["seconds_per_clip"].mean()
    right.barh(mean.index, mean, color="C0")
    right.set(xlabel="seconds a clip, mean over conditions", ylabel="system")
    right.invert_yaxis()
    return figure
