"""The committed part of the AudioSet ontology: what is needed to tell which classes of the profiles are alike, and
which of AudioSet's 527 labels are under them.

    python -m tools.ontology

Downloads the ontology (CC BY-SA 4.0) and the list of labels (CC BY 4.0) and writes data/vocabulary/audioset.csv and
audioset_527.csv, which `data.ontology` reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from nrsed_lib.data.download import fetch_published
from nrsed_lib.data.ontology import LABELS, TABLE, build
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


def labelled(path: Path) -> pd.DataFrame:
    """id: of AudioSet's labels in their order, from a list of index, id and name (which may hold commas)."""
    lines = [line.split(",", 2) for line in path.read_text().splitlines()[1:]]
    assert [int(index) for index, *_ in lines] == [*range(len(lines))]
    return pd.DataFrame({"id": [id_ for _, id_, _ in lines]})


def needed(table: pd.DataFrame, classes: Iterable[str], labels: Iterable[str] = ()) -> pd.DataFrame:
    """The rows of `table` that stand above (or for) `classes` and nodes `labels`: enough for `Ontology.similar` on
    them, and `Ontology.under`."""
    whole = build(table)
    keep = {n for label in classes for n in whole.ids_of(label)} | {*labels}
    while above := {p for n in keep for p in whole.parents[n]} - keep:
        keep |= above
    return table[table["id"].isin(keep)].sort_values("name")


def main() -> None:
    profiles = [load_profile(name).data for name in ("mini", "open", "paper", "smoke")]
    classes = [label for data in profiles for label in data.classes + data.noise_classes]
    labels = labelled(fetch_published("class_labels_indices.csv"))
    write_table(LABELS, labels)
    write_table(TABLE, needed(parse(fetch_published("ontology.json")), classes, labels["id"]))
    for path in (TABLE, LABELS):
        print(f"{path}: {len(pd.read_csv(path))} nodes")


if __name__ == "__main__":
    main()
