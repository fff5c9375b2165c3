"""The committed tables made again from the committed counts, and the commits that they name looked up.

Nothing is trained or heard: what each clip adds to every number lies in results/<profile>/counts, a file a seed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nrsed_lib.errors import DataError, one_line, reading
from nrsed_lib.evaluate.claims import ledger
from nrsed_lib.evaluate.counts import DRAWS, Counts
from nrsed_lib.evaluate.evidence import Evidence, read_counts
from nrsed_lib.evaluate.table import means, recall_table, table1, with_differences, with_list
from nrsed_lib.paths import ROOT
from nrsed_lib.run.provenance import run_json

COUNTS = "counts"  # the folder of them
# Table -> how it is made, what tells its rows apart, and which of its columns are estimates, which need no draws.
TABLES: dict[str, tuple[Callable[[Evidence, Counts], pd.DataFrame], list[str], list[str]]] = {
    "table1.csv": (
        lambda evidence, first: with_differences(table1(evidence), first),
        ["system", "condition", "seed"],
        ["psds1", "psds2"],
    ),
    "table1_means.csv": (lambda evidence, _: means(evidence), ["system", "condition", "metric"], ["mean", "sd"]),
    "claims.csv": (
        lambda evidence, _: ledger(evidence),
        ["claim", "better", "worse", "conditions", "statistic"],
        ["value", "seeds_for", "paper"],
    ),
    "recall.csv": (
        lambda evidence, first: with_list(recall_table(evidence, evidence.recall), first),
        ["system", "condition", "seed"],
        ["recall", "mean"],
    ),
    "recall_any_frame.csv": (
        lambda evidence, first: with_list(recall_table(evidence, evidence.recall_any), first),
        ["system", "condition", "seed"],
        ["recall", "mean"],
    ),
}
TOLERANCE = 1.1e-5  # tables have six significant digits, of which another machine may round the last otherwise


def verify(folder: Path, estimates: bool = False) -> tuple[list[str], list[str]]:
    """What was looked at, a line each, and what differs. estimates: without the intervals, in seconds.

    Raises DataError when there are no counts in the folder, or a file cannot be read.
    """
    files = sorted((folder / COUNTS).glob("seed*.npz"))
    if not files:
        raise DataError(f"{folder / COUNTS} holds no seed*.npz: `nrsed run` and `nrsed publish` leave them there")
    counts = read_counts(files)
    evidence = Evidence.of(counts, 1 if estimates else nb_draws(folder))
    looked, differs = [f"counts: seeds {', '.join(str(c.about.seed) for c in counts)}"], []
    for name, (make, key, estimated) in TABLES.items():
        file = folder / name
        if not file.exists():
            differs.append(f"{name} is not there")
            continue
        with reading(file, "take it from the repository again"):
            there = pd.read_csv(file, dtype=str, keep_default_na=False)
            found, nb = _differing(there, as_written(make(evidence, counts[0])), key, estimated if estimates else None)
        looked.append(f"{name}: {nb} cells recomputed, {len(found)} differ")
        differs += [f"{name}: {one}" for one in found]
    said, wrong = commits(folder, counts)
    return looked + said, differs + wrong


def nb_draws(folder: Path) -> int:
    """As many as the ledger says were made."""
    file = folder / "claims.csv"
    if not file.exists():
        return DRAWS
    with reading(file, "take it from the repository again"):
        return int(pd.read_csv(file)["draws"].iloc[0])


def as_written(table: pd.DataFrame) -> pd.DataFrame:
    """As its file would be read, all of it text."""
    text = table.to_csv(index=False, float_format="%.6g")
    return pd.read_csv(StringIO(text), dtype=str, keep_default_na=False)


def _differing(
    there: pd.DataFrame, here: pd.DataFrame, key: list[str], columns: Sequence[str] | None
) -> tuple[list[str], int]:
    """Cells of a table that are not what was recomputed, in words, and how many were looked at."""
    if list(there.columns) != list(here.columns):
        return [f"has other columns: {one_line(set(there.columns) ^ set(here.columns))}"], 0
    a, b = (table.set_index(key, verify_integrity=True) for table in (there, here))
    alone = {"committed": a.index.difference(b.index), "recomputed": b.index.difference(a.index)}
    found = [f"{one_line(', '.join(row))} is only {where}" for where, of in alone.items() for row in of]
    rows = a.index.intersection(b.index, sort=False)
    columns = list(a.columns) if columns is None else columns
    a, b = a.loc[rows, columns], b.loc[rows, columns]
    for column in columns:
        for row, old, new in zip(rows, a[column], b[column], strict=True):
            if not _same(old, new):
                what = f"{one_line(', '.join(row), 120)}: {column} is committed as {one_line(old) or 'empty'}"
                found.append(f"{what}, recomputed as {new or 'empty'}")
    return found, a.size


def _same(old: str, new: str) -> bool:
    if old == new:
        return True
    try:
        return bool(np.isclose(float(old), float(new), rtol=TOLERANCE, atol=1e-9))
    except ValueError:
        return False


def commits(folder: Path, counts: Sequence[Counts]) -> tuple[list[str], list[str]]:
    """Whether the commits that made the results lie in this history, with the trees that were noted beside them."""
    if _git("rev-parse", "HEAD") is None:
        return ["commits: not looked up, this is no checkout of git"], []
    made = {f"counts of seed {c.about.seed}": c.about.made for c in counts}
    made |= {f"run.json, {name}": facts for name, facts in run_json(folder)["stages"].items()}
    wrong = [f"{what}: {fault}" for what, facts in made.items() for fault in _faults(facts)]
    names = dict.fromkeys(str(facts.get("commit", "")).rstrip("+") for facts in made.values())
    return [f"commits: {', '.join(one_line(name, 12) or 'unnamed' for name in names)} looked up"], wrong


def _faults(made: dict[str, Any]) -> Iterator[str]:
    name = str(made.get("commit", ""))
    commit = name.rstrip("+")
    if not (commit.isalnum() and _git("merge-base", "--is-ancestor", commit, "HEAD") is not None):
        yield f"commit {one_line(commit, 12) or '(none)'} is not in this history"
        return
    if made.get("dirty") or name.endswith("+"):
        yield f"commit {commit} had changes that are in no commit"
    for path, tree in (made.get("trees") or {}).items():
        if (here := _git("rev-parse", f"{commit}:{path}")) != tree:
            yield f"{one_line(path)} of commit {commit} is tree {here}, not {one_line(tree)}"


def _git(*words: str) -> str | None:
    """What git says; None where it finds nothing, or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout.strip()
