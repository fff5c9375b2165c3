"""A run beside the committed reference of its profile: what "reproduced" means, cell by cell and claim by claim.

A cell of Table I is reproduced when it lies within the committed interval over test clips; a claim when its verdict is
the committed one.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import pandas as pd

from nrsed_lib.artefacts import shown_folder
from nrsed_lib.errors import ProfileError, reading
from nrsed_lib.paths import REFERENCE
from nrsed_lib.profile import Profile, load_profile
from nrsed_lib.run.jobs import all_jobs, as_text, jobs, state
from nrsed_lib.run.provenance import run_json
from nrsed_lib.series import SERIES

SCORES = "table1.csv"
KEY = ["system", "condition", "seed"]  # of a row of it
# The tables of verdicts: what they are about, and the columns that name a claim.
LEDGERS = {
    "claims.csv": ("the paper's claims", ["claim"]),
    "task9_differences.csv": ("separators of task 9 compared", ["better", "worse"]),
    "captions.csv": ("added captions help", ["variant", "phrasing"]),
    "opensep_claims.csv": ("OpenSep's claims", ["claim", "classes", "metric"]),
    "language_claims.csv": ("claims on #8 to #10", ["claim"]),
}


@dataclass(frozen=True)
class Comparison:
    """cells: of Table I, a row a system, condition, seed and metric. verdicts: a row a claim of each ledger.

    differ: settings that are not the reference's, with both values; of tables made with them nothing is compared.
    about: what made the reference.
    """

    about: str
    differ: dict[str, tuple[Any, Any]]
    cells: pd.DataFrame
    verdicts: pd.DataFrame

    def summary(self) -> pd.DataFrame:
        """A row a table: how many of its cells or verdicts are the reference's."""
        rows = [("Table I: cells within the committed interval", self.cells["within"])] if len(self.cells) else []
        if len(self.verdicts):
            agrees = self.verdicts["here"] == self.verdicts["reference"]
            rows += [(f"{name}: same verdict", same) for name, same in agrees.groupby(self.verdicts["of"], sort=False)]
        return pd.DataFrame([{"compared": name, "same": f"{of.sum()} of {len(of)}"} for name, of in rows])

    def otherwise(self) -> pd.DataFrame:
        """What is not the reference's: cells outside their interval, and other verdicts."""
        rows: list[tuple[str, ...]] = []
        if len(self.cells):
            rows += [
                (f"#{of.system}, {of.condition}, {of.metric}", f"{of.here:.3f}",
                 f"{of.reference:.3f} ({of.low:.3f} to {of.high:.3f})")
                for of in self.cells[~self.cells["within"]].itertuples()
            ]  # fmt: skip
        if len(self.verdicts):
            other = self.verdicts[self.verdicts["here"] != self.verdicts["reference"]]
            rows += other[["what", "here", "reference"]].itertuples(index=False, name=None)
        return pd.DataFrame(rows, columns=["what", "here", "reference"])

    def text(self) -> str:
        lines = [f"beside the committed results ({self.about})"]
        if self.differ:
            shown = [f"{key} is {here!r}, not {there!r}" for key, (here, there) in self.differ.items()]
            more = [f"and {len(shown) - 5} more"] if len(shown) > 5 else []
            lines += ["not compared where made with other settings:", *(f"  {x}" for x in [*shown[:5], *more])]
        for table in (self.summary(), self.otherwise()):
            if len(table):
                names = ["", *table.columns[1:]]
                rows = [dict(zip(names, row, strict=True)) for row in table.itertuples(index=False)]
                lines += ["", indent(as_text(rows), "  ")]
        return "\n".join(lines)


