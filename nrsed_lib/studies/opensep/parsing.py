"""How well the sources of a mixture are found by captioning it and parsing the caption (Table 7 of the source).

The source takes as many of the parsed texts as there are sounds, those most similar to the sounds' labels by CLAP, and
says no more of how accuracy is computed. Here a text stands for the classes that it names, and accuracy is the share
of the true sounds that some parsed text names. That rewards long captions: what is parsed too much is told beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.evaluate.separation import held_out_mixer
from nrsed_lib.store import write_table
from nrsed_lib.studies.opensep.captioner import Captioner
from nrsed_lib.studies.opensep.captioner_training import LEVEL_DB
from nrsed_lib.studies.opensep.chain import Reading, reader_of
from nrsed_lib.studies.opensep.tables import published
from nrsed_lib.studies.settings import studies_of

NB_SOURCES = (2, 3, 4)
BATCH = 20  # mixtures read at once
CLASSES = ("learned", "any")  # of which the mixtures are: classes the captioner has a phrase for, or any


def measure_parsing(run: Run, captioner: Captioner | None = None) -> pd.DataFrame:
    """One row a held-out mixture as long as the pipeline's clips; kept as `parsing.csv` in the notebook's folder.

    `studies.nb_mixtures` of each: 2, 3 or 4 sources, classes learned or, where some are not, any.
    Columns: classes, nb_sources, sources, caption, parsed (texts, joined by "|"), nb_parsed, nb_named (classes),
    nb_right (sources that are named), nb_by_chance (sources that the caption of the next mixture names).
    """
    path = run.folder / "parsing.csv"
    if path.exists():
        return pd.read_csv(path)
    reader, nb_mixtures = reader_of(run, captioner), studies_of(run.profile).nb_mixtures
    mixer = held_out_mixer(run)
    learned = set(load_sources(run, "train").labels)
    among = {"learned": torch.tensor([label in learned for label in mixer.labels]), "any": None}
    parts = []
    for classes in CLASSES if set(mixer.labels) - learned else CLASSES[:1]:
        for nb_sources in tqdm(NB_SOURCES, desc=f"mixtures to read, {classes} classes", mininterval=1.0):
            generator = torch.Generator().manual_seed(run.seed)
            readings, truth = [], []
            for start in range(0, nb_mixtures, BATCH):
                batch = min(BATCH, nb_mixtures - start)
                drawn = mixer.draw_apart(batch, nb_sources, LEVEL_DB, generator, among[classes])
                readings += reader.read(drawn.sounds.sum(1))
                truth += [{mixer.labels[i] for i in row} for row in drawn.classes.tolist()]
            table = parsing_counts(readings, truth)
            table.insert(0, "classes", classes)
            parts.append(table)
    table = pd.concat(parts, ignore_index=True)
    write_table(path, table)
    return table


def parsing_counts(readings: Sequence[Reading], truth: Sequence[set[str]]) -> pd.DataFrame:
    """One row a mixture; see `measure_parsing`."""
    others = [*readings[1:], *readings[:1]]
    rows = [
        {
            "nb_sources": len(true),
            "sources": "|".join(sorted(true)),
            "caption": reading.caption,
            "parsed": "|".join(source.text for source in reading.sources),
            "nb_parsed": len(reading.sources),
            "nb_named": len(reading.classes),
            "nb_right": len(reading.classes & true),
            "nb_by_chance": len(other.classes & true),
        }
        for reading, other, true in zip(readings, others, truth, strict=True)
    ]
    return pd.DataFrame(rows)


def parsing_summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row a kind of mixture, all but the counts in percent.

    accuracy: sources named; by_chance: named in another mixture's caption; precision: classes named that are
    there; under, equal, over: mixtures of which fewer, as many, or more sources are parsed than there are; exact:
    mixtures of which exactly the sources are named. parsed: sources a mixture.
    """
    rows = []
    for (classes, nb_sources), group in table.groupby(["classes", "nb_sources"], sort=False):
        right, named = group.nb_right, group.nb_named
        rows.append(
            {
                "classes": classes,
                "nb_sources": nb_sources,
                "accuracy": 100 * right.sum() / group.nb_sources.sum(),
                "by_chance": 100 * group.nb_by_chance.sum() / group.nb_sources.sum(),
                "precision": 100 * right.sum() / max(1, named.sum()),
                "under": 100 * (group.nb_parsed < nb_sources).mean(),
                "equal": 100 * (group.nb_parsed == nb_sources).mean(),
                "over": 100 * (group.nb_parsed > nb_sources).mean(),
                "exact": 100 * ((right == nb_sources) & (named == nb_sources)).mean(),
                "parsed": group.nb_parsed.mean(),
                "nb_mixtures": len(group),
            }
        )
    return pd.DataFrame(rows)


def parsing_table(run: Run, summary: pd.DataFrame, captioner: str) -> pd.DataFrame:
    """Table 7: a row a captioner, a column a number of sources, accuracy in percent; ours first, then the published.

    Written to `opensep_parsing.csv` among the tables, where ours have the columns of `parsing_summary` too.
    """
    ours = summary.assign(captioner=captioner, where=run.profile.name)
    theirs = published(7).rename(columns={"row": "captioner", "value": "accuracy"}).assign(where="VGGSound")
    theirs["nb_sources"] = theirs.column.str.split().str[0].astype(int)
    long = pd.concat([ours, theirs[["captioner", "where", "nb_sources", "accuracy"]]], ignore_index=True)
    first = ["captioner", "where", "classes", "nb_sources"]
    write_table(run.tables / "opensep_parsing.csv", long[[*first, *(c for c in long.columns if c not in first)]])
    long["captioner"] += (", " + long.classes + " classes").fillna("")  # the published ones have none
    wide = long.pivot_table(index=["where", "captioner"], columns="nb_sources", values="accuracy", sort=False)
    return wide.rename(columns=lambda n: f"{n} sources")
