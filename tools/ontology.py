"""The committed part of the AudioSet ontology: what is needed to tell which classes of the profiles are alike.

    python -m tools.ontology

Downloads the ontology (CC BY-SA 4.0) and writes data/vocabulary/audioset.csv, which `data.ontology` reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from nrsed_lib.data.download import fetch_published
from nrsed_lib.data.ontology import TABLE, build
from nrsed_lib.profile import load_profile
from nrsed_lib.store import write_table


def parse(path: Path) -> pd.DataFrame:
    """The ontology's JSON as a table: id, name, parents (ids, joined by spaces)."""
    entries = json.loads(path.read_text())
    parents: dict[str, list[str]] = {entry["id"]: [] for entry in entries}
    for entry in entries:
        for child in entry["child_ids"]:
            parents[child].append(entry["id"])
    rows = [(entry["id"], entry["name"], " ".join(parents[entry["id"]])) for entry in entries]
    return pd.DataFrame(rows, columns=["id", "name", "parents"])


def needed(table: pd.DataFrame, classes: Iterable[str]) -> pd.DataFrame:
    """The rows of `table` that stand above (or for) `classes`: enough for `Ontology.similar` on them."""
    whole = build(table)
    keep = {n for label in classes for n in whole.ids_of(label)}
    while above := {p for n in keep for p in whole.parents[n]} - keep:
        keep |= above
    return table[table["id"].isin(keep)].sort_values("name")


def main() -> None:
    profiles = [load_profile(name).data for name in ("mini", "open", "paper", "smoke")]
    classes = [label for data in profiles for label in data.classes + data.noise_classes]
    write_table(TABLE, needed(parse(fetch_published("ontology.json")), classes))
    print(f"{TABLE}: {len(pd.read_csv(TABLE))} nodes")


if __name__ == "__main__":
    main()
