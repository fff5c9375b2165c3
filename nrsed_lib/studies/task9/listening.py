"""The listening test of task 9: a blind sheet, and the ranking that the rules make of it.

Every example (a mixture and a query, with what a system gave back) is rated from 1 to 5 twice: REL, how well it
matches the query, and OVL, how it sounds. The sheet is a CSV file; an empty rating is one that is still to come.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from nrsed_lib.errors import DataError
from nrsed_lib.store import write_table

SCALE = {
    1: ("Poor", "barely matches the query", "heavily distorted, much that was not asked for"),
    2: ("Fair", "basic match", "other sounds and distortions can be noticed"),
    3: ("Average", "moderate match", "the target is clear, with some other sounds and minor distortions"),
    4: ("Good", "clear match", "hardly any other sounds or distortions"),
    5: ("Excellent", "near-perfect match", "like a clean recording"),
}
RATINGS = ["REL", "OVL"]
COLUMNS = ["example", "system", "file_name", "query", "rater", *RATINGS]
NB_RANKED = 5  # teams that are listened to


def blank_sheet(path: Path, systems: list[str], queries: pd.DataFrame, rater: str, seed: int = 0) -> pd.DataFrame:
    """Write the sheet of a rater unless it is there, and read it: every system on every row of `queries`.

    queries: `file_name`, `query`. The order is the rater's own, and `example` is all that is shown, so that
    nobody knows which system is heard.
    """
    if not path.exists():
        table = queries[["file_name", "query"]].merge(pd.Series(systems, name="system"), how="cross")
        order = np.random.default_rng([seed, *rater.encode()]).permutation(len(table))
        table = table.iloc[order].assign(example=np.arange(1, len(table) + 1), rater=rater, REL="", OVL="")
        write_table(path, table[COLUMNS])
    return read_sheet(path)


def read_sheet(path: Path) -> pd.DataFrame:
    """COLUMNS; ratings are whole numbers from 1 to 5 or missing. Raises DataError naming file, line and value."""
    table = pd.read_csv(path, dtype={name: str for name in COLUMNS if name != "example"}, keep_default_na=False)
    if absent := [name for name in COLUMNS if name not in table]:
        raise DataError(f"{path} has no column {absent}: a sheet has {COLUMNS}")
    for name in RATINGS:
        bad = ~table[name].str.strip().isin(["", *map(str, SCALE)])
        if bad.any():
            row = int(bad.idxmax())
            raise DataError(f"{path}, line {row + 2}: {name} is {table[name][row]!r}: rate with a whole number, 1 to 5")
        table[name] = pd.to_numeric(table[name].str.strip(), errors="coerce").astype("Int64")
    twice = table.duplicated(["rater", "system", "file_name"])
    if twice.any():
        raise DataError(f"{path}, line {int(twice.idxmax()) + 2}: this rater has rated that example before; keep one")
    return table


def rate(path: Path, example: int, **ratings: int) -> None:
    """Put the ratings of an example into a sheet. Raises DataError for one that is not there or not from 1 to 5."""
    table = read_sheet(path)
    row = table.example == example
    if not row.any() or not set(ratings) <= set(RATINGS) or not set(ratings.values()) <= set(SCALE):
        raise DataError(f"{path}: example {example}, {ratings}: give {' and '.join(RATINGS)} from 1 to 5")
    for name, value in ratings.items():
        table.loc[row, name] = value
    write_table(path, table)


def scores(sheet: pd.DataFrame) -> pd.DataFrame:
    """A row a system: number of examples that have both ratings, mean REL and OVL over them, and their average."""
    rated = sheet.dropna(subset=RATINGS)
    means = rated.groupby("system")[RATINGS].mean().astype(float)
    means.insert(0, "nb_rated", rated.groupby("system").size())
    return means.assign(score=means[RATINGS].mean(axis=1)).reset_index()


def ranking(systems: pd.DataFrame, sheet: pd.DataFrame) -> pd.DataFrame:
    """The rules' ranking. systems: `team`, `system`, `sdr` (dB, of the evaluation (synth) set).

    Of each team the system of highest SDR; of those the five highest; ranked by (REL + OVL) / 2, whatever their
    SDR. The organisers may add systems of lower SDR by ear, which no rule can compute. Raises DataError naming a
    selected system without a rating.
    """
    best = systems.sort_values("sdr", ascending=False).drop_duplicates("team").head(NB_RANKED)
    table = best.merge(scores(sheet), on="system", how="left")
    if table.score.isna().any():
        raise DataError(f"{sorted(table.system[table.score.isna()])} are among the {NB_RANKED} and have no rating yet")
    table = table.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)
    table.insert(0, "rank", table.score.rank(method="min", ascending=False).astype(int))
    return table
