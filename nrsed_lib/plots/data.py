"""Figures of the data (notebook 01)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

from nrsed_lib.data.clips import Clips, Sources
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.plots.clip import draw_spectrogram


def plot_labels(splits: Mapping[str, Clips]) -> Figure:
    """Share of clips with each class, and number of classes a clip. splits: name → labelled clips."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), width_ratios=[3, 1], layout="constrained")
    classes = next(iter(splits.values())).classes
    shares = {
        (split, query_text(c)): share
        for split, clips in splits.items()
        for c, share in zip(classes, (100 * clips.weak().mean(0)).tolist(), strict=True)
    }
    table = pd.Series(shares, name="share").rename_axis(["split", "event"]).reset_index()
    sns.barplot(table, x="event", y="share", hue="split", ax=left)
    left.set(xlabel="", ylabel="clips with the event (%)")
    left.tick_params(axis="x", rotation=35)
    plt.setp(left.get_xticklabels(), ha="right")
    left.legend(title="", ncols=len(splits), loc="upper center", bbox_to_anchor=(0.5, 1.15), frameon=False)
    counts = pd.concat(
        pd.Series([len(labels) for labels in clips.label_sets]).value_counts(normalize=True).mul(100).rename(split)
        for split, clips in splits.items()
    )
    sns.barplot(x=counts.index, y=counts.to_numpy(), ax=right, color="0.7", errorbar=None)
    right.set(xlabel="different events in a clip", ylabel="clips, mean of splits (%)")
    return figure


def plot_durations(clips: Clips) -> Figure:
    """How long the events of each class are labelled, on a logarithmic scale of seconds."""
    events = clips.events.assign(
        event=clips.events.event_label.map(query_text), seconds=clips.events.offset - clips.events.onset
    )
    figure, axis = plt.subplots(figsize=(8, 0.32 * len(clips.classes) + 1), layout="constrained")
    order = [query_text(c) for c in clips.classes]
    sns.boxplot(events, x="seconds", y="event", order=order, ax=axis, color="#9ecae1", fliersize=0)
    sns.stripplot(events, x="seconds", y="event", order=order, ax=axis, color="0.25", size=2, alpha=0.5)
    axis.set_xscale("log")
    ticks = [0.2, 0.5, 1, 2, 5, 10]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.set(xlabel="duration of an event (s)", ylabel="")
    return figure


def plot_sounds(sources: Collection[Sources], classes: Sequence[str], seconds: float = 5.0, columns: int = 5) -> Figure:
    """One spectrogram a class, of the sound of median length in the first of `sources` that has the class.

    0 dB is the loudest point of each sound.
    """
    rows, width = -(-len(classes) // columns), 11.5 / columns
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, 0.7 * width * rows + 0.5), sharex=True, sharey=True, squeeze=False,
        layout="constrained", dpi=72,
    )  # fmt: skip
    for axis, label in zip(axes.flat, classes, strict=False):
        source = next(s for s in sources if label in s.by_label)
        rows_of_label = source.by_label[label]
        row = int(rows_of_label[source.lengths[rows_of_label].median(0).indices])
        sound = source.waveforms([row])[0, : int(source.lengths[row])][: round(seconds * source.sample_rate)]
        image = draw_spectrogram(axis, sound, source.sample_rate)
        axis.set_title(query_text(label), fontsize=7)
        axis.tick_params(labelsize=6)
        axis.set_xlim(0, seconds)
    for axis in axes.flat[len(classes) :]:
        axis.set_axis_off()
    figure.supxlabel("time (s)", fontsize=9)
    figure.supylabel("frequency (kHz)", fontsize=9)
    figure.colorbar(image, ax=axes, label="level (dB)", shrink=0.7 if rows > 1 else 1.0, pad=0.01)
    return figure


def plot_conditions(conditions: Mapping[str, Tensor], clips: Clips, index: int, noise: pd.DataFrame) -> Figure:
    """The same clip in every test condition, below it its events and those of its noise.

    conditions: name → (nb_samples,) waveform. noise: rows onset s, offset s, event_label.
    """
    name = clips.names[index]
    target = clips.ground_truth[name]
    bars = [(query_text(label), on, off, "#2b7bba") for on, off, label in target]
    bars += [(query_text(r["event_label"]), r["onset"], r["offset"], "#c03a2b") for r in noise.to_dict("records")]
    lanes = list(dict.fromkeys(bar[0] for bar in bars))
    nb = len(conditions)
    figure, axes = plt.subplots(
        2, nb, figsize=(2.6 * nb + 1.2, 3.4), sharex=True, sharey="row", squeeze=False, height_ratios=[2, 1],
        layout="constrained",
    )  # fmt: skip
    for column, (title, waveform) in enumerate(conditions.items()):
        image = draw_spectrogram(axes[0, column], waveform, clips.sample_rate)
        axes[0, column].set_title(title, fontsize=9)
        for label, on, off, colour in bars:
            if colour == "#2b7bba" or title != "clean":
                axes[1, column].barh(lanes.index(label), off - on, left=on, color=colour, height=0.6)
        axes[1, column].set_xlabel("time (s)")
        axes[1, column].set_xlim(0, clips.seconds)
    axes[0, 0].set_ylabel("frequency (kHz)")
    axes[1, 0].set_yticks(range(len(lanes)), lanes, fontsize=8)
    axes[1, 0].invert_yaxis()
    figure.colorbar(image, ax=axes[0], label="level (dB)")
    return figure


def plot_scenarios(noise: pd.DataFrame) -> Figure:
    """Heat map: how many noise events of each class each scenario brought. noise: scenario, event_label."""
    counts = pd.crosstab(noise.scenario, noise.event_label)
    figure, axis = plt.subplots(figsize=(0.2 * counts.shape[1] + 3.2, 0.26 * len(counts) + 1.8), layout="constrained")
    sns.heatmap(counts.where(counts > 0), ax=axis, cmap="Blues", linewidths=0.4, cbar_kws={"label": "noise events"})
    axis.set(xlabel="", ylabel="")
    axis.set_xticks(np.arange(counts.shape[1]) + 0.5, [query_text(c) for c in counts.columns], rotation=60, ha="right")
    axis.tick_params(labelsize=7)
    return figure


def plot_noise(track: Tensor, sample_rate: int, rows: pd.DataFrame) -> Figure:
    """A noise track (nb_samples,), below it its bed (grey) and its events. rows: onset s, offset s, event_label."""
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(8, 3.6), sharex=True, height_ratios=[2, 1], layout="constrained"
    )
    figure.colorbar(draw_spectrogram(above, track, sample_rate), ax=above, label="level (dB)")
    names = rows.event_label.map(query_text)
    colours = ["0.6", *["#c03a2b"] * (len(rows) - 1)]
    below.barh(names, rows.offset - rows.onset, left=rows.onset, color=colours, height=0.6)
    above.set(ylabel="frequency (kHz)")
    below.set(xlabel="time (s)", xlim=(0, len(track) / sample_rate))
    below.invert_yaxis()
    return figure
