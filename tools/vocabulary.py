"""The paper's label sets and noise vocabulary from the published metadata: `python -m tools.vocabulary`.

Both are committed as small tables (`data/vocabulary/`), so that nothing has to be downloaded to read them.
"""

from __future__ import annotations

import json
from collections import Counter

import pandas as pd

from nrsed_lib.data.download import fetch_published
from nrsed_lib.llm.paper import AUDIOSET_STRONG, LABEL_SETS
from nrsed_lib.store import write_table

# Strong labels one row an event, weak ones one row a clip with its classes between commas.
STRONG, WEAK = ("synthetic21_train/soundscapes.tsv", "audioset_strong.tsv"), ("weak.tsv",)


def derive_label_sets() -> pd.DataFrame:
    """label_set (joined by " + "), nb_clips: from DESED's and AudioSet-Strong's training metadata (downloaded)."""
    counts: Counter[frozenset[str]] = Counter()
    for name in STRONG:
        events = pd.read_csv(fetch_published(name), sep="\t").dropna(subset="event_label")
        counts.update(events.groupby("filename")["event_label"].agg(frozenset))
    for name in WEAK:
        counts.update(
            frozenset(line.split(",")) for line in pd.read_csv(fetch_published(name), sep="\t")["event_labels"]
        )
    rows = [(" + ".join(sorted(labels)), n) for labels, n in counts.items()]
    table = pd.DataFrame(rows, columns=["label_set", "nb_clips"])
    return table.sort_values(["nb_clips", "label_set"], ascending=[False, True], ignore_index=True)


def derive_vocabulary() -> pd.DataFrame:
    """class: the label file of AudioSet-Strong (downloaded), in its order."""
    return pd.DataFrame({"class": list(json.loads(fetch_published("labeldict_audioset_strong.json").read_text()))})


def main() -> None:
    for path, table in ((LABEL_SETS, derive_label_sets()), (AUDIOSET_STRONG, derive_vocabulary())):
        write_table(path, table)
        print(f"{path}: {len(table)} rows")


if __name__ == "__main__":
    main()
