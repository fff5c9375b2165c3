"""Figures of the results: Table I, what separation brings and costs, the ledger of claims, recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrsed_lib.evaluate.inference import VERDICTS
from nrsed_lib.evaluate.table import AVERAGE, totals
from nrsed_lib.plots.table import condition_text

METRICS = {"psds1": "PSDS1 (when)", "psds2": "PSDS2 (which)"}
# Shape and colour, and not colour alone: the two that say which way are told apart in grey, too.
LOOKS = dict(zip(VERDICTS, (("o", "#0173b2"), ("X", "#d55e00"), ("s", "0.2"), ("|", "0.55")), strict=True))


HUES = ("0.3", "#0173b2", "#de8f05", "#029e73", "#cc78bc", "#56b4e9", "#d55e00", "#ca9161", "#fbafe4", "#949494")
COLOURS = {str(number): hue for number, hue in enumerate(HUES, start=1)} | {"ensemble": "k"}


def _colour(system: str) -> str:
    """The same colour for #7 and its variants in every figure."""
    return COLOURS[system.partition("-")[0]]


def psds_by_condition(table: pd.DataFrame, means: pd.DataFrame) -> Figure:
    """PSDS of the paper's seven systems over conditions, ours (mean over seeds, its 95 % interval) beside the paper's.

    table: of `evaluate.table.table1`. means: of `evaluate.table.means`.
    """
    table = table[table.paper_psds1.notna()]
    conditions = list(table.condition.unique())
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), sharex=True, sharey="row", constrained_layout=True)
    systems = table.system.unique()
    for row, (metric, title) in enumerate(METRICS.items()):
        for i, system in enumerate(systems):
            rows = table[table.system == system]
            x = np.arange(len(conditions)) + 0.08 * (i - (len(systems) - 1) / 2)
            ours = means[(means.system == system) & (means.metric == metric)]
            _intervals(axes[row, 0], x, ours, conditions, "o")
            paper = rows.drop_duplicates("condition").set_index("condition").loc[conditions, f"paper_{metric}"]
            axes[row, 1].plot(x, paper, "D", ms=4, mfc="none", color=_colour(system))
        axes[row, 0].set_ylabel(f"{title}, 0 to 1")
        axes[row, 0].set_ylim(bottom=0)
        for axis in axes[row]:
            for edge in range(1, len(conditions)):
                axis.axvline(edge - 0.5, color="0.9", lw=0.8, zorder=0)
    _conditions(axes[1, 0], conditions)
    _conditions(axes[1, 1], conditions)
    axes[0, 0].set_title(f"ours: {table.nb_clips.iloc[0]} clips, {_seeds(table.seed.nunique())}, 95 % of the mean")
    axes[0, 1].set_title("the paper's: DESED-Test and WildDESED-Test, 1,168 clips")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def totals_heatmap(table: pd.DataFrame) -> Figure:
    """P1 + P2 of every row; colour: what is gained or lost against #1 (no separation) in that column."""
    ours = totals(table).groupby(level="system", sort=False).mean()
    gain = ours - ours.loc["1"]
    about = table.drop_duplicates("system").set_index("system").about
    limit = max(float(gain.abs().to_numpy().max()), 0.01)
    figure, axis = plt.subplots(figsize=(14, 0.3 * len(ours) + 1.2), constrained_layout=True)
    sns.heatmap(
        gain,
        annot=ours,
        fmt=".3f",
        cmap="vlag_r",
        center=0,
        vmin=-limit,
        vmax=limit,
        ax=axis,
        linewidths=0.5,
        cbar_kws={"label": "P1+P2 minus that of #1"},
        yticklabels=[f"#{s}  {about[s]}" for s in ours.index],
        xticklabels=[condition_text(str(c)) for c in ours.columns],
    )
    axis.axvline(len(ours.columns) - 1, color="k", lw=1.5)
    axis.set(title=f"P1+P2, mean of {_seeds(table.seed.nunique())}", xlabel="condition", ylabel="")
    return figure


