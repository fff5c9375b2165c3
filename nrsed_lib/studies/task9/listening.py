"""The listening test of task 9: a blind sheet, and the ranking that the rules make of it.

Every example (a mixture and a query, with what a system gave back) is rated from 1 to 5 twice: REL, how well it
matches the query, and OVL, how it sounds. The sheet is a CSV file; an empty rating is one that is still to come.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import DataError, one_line
from nrsed_lib.llm.records import file_name
from nrsed_lib.store import write_table
from nrsed_lib.studies.ratings import in_turn, kept_file, read_rows

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
    nobody knows which system is heard. Of a sheet on other examples, those that have been rated stay.
    """
    table = queries[["file_name", "query"]].merge(pd.Series(systems, name="system"), how="cross").assign(rater=rater)
    with in_turn(path):
        there = read_sheet(path) if path.exists() else pd.DataFrame(columns=COLUMNS)
        same = ["system", "file_name", "query", "rater"]
        wanted, known = (pd.MultiIndex.from_frame(of[same]) for of in (table, there))
        stay, missing = known.isin(wanted) | there[RATINGS].notna().any(axis=1), table[~wanted.isin(known)]
        if len(missing) or not stay.all():
            order = np.random.default_rng([seed, *rater.encode()]).permutation(len(missing))
            first = int(there.example.max()) + 1 if len(there) else 1
            missing = missing.iloc[order].assign(example=np.arange(first, first + len(missing)), REL="", OVL="")
            write_table(path, pd.concat([there[stay], missing[COLUMNS]]))
    return read_sheet(path)


def sheet_of(run: Run, rater: str) -> Path:
    """Where a profile's sheet of a rater is kept, which its runs leave alone."""
    return kept_file(run, f"listening-{file_name(rater)}.csv")


def read_sheet(path: Path) -> pd.DataFrame:
    """COLUMNS; ratings are whole numbers from 1 to 5 or missing. Raises DataError naming file, line and value."""
    table = read_rows(path, COLUMNS, ["example"]).astype({"example": int})
    for name in RATINGS:
        bad = ~table[name].str.strip().isin(["", *map(str, SCALE)])
        if bad.any():
            row, value = int(bad.idxmax()), one_line(repr(table[name][bad].iloc[0]))
            raise DataError(f"{path}, line {row + 2}: {name} is {value}: rate with a whole number, 1 to 5")
        table[name] = pd.to_numeric(table[name].str.strip(), errors="coerce").astype("Int64")
    twice = table.duplicated(["rater", "system", "file_name"])
    if twice.any():
        raise DataError(f"{path}, line {int(twice.idxmax()) + 2}: this rater has rated that example before; keep one")
    return table


def rate(path: Path, example: int, **ratings: int) -> None:
    """Put the ratings of an example into a sheet. Raises DataError for one that is not there or not from 1 to 5."""
    with in_turn(path):
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