def compare(profile: Profile) -> Comparison | None:
    """A profile's results beside the reference; None where there is no reference, or nothing was run.

    Tables that other settings, or older code than the present one, have made are left out.
    """
    here, there = shown_folder(profile), REFERENCE / profile.name
    made = run_json(there)
    if here == there or not made["stages"] or not here.is_dir():
        return None
    facts, differ = made["stages"].values(), differing(profile, made)
    commits, machines = (dict.fromkeys(of[key] for of in facts) for key in ("commit", "machine"))
    tables = [t for t in comparable(profile, differ) if (here / t).exists() and (there / t).exists()]
    verdicts = [verdicts_of(table, here, there) for table in tables if table in LEDGERS]
    return Comparison(
        f"commit {', '.join(commits)}; {'; '.join(machines)}",
        differ,
        cells_of(here, there) if SCORES in tables else pd.DataFrame(),
        pd.concat(verdicts, ignore_index=True) if verdicts else pd.DataFrame(),
    )


def comparable(profile: Profile, differ: Collection[str]) -> list[str]:
    """Tables that the run has made as it is now; the studies' settings (`studies.…`) are not the paper's concern."""
    if not all(key.startswith("studies.") for key in differ):
        return []
    made = [job for job in (jobs(profile) if differ else all_jobs(profile)) if SERIES[job[0]].tables]
    return [table for job in made if state(profile, *job) == "done" for table in SERIES[job[0]].tables]


def differing(profile: Profile, made: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings here and of what `made` (a run.json) tells of, by dotted key, where they are not the same.

    A reference that does not tell its settings has those of the profile that comes with the library, and its seeds.
    """
    try:
        theirs = made.get("settings") or flat(load_profile(profile.name)) | {"seeds": made["seeds"]}
    except ProfileError:
        return {"name": (profile.name, "a profile that is not known here")}
    ours = json.loads(json.dumps(flat(profile)))
    return {k: (ours.get(k), theirs.get(k)) for k in ours | theirs if ours.get(k) != theirs.get(k)}


def flat(profile: Profile) -> dict[str, Any]:
    """All settings by dotted key, as JSON has them."""

    def walk(value: Any, key: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {key: value}
        return {k: v for name, of in value.items() for k, v in walk(of, f"{key}.{name}" if key else name).items()}

    return walk(profile.model_dump(mode="json"), "")


def cells_of(here: Path, there: Path) -> pd.DataFrame:
    """Table I of both: here, reference, low, high, within."""
    tables = [read_scores(folder / SCORES).set_index(KEY) for folder in (here, there)]
    rows = []
    for metric in ("psds1", "psds2"):
        columns = {metric: "reference", f"{metric}_low": "low", f"{metric}_high": "high"}
        both = tables[1][[*columns]].rename(columns=columns).join(tables[0][metric].rename("here"), how="left")
        rows.append(both.assign(metric=metric, within=both["here"].between(both["low"], both["high"])).reset_index())
    return pd.concat(rows, ignore_index=True)


def verdicts_of(table: str, here: Path, there: Path) -> pd.DataFrame:
    """Verdicts of both by claim; "not there" where a table lacks one."""
    name, key = LEDGERS[table]
    both = [_verdicts(folder / table, key) for folder in (here, there)]
    joined = pd.concat(both, axis=1, keys=["here", "reference"]).fillna("not there").reset_index()
    what = joined[key].astype(str).agg(", ".join, axis=1)
    return pd.DataFrame({"of": name, "what": what, "here": joined["here"], "reference": joined["reference"]})


def _verdicts(file: Path, key: list[str]) -> pd.Series:
    with reading(file):
        return pd.read_csv(file).set_index(key)["verdict"].dropna()


def read_scores(file: Path) -> pd.DataFrame:
    """A table of scores: a row a system, condition and seed. Raises DataError naming one that is none."""
    with reading(file):
        table = pd.read_csv(file, dtype={"system": str}).astype({"psds1": float, "psds2": float})
        if table.empty or table[KEY].isna().any(axis=None):
            raise ValueError("rows are cut or missing")
        return table.set_index(KEY, verify_integrity=True).reset_index()[table.columns]