def cost_and_benefit(table: pd.DataFrame, costs: pd.DataFrame) -> Figure:
    """What separation brings: in noise against what it does to clean clips, and against its time.

    costs: system, condition, seconds_per_clip (as `testing.measure_costs` gives them).
    """
    ours = totals(table).groupby(level="system", sort=False).mean()
    gain = ours - ours.loc["1"]
    noise = gain.drop(columns=["clean", AVERAGE]).mean(axis=1)
    seconds = costs.groupby("system").seconds_per_clip.mean()
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(12, max(4.4, 0.19 * len(ours))), sharey=True, constrained_layout=True
    )
    for axis, x in ((left, gain["clean"]), (right, seconds)):
        for system in ours.index:
            axis.plot(x[system], noise[system], "o", color=_colour(system), ms=6)
        axis.axhline(0, color="0.7", lw=0.8, zorder=0)
        axis.margins(0.05)
    left.axvline(0, color="0.7", lw=0.8, zorder=0)
    left.set(xlabel="P1+P2 gained on clean clips, over #1", ylabel="P1+P2 gained in noise (mean), over #1")
    right.set(xlabel="seconds a clip, as measured", xscale="log")
    left.set_title("benefit", fontsize=10)
    right.set_title("cost", fontsize=10)
    _labels_aside(right, seconds.reindex(ours.index), noise)
    return figure


def _labels_aside(axis: Axes, x: pd.Series, y: pd.Series) -> None:
    """The names of points in a column to the right, at even distances in the order of y, each with a line to its own.

    Beside the points they would lie on one another.
    """
    low, high = axis.get_ylim()
    places = np.linspace(low, high, len(y) + 2)[1:-1]
    for place, name in zip(places, y.sort_values().index, strict=True):
        axis.annotate(
            f"#{name}",
            (x[name], y[name]),
            xytext=(1.06, place),
            textcoords=axis.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=_colour(str(name)),
            arrowprops={"arrowstyle": "-", "color": "0.8", "lw": 0.6, "shrinkA": 0, "shrinkB": 3},
        )


def claims_forest(ledger: pd.DataFrame) -> Figure:
    """Every claim's statistic with its 95 % interval; what is true lies right of zero; the paper's as a diamond."""
    parts = [(str(name), rows) for name, rows in ledger.groupby("statistic", sort=False)]
    if parts[1:]:
        parts = [parts[0], (", ".join(name for name, _ in parts[1:]), pd.concat([rows for _, rows in parts[1:]]))]
    heights = [len(rows) for _, rows in parts]
    figure, axes = plt.subplots(
        len(parts),
        1,
        figsize=(10, 0.3 * sum(heights) + 2.1),
        height_ratios=heights,
        constrained_layout=True,
        squeeze=False,
    )
    for axis, (name, rows) in zip(axes[:, 0], parts, strict=True):
        y = np.arange(len(rows))
        for verdict, (shape, colour) in LOOKS.items():
            one = (rows.verdict == verdict).to_numpy()
            spans = [(rows.value - rows.low)[one], (rows.high - rows.value)[one]]
            axis.errorbar(
                rows.value[one], y[one], xerr=np.clip(spans, 0, None), fmt=shape, ms=6, color=colour, label=verdict
            )
        if ledger.paper.notna().any():
            axis.plot(rows.paper, y, "D", ms=5, mfc="none", color="k", label="the paper's numbers")
        axis.axvline(0, color="k", lw=0.8, zorder=0)
        axis.set(yticks=y, ylim=(len(rows) - 0.5, -0.5), xlabel=f"difference in {name}" if name == "P1+P2" else name)
        axis.set_yticklabels([_label(claim) for claim in rows.itertuples()], fontsize=8)
        axis.grid(axis="x", color="0.92")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8)
    first = ledger.iloc[0]
    axes[0, 0].set_title(
        f"right of zero: as claimed; 95 % by {first.by} ({first.nb_clips} clips, {_seeds(first.seeds)})",
        fontsize=10,
    )
    return figure


def _label(claim) -> str:
    sides = f"{claim.better} > {claim.worse}" if claim.worse else claim.better
    return f"{claim.claim}  ({sides}, {claim.conditions})"


