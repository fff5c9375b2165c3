"""What the authors published: Table I, and the clip-wise predictions of their system #7.

Their predictions meet the real labels of DESED here, so one curve of Fig. 2 can be computed from
data rather than read off.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from nrsed_lib.data.clips import list_digest
from nrsed_lib.data.download import fetch_published
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.evaluate.recall import macro_recall
from nrsed_lib.paths import DATA

NOTHING = "none"  # the text of a clip for which nothing was predicted
RELEASED = ("clean", "10dB", "5dB", "0dB", "-5dB")  # conditions with a file of released predictions
TRUTH = "meta/validation.tsv"  # DESED's real validation set, which is the paper's test set


def paper_table() -> pd.DataFrame:
    """Table I as printed: system, separation, text_query, condition, psds1, psds2."""
    return pd.read_csv(DATA / "paper" / "table1.csv", dtype={"system": str})


def released_recall() -> pd.DataFrame:
    """Macro recall of the released predictions, a row a condition.

    Columns: condition, recall, nb_clips (labelled clips), nb_missing (of these, not in the file:
    they count as none predicted), clips (digest of the clip list: real copies of DESED miss clips).
    Raises data.download.DownloadError, saying how to get the files, when they cannot be had.
    """
    truth = pd.read_csv(fetch_published(TRUTH), sep="\t")
    files = {c: fetch_published(f"test_{c.lower()}_sednoise.txt") for c in RELEASED}
    return pd.DataFrame([{"condition": c} | recall_of(file, truth) for c, file in files.items()])


def recall_of(predictions: Path, truth: pd.DataFrame) -> dict:
    """Recall of one file of released predictions: a line a query, `<clip>.wav<tab><text>`.

    truth: events with filename and event_label; a clip without events has an empty row.
    """
    names = sorted(truth.filename.unique())
    classes = sorted(truth.event_label.dropna().unique())
    predicted = pd.read_csv(predictions, sep="\t", names=["filename", "text"])
    asked = predicted[predicted.text != NOTHING]
    events = truth.dropna()
    texts = [query_text(label) for label in classes]
    return {
        "recall": macro_recall(
            _table(asked.filename, asked.text, names, texts),
            _table(events.filename, events.event_label, names, classes),
        ),
        "nb_clips": len(names),
        "nb_missing": len(set(names) - set(predicted.filename)),
        "clips": list_digest(names),
    }


def _table(clips: pd.Series, labels: pd.Series, names: list[str], classes: list[str]) -> torch.Tensor:
    """(nb_clips, nb_classes) float32: 1 where the pair occurs. Raises ValueError for a strange one."""
    strange = sorted((set(clips) - set(names)) | (set(labels) - set(classes)))
    if strange:
        raise ValueError(f"{strange[:3]} among the predictions: not of these {len(names)} clips and classes {classes}")
    counts = pd.crosstab(clips, labels).reindex(index=names, columns=classes, fill_value=0)
    return torch.tensor(counts.to_numpy() > 0, dtype=torch.float32)
