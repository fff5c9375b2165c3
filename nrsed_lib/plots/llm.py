"""Figures of noise selection (notebook 02)."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nrsed_lib.llm.review import KINDS

COLOURS = dict(zip(KINDS, ("#f2f2f2", "#2b7bba", "#f0a030", "#c03a2b"), strict=True))


def plot_choices(reviews: Mapping[str, pd.DataFrame]) -> Figure:
    """Heat maps side by side: label set (columns) x noise class (rows), coloured by kind.

    reviews: title -> table as `review` makes it, all with the same rows and columns.
    """
    nb_rows, nb_columns = next(iter(reviews.values())).shape
    width, height = 1.8 + len(reviews) * (0.3 * nb_columns + 0.3), 2.2 + 0.19 * nb_rows
    figure, axes = plt.subplots(
        1, len(reviews), figsize=(width, height), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (name, table) in zip(axes[0], reviews.items(), strict=True):
        codes = table.map(KINDS.index).to_numpy()
        axis.pcolormesh(
            codes, cmap=ListedColormap(list(COLOURS.values())), vmin=-0.5, vmax=len(KINDS) - 0.5, ec="w", lw=0.6
        )
        axis.set_xticks(
            np.arange(nb_columns) + 0.5, table.columns, rotation=60, ha="right", rotation_mode="anchor", fontsize=7
        )
        axis.set_yticks(np.arange(nb_rows) + 0.5, table.index, fontsize=7)
        axis.tick_params(length=0)
        axis.set(title=name, xlabel="events in the clip")
    axes[0, 0].invert_yaxis()
    axes[0, 0].set_ylabel("noise class")
    patches = [Patch(color=COLOURS[kind], label=kind) for kind in KINDS[1:]]
    figure.legend(handles=patches, loc="outside upper center", ncols=len(patches), frameon=False)
    return figure


def plot_quality(quality: pd.DataFrame) -> Figure:
    """Small multiples of bars: a panel a column of `review.quality`, a bar for who chose; shares in per cent."""
    figure, axes = plt.subplots(
        1, len(quality.columns), figsize=(2.4 * len(quality.columns) + 1, 0.9 + 0.3 * len(quality)), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for axis, (name, column) in zip(axes[0], quality.items(), strict=True):
        counted = name in ("classes", "answers")
        values = column.to_numpy() * (1 if counted else 100)
        bars = axis.barh(quality.index, values, color=COLOURS["similar" if name == "refused" else "fits"])
        axis.bar_label(bars, [f"{v:.3g}" for v in values], padding=2)
        axis.set(title=name, xlabel="number" if counted else "%", xlim=(0, 1.25 * max(values.max(), 1)))
    axes[0, 0].invert_yaxis()
    return figure


def plot_shares(shares: pd.DataFrame) -> Figure:
    """Stacked bars: of the chosen classes, how many per cent are of which kind. Rows: who chose; columns: kinds."""
    figure, axis = plt.subplots(figsize=(6, 0.6 + 0.45 * len(shares)), layout="constrained")
    left = np.zeros(len(shares))
    for kind in KINDS[1:]:
        width = 100 * shares[kind].to_numpy()
        bars = axis.barh(shares.index, width, left=left, color=COLOURS[kind], label=kind)
        axis.bar_label(bars, [f"{w:.0f}" if w >= 4 else "" for w in width], label_type="center", color="w")
        left += width
    axis.invert_yaxis()
    axis.set(xlabel="share of the chosen classes / %", xlim=(0, 100))
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    return figure