def recall_by_condition(recall: Mapping[str, pd.DataFrame], released: pd.DataFrame) -> Figure:
    """Fig. 2: macro recall of queries, a panel a rule of asking; on the right the paper's released ones on real DESED.

    recall: rule -> system, about, condition, seed, recall; mean, low, high (`evaluate.table.recall_table`). released:
    condition, recall, nb_clips (`evaluate.published.released_recall`).
    """
    figure, axes = plt.subplots(
        1, len(recall) + 1, figsize=(4.6 * (len(recall) + 1), 4.4), sharey=True, constrained_layout=True
    )
    for axis, (rule, table) in zip(axes, recall.items(), strict=False):
        conditions, systems = list(table.condition.unique()), table.system.unique()
        for i, system in enumerate(systems):
            rows = table[table.system == system]
            x = np.arange(len(conditions)) + 0.07 * (i - (len(systems) - 1) / 2)
            _intervals(axis, x, rows, conditions, "o-")
            one_seed = rows.assign(x=rows.condition.map(dict(zip(conditions, x, strict=True))))
            axis.plot(one_seed.x, one_seed.recall, "_", ms=7, color=_colour(system), alpha=0.6)
        seeds = _seeds(table.seed.nunique())
        axis.set_title(f"ours, asked where {rule}\n{table.nb_clips.iloc[0]} clips, {seeds} (dashes: each)", fontsize=10)
        _conditions(axis, conditions)
    axes[0].set_ylabel("macro recall of the queries, 0 to 1")
    axes[0].set_ylim(0, 1)
    axes[0].legend(fontsize=8, loc="lower left")
    _released(axes[-1], released)
    return figure


def _released(axis: Axes, released: pd.DataFrame) -> None:
    """What the paper's own predictions come to on real data."""
    x, label = np.arange(len(released)), "#7, released by its authors"
    axis.plot(x, released.recall, "D-", mfc="none", color=_colour("7"), label=label)
    for i, value in enumerate(released.recall):
        axis.annotate(f"{value:.4f}", (i, value), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8)
    axis.legend(fontsize=8, loc="lower left")
    _conditions(axis, list(released.condition))
    axis.set_title(f"the paper's, any frame > 0.5\nreal DESED labels: {released.nb_clips.iloc[0]:,} clips", fontsize=10)


def recall_and_psds(cells: pd.DataFrame) -> Figure:
    """Does better asking mean better detecting? A point a system and condition.

    cells: system, condition, recall, total (P1+P2).
    """
    figure, axis = plt.subplots(figsize=(6.4, 4.4), constrained_layout=True)
    markers = dict(zip(cells.condition.unique(), "os^vDP*X", strict=False))
    for condition, rows in cells.groupby("condition", sort=False):
        line = rows.sort_values("recall")
        axis.plot(line.recall, line.total, color="0.8", lw=0.8, zorder=0)
        for system, recall, total in zip(rows.system, rows.recall, rows.total, strict=True):
            axis.plot(recall, total, markers[condition], color=_colour(system), ms=7)
    shapes = {condition_text(str(condition)): marker for condition, marker in markers.items()}
    handles = [plt.Line2D([], [], ls="", marker=m, color="0.4", label=text) for text, m in shapes.items()]
    handles += [plt.Line2D([], [], ls="", marker="o", color=_colour(s), label=f"#{s}") for s in cells.system.unique()]
    axis.legend(handles=handles, fontsize=8, ncols=2)
    axis.set(xlabel="macro recall of the queries", ylabel="P1+P2 after separation", title="one line a condition")
    return figure


def _intervals(axis: Axes, x: np.ndarray, rows: pd.DataFrame, conditions: list[str], fmt: str) -> None:
    """One system's mean over seeds at each condition, and the interval of that mean (columns mean, low, high)."""
    first = rows.drop_duplicates("condition").set_index("condition")
    value, low, high = first.loc[conditions, ["mean", "low", "high"]].to_numpy(float).T
    spans = np.clip([value - low, high - value], 0, None)
    system, about = rows.system.iloc[0], rows.about.iloc[0]
    axis.errorbar(x, value, spans, fmt=fmt, ms=4, lw=1.2, color=_colour(system), label=f"#{system} {about}")


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"


def _conditions(axis: Axes, conditions: Sequence[str]) -> None:
    axis.set_xticks(range(len(conditions)), [*map(condition_text, conditions)])
    axis.set(xlabel="condition: clean, or SNR", xlim=(-0.5, len(conditions) - 0.5))
