"""What the authors published: Table I, and the clip-wise predictions of their system #7.

Their predictions meet the real labels of DESED here, so one curve of Fig. 2 can be computed from
data rather than read off.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrsed_lib.data.clips import list_digest
from nrsed_lib.data.download import fetch_published
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.paths import DATA

NOTHING = "none"  # the text of a clip for which nothing was predicted
RELEASED = ("clean", "10dB", "5dB", "0dB", "-5dB")  # conditions with a file of released predictions
RELEASED_COUNTS = DATA / "paper" / "released.csv"  # by `python -m tools.released`
TRUTH = "meta/validation.tsv"  # DESED's real validation set, which is the paper's test set


def paper_table() -> pd.DataFrame:
    """Table I as printed: system, separation, text_query, condition, psds1, psds2."""
    return pd.read_csv(DATA / "paper" / "table1.csv", dtype={"system": str})


def released_recall() -> pd.DataFrame:
    """Macro recall of the released predictions, a row a condition, from their committed counts.

    Columns: condition, recall, nb_clips (labelled clips), nb_missing (of these, not in the file: they count as none
    predicted), clips (digest of the clip list: real copies of DESED miss clips). The authors' queries are events for
    which any frame is above 0.5.
    """
    counts = pd.read_csv(RELEASED_COUNTS)
    shares = counts.assign(recall=counts.nb_found / counts.nb_present)
    about = {name: (name, "first") for name in ("nb_clips", "nb_missing", "clips")}
    return shares.groupby("condition", sort=False).agg(recall=("recall", "mean"), **about).reset_index()


def count_released() -> pd.DataFrame:
    """What the released predictions find of the real labels of DESED, a row a condition and class.

    Columns: condition, event_label, nb_present (clips with the class), nb_found (of these, asked for), and of the
    condition those of `released_recall`. Raises data.download.DownloadError, saying how to get the files, when they
    cannot be had.
    """
    truth = pd.read_csv(fetch_published(TRUTH), sep="\t")
    files = {c: fetch_published(f"test_{c.lower()}_sednoise.txt") for c in RELEASED}
    parts = [counts_of(file, truth).assign(condition=c) for c, file in files.items()]
    table = pd.concat(parts, ignore_index=True)
    return table[["condition", *table.columns.drop("condition")]]


def counts_of(predictions: Path, truth: pd.DataFrame) -> pd.DataFrame:
    """Of one file of released predictions, a line a query, `<clip>.wav<tab><text>`: see `count_released`.

    truth: events with filename and event_label; a clip without events has an empty row.
    """
    names = sorted(truth.filename.unique())
    classes = sorted(truth.event_label.dropna().unique())
    predicted = pd.read_csv(predictions, sep="\t", names=["filename", "text"])
    asked = predicted[predicted.text != NOTHING]
    events = truth.dropna()
    present = _table(events.filename, events.event_label, names, classes)
    found = _table(asked.filename, asked.text, names, [query_text(label) for label in classes]) & present
    return pd.DataFrame({"event_label": classes, "nb_present": present.sum(0), "nb_found": found.sum(0)}).assign(
        nb_clips=len(names), nb_missing=len(set(names) - set(predicted.filename)), clips=list_digest(names)
    )


def _table(clips: pd.Series, labels: pd.Series, names: list[str], classes: list[str]) -> NDArray[np.bool_]:
    """(nb_clips, nb_classes): whether the pair occurs. Raises ValueError for a strange one."""
    strange = sorted((set(clips) - set(names)) | (set(labels) - set(classes)))
    if strange:
        raise ValueError(f"{strange[:3]} among the predictions: not of these {len(names)} clips and classes {classes}")
    return pd.crosstab(clips, labels).reindex(index=names, columns=classes, fill_value=0).to_numpy() > 0
