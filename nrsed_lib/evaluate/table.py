"""Table I: ours beside the paper's, with intervals, seed by seed and together, and the difference on its own clips."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from nrsed_lib.data.clips import Clips, list_digest
from nrsed_lib.evaluate.measure import Cell, Measured
from nrsed_lib.evaluate.psds import SCENARIOS
from nrsed_lib.evaluate.published import paper_table
from nrsed_lib.evaluate.resampling import Array, interval
from nrsed_lib.profile import Profile

AVERAGE = "average"
THE_PAPERS = "audiosep-dp"  # the separator, in `lass.weights`


def table1(measured: Measured, about: Mapping[str, str]) -> pd.DataFrame:
    """A row for each system, condition and seed.

    about: system -> what it is. Columns: system, about, condition, psds1, psds2, psds1_low,
    psds1_high, psds2_low, psds2_high (95 % bootstrap interval over clips), nb_clips, seed,
    paper_psds1, paper_psds2 (empty where the paper has no number).
    """
    rows = []
    for (condition, system), draws in measured.psds.items():
        low, high = interval(draws)  # (nb_seeds, nb_scenarios)
        for i, seed in enumerate(measured.seeds):
            row = {"system": system, "about": about[system], "condition": condition}
            row |= dict(zip(SCENARIOS, draws[i, :, 0], strict=True))
            for j, name in enumerate(SCENARIOS):
                row |= {f"{name}_low": max(low[i, j], 0), f"{name}_high": min(high[i, j], 1)}
            rows.append(row | {"nb_clips": measured.nb_clips, "seed": seed})
    paper = paper_table().rename(columns={name: f"paper_{name}" for name in SCENARIOS})
    return pd.DataFrame(rows).merge(
        paper[["system", "condition", *(f"paper_{name}" for name in SCENARIOS)]], how="left", on=["system", "condition"]
    )


def recall_table(
    recall: Mapping[Cell, Array], about: Mapping[str, str], seeds: list[int], nb_clips: int
) -> pd.DataFrame:
    """A row for each system, condition and seed: the numbers behind Fig. 2.

    recall: (nb_seeds, 1 + nb_draws) by (condition, system). Columns: system, about, condition,
    recall, recall_low, recall_high (95 % bootstrap interval over clips), nb_clips, seed.
    """
    rows = []
    for (condition, system), draws in recall.items():
        low, high = np.clip(interval(draws), 0, 1)
        for i, seed in enumerate(seeds):
            row = {"system": system, "about": about[system], "condition": condition, "recall": draws[i, 0]}
            rows.append(row | {"recall_low": low[i], "recall_high": high[i], "nb_clips": nb_clips, "seed": seed})
    return pd.DataFrame(rows)


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


def clip_list(profile: Profile, clips: Clips) -> dict[str, str]:
    """The column that stands beside every score on DESED, whose copies miss clips: `list_hash`, SHA-256 (12
    digits) of the sorted names of the test clips, as in results/<profile>/data.csv. Other data: none."""
    return {"list_hash": list_digest(clips.names)} if profile.data.source == "desed" else {}


def with_differences(profile: Profile, table: pd.DataFrame, clips: Clips) -> pd.DataFrame:
    """`table1` with a column for each score minus the paper's (empty where it has none) and the clips' list_hash.

    On other data than the paper's, or with another separator than AudioSep-DP, a difference says nothing: the table
    stays as it is.
    """
    if profile.data.source != "desed" or profile.lass.weights != THE_PAPERS:
        return table
    minus = {f"minus_paper_{name}": table[name] - table[f"paper_{name}"] for name in SCENARIOS}
    return table.assign(**minus, **clip_list(profile, clips))


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
