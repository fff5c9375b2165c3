"""Table I: ours beside the paper's, with intervals, seed by seed and together, and the difference on its own clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nrsed_lib.evaluate.counts import Cell, Counts
from nrsed_lib.evaluate.evidence import Evidence
from nrsed_lib.evaluate.inference import over_recordings
from nrsed_lib.evaluate.published import paper_table
from nrsed_lib.evaluate.resampling import Array
from nrsed_lib.evaluate.roc import SCENARIOS

AVERAGE = "average"
NOISE = "noise"  # the mean over all conditions but the clean one
TOTAL = "P1+P2"
THE_PAPERS = ("desed", "audiosep-dp")  # clips and separator
RECALL_COLUMNS = [
    "system", "about", "condition", "recall", "recall_low", "recall_high", "nb_clips", "seed", "mean", "low", "high",
]  # fmt: skip


def table1(evidence: Evidence) -> pd.DataFrame:
    """A row for each system, condition and seed.

    Columns: system, about, condition, psds1, psds2, psds1_low,
    psds1_high, psds2_low, psds2_high (95 % bootstrap interval over recordings), nb_clips, seed,
    paper_psds1, paper_psds2 (empty where the paper has no number).
    """
    rows = []
    for (condition, system), draws in evidence.psds.items():
        for i, seed in enumerate(evidence.seeds):
            row: dict[str, Any] = {"system": system, "about": evidence.systems[system], "condition": condition}
            row |= dict(zip(SCENARIOS, draws[i, :, 0], strict=True))
            for j, name in enumerate(SCENARIOS):
                row |= _ends(name, over_recordings(draws[[i], j]), 1)
            rows.append(row | {"nb_clips": evidence.nb_clips, "seed": seed})
    paper = paper_table().rename(columns={name: f"paper_{name}" for name in SCENARIOS})
    return pd.DataFrame(rows).merge(
        paper[["system", "condition", *(f"paper_{name}" for name in SCENARIOS)]], how="left", on=["system", "condition"]
    )


def means(evidence: Evidence) -> pd.DataFrame:
    """A row for each system, condition and metric: the mean over seeds, with its own interval.

    condition: also "noise" and "average", the means over the noisy and over all conditions. metric: psds1, psds2,
    P1+P2. Columns: system, about, condition, metric, mean, sd (over seeds; empty of one), low, high (95 %, of the mean:
    `Evidence.infer`), seeds.
    """
    groups = {c: [c] for c in evidence.conditions}
    groups |= {NOISE: [c for c in groups if c != "clean"], AVERAGE: [*groups]}
    rows = []
    for system, about in evidence.systems.items():
        for condition, of in groups.items():
            psds = np.mean([evidence.psds[c, system] for c in of], axis=0) if of else None
            for metric, values in _metrics(psds).items():
                row = {"system": system, "about": about, "condition": condition, "metric": metric}
                rows.append(row | _mean(evidence, values, 2 if metric == TOTAL else 1))
    return pd.DataFrame(rows)


def _metrics(psds: Array | None) -> dict[str, Array]:
    """(nb_seeds, nb_scenarios, 1 + nb_draws) -> metric -> (nb_seeds, 1 + nb_draws)."""
    return {} if psds is None else {name: psds[:, j] for j, name in enumerate(SCENARIOS)} | {TOTAL: psds.sum(1)}


def _mean(evidence: Evidence, values: Array, most: float) -> dict[str, float]:
    found, seeds = evidence.infer(values), values[:, 0]
    ends = {"low": max(found.low, 0.0), "high": min(found.high, most)}
    return {"mean": found.value, "sd": seeds.std(ddof=1) if len(seeds) > 1 else np.nan} | ends | {"seeds": len(seeds)}


def _ends(name: str, found, most: float) -> dict[str, float]:
    return {f"{name}_low": max(found.low, 0.0), f"{name}_high": min(found.high, most)}


def recall_table(evidence: Evidence, recall: Mapping[Cell, Array]) -> pd.DataFrame:
    """A row for each system, condition and seed: the numbers behind Fig. 2.

    recall: `evidence.recall` or `evidence.recall_any`. Columns: system, about, condition, recall, recall_low,
    recall_high (95 % bootstrap interval over recordings), nb_clips, seed, and mean, low, high: of the mean over
    seeds, with its own interval (`Evidence.infer`).
    """
    rows = []
    for (condition, system), draws in recall.items():
        mean = {name: value for name, value in _mean(evidence, draws, 1).items() if name in ("mean", "low", "high")}
        for i, seed in enumerate(evidence.seeds):
            row = {"system": system, "about": evidence.systems[system], "condition": condition}
            row |= {"recall": draws[i, 0]} | _ends("recall", over_recordings(draws[[i]]), 1)
            rows.append(row | {"nb_clips": evidence.nb_clips, "seed": seed} | mean)
    return pd.DataFrame(rows, columns=RECALL_COLUMNS)


def over_seeds(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """System by condition: the mean of `value` over seeds, "± standard deviation" when there are several."""
    groups = table.groupby(["system", "about", "condition"], sort=False)[value]
    cells = groups.agg(lambda v: f"{v.mean():.3f}" + (f" ± {v.std():.3f}" if len(v) > 1 else ""))
    return cells.unstack("condition")[table.condition.unique()]  # noqa: PD010 (a row twice is an error)


def totals(table: pd.DataFrame, by: str = "seed") -> pd.DataFrame:
    """P1 + P2 by condition and their mean over conditions, the paper's "Average".

    table: system, condition, psds1, psds2 and the column `by`. Returns a table indexed by (system,
    `by`), a column for each condition and "average", all in the order of `table`.
    """
    rows = table.assign(total=table.psds1 + table.psds2)
    systems, conditions = rows.system.unique(), rows.condition.unique()
    wide = rows.pivot(index=["system", by], columns="condition", values="total")[conditions]  # noqa: PD010 (a row twice is an error)
    return wide.assign(**{AVERAGE: wide.mean(axis=1)}).reindex(systems, level="system")


def as_printed(table: pd.DataFrame) -> pd.DataFrame:
    """The layout of Table I: systems down; P1, P2 and P1+P2 of each condition across; then Average.

    Cells are the mean over seeds, "± standard deviation" when there are several. Below each system
    of the paper stands what the paper printed (over the same conditions).
    """
    ours = table.assign(who="ours")
    paper = table.drop_duplicates(["system", "condition"]).dropna(subset="paper_psds1")
    paper = paper.assign(who="paper", psds1=paper.paper_psds1, psds2=paper.paper_psds2)
    rows = pd.concat([ours, paper]).assign(**{"P1+P2": lambda t: t.psds1 + t.psds2})
    rows = rows.rename(columns={"psds1": "P1", "psds2": "P2"})
    metrics = ["P1", "P2", "P1+P2"]
    key = ["system", "about", "who", "seed"]
    average = rows.groupby(key)["P1+P2"].mean().rename((AVERAGE, "P1+P2"))
    wide = rows.pivot(index=key, columns="condition", values=metrics).swaplevel(axis=1)  # noqa: PD010 (the same)
    wide = wide[[(c, m) for c in table.condition.unique() for m in metrics]].join(average)
    wide.columns = pd.MultiIndex.from_tuples([tuple(column) for column in wide.columns])
    by_system = wide.groupby(["system", "about", "who"])
    mean, spread, nb = by_system.mean(), by_system.std(), by_system.size()
    cells = mean.map("{:.3f}".format)
    for row in cells.index[nb > 1]:
        cells.loc[row] = [f"{m} ± {s:.3f}" for m, s in zip(cells.loc[row], spread.loc[row], strict=True)]
    return cells.reindex(table.system.unique(), level="system")


def with_differences(table: pd.DataFrame, counts: Counts) -> pd.DataFrame:
    """`table1` with a column for each score minus the paper's (empty where it has none), as `with_list` has it.

    On other data than the paper's, or with another separator than AudioSep-DP, a difference says nothing, and there is
    none.
    """
    if (counts.about.source, counts.about.separator) != THE_PAPERS:
        return with_list(table, counts)
    minus = {f"minus_paper_{name}": table[name] - table[f"paper_{name}"] for name in SCENARIOS}
    return with_list(table.assign(**minus), counts)


def with_list(table: pd.DataFrame, counts: Counts) -> pd.DataFrame:
    """The column that stands beside every score on DESED, whose copies miss clips: `list_hash`, SHA-256 (12
    digits) of the sorted names of the test clips, as in results/<profile>/data.csv. Other data: none."""
    return table.assign(list_hash=counts.about.clips) if counts.about.source == "desed" else table


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """The layout of Table I: a row a system of the paper, P1 and P2 of each condition across; ours minus the paper's.

    Mean over seeds. table: of `with_differences`.
    """
    printed = table.dropna(subset="minus_paper_psds1")
    parts = {
        (condition, metric): rows.groupby(["system", "about"], sort=False)[f"minus_paper_{name}"].mean()
        for condition, rows in printed.groupby("condition", sort=False)
        for metric, name in zip(("P1", "P2"), SCENARIOS, strict=True)
    }
    return pd.DataFrame(parts).map("{:+.3f}".format).reindex(printed["system"].unique(), level="system")
