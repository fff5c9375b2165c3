"""The synthetic validation list of DCASE 2024 task 9: which clip is asked for, in which other one, at which SNR.

`lass_synthetic_validation.csv` has a row a mixture (source, noise, snr, caption), `lass_validation.json` the tags
and captions of every clip, and `lass_validation/<id>.wav` the clips. A profile's own list has the same three
(`own_list.py`), so that one reader, one check and one way of mixing serve both.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from pydantic import BaseModel
from torch import Tensor

from nrsed_lib.data.download import fetch_published
from nrsed_lib.errors import DataError, DownloadError
from nrsed_lib.studies.task9.published import NAME, Faults, Text, check_there, read_json, read_table, read_waves

LIST, ABOUT, AUDIO = "lass_synthetic_validation.csv", "lass_validation.json", "lass_validation"
COLUMNS = ["source", "noise", "snr", "caption"]
SNR_RANGE = (-15, 15)  # dB, whole numbers
FAULTS: Faults = {
    "snr is not a whole number from -99 to 99": lambda table: ~table.snr.str.fullmatch(r"[+-]?[0-9]{1,2}"),
    "no name of a clip": lambda table: ~(table.source.str.fullmatch(NAME) & table.noise.str.fullmatch(NAME)),
}
NB_CAPTIONS = 3  # a clip
GAP = 0.9  # the peak of what would clip
RECORD = "Zenodo record 10886481: `nrsed data fetch task9-validation`"


@dataclass(frozen=True)
class Clip:
    """What the JSON says of a clip. tags: its classes, in FSD50K's words."""

    tags: frozenset[str]
    captions: tuple[str, ...]


def read_list(path: Path) -> pd.DataFrame:
    """The rows of a list, with COLUMNS. Raises DataError naming the file, the line and what is wrong with it."""
    table = read_table(path, COLUMNS, RECORD, FAULTS)
    return table.assign(snr=table.snr.astype(int))


class _Entry(BaseModel):
    Index: Text
    Tags: list[Text]
    Captions: list[Text | int]  # a text that is a number is one in the published file


def read_about(path: Path) -> dict[str, Clip]:
    """Clip id → its tags and captions. Raises DataError naming the file and the entry that is not as published."""
    entries = read_json(path, list[_Entry], "a list of {Index, Tags, Captions}", RECORD)
    found = {e.Index: Clip(frozenset(e.Tags), tuple(map(str, e.Captions))) for e in entries}
    if len(found) < len(entries):
        raise DataError(f"{path} has {len(entries) - len(found)} clips twice; get it anew: {RECORD}")
    return found


def check_list(table: pd.DataFrame, about: dict[str, Clip]) -> pd.DataFrame:
    """What the rules promise of a list, and what is found: columns `what`, `expected`, `found`.

    Nothing is dropped for a promise that is not kept.
    """
    known = table[table.source.isin(about) & table.noise.isin(about)]
    pairs = [(about[s], about[n], c) for s, n, c in zip(known.source, known.noise, known.caption, strict=True)]
    low, high = SNR_RANGE
    rows = [
        ("mixtures", None, len(table)),
        ("clips asked for", None, table.source.nunique()),
        ("clips used as noise", None, table.noise.nunique()),
        ("captions a clip", NB_CAPTIONS, "/".join(map(str, sorted({len(clip.captions) for clip in about.values()})))),
        ("lowest SNR / dB", low, table.snr.min()),
        ("highest SNR / dB", high, table.snr.max()),
        ("mean SNR / dB", None, round(float(table.snr.mean()), 2)),
        ("rows of clips that the JSON does not have", 0, len(table) - len(known)),
        ("rows with a clip in itself", 0, int((table.source == table.noise).sum())),
        ("rows that share a tag", 0, sum(bool(a.tags & b.tags) for a, b, _ in pairs)),
        ("rows with a caption of another clip", 0, sum(text not in a.captions for a, _, text in pairs)),
        ("rows with a caption without a letter", 0, int((~table.caption.str.contains("[A-Za-z]")).sum())),
        ("rows that are there twice", 0, int(table.duplicated().sum())),
        ("rows of one clip with one caption twice", 0, int(table.duplicated(["source", "caption"]).sum())),
    ]
    return pd.DataFrame(rows, columns=["what", "expected", "found"]).astype(object)


def official_checks() -> pd.Series:
    """`found` of the official list by `what`, downloaded; where that fails it says why, and nothing is found."""
    try:
        official = read_list(fetch_published(LIST)), read_about(fetch_published(ABOUT))
    except DownloadError as error:
        print(textwrap.shorten(str(error), 300))
        return pd.Series(dtype=object)
    return check_list(*official).set_index("what").found


def mix(targets: Tensor, noises: Tensor, snr_db: Tensor) -> tuple[Tensor, Tensor]:
    """Mixtures and targets as the challenge makes them: (B, nb_samples) each, and (B,) dB.

    The noise is scaled so that the mean power over the whole clip (silence and all) is `snr_db` below the
    target's; a mixture that would clip is brought to a peak of 0.9, and its target with it. A silent noise stays
    silent.
    """
    wanted = targets.square().mean(-1) * 10 ** (-snr_db.to(targets) / 10)  # (B,), power of the noise
    power = noises.square().mean(-1)
    gain = torch.where(power > 0, wanted / power, 0).sqrt()
    mixtures = targets + gain[:, None] * noises
    peak = mixtures.abs().amax(-1, keepdim=True)
    scale = torch.where(peak > 1, GAP / peak, 1)
    return scale * mixtures, scale * targets


def mixed(
    table: pd.DataFrame, folder: Path, sample_rate: int, batch: int
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Rows of the list `batch` at a time: their numbers, mixtures and targets, (B, nb_samples) float32 each.

    folder: of the clips. Raises DataError naming clips that are missing, silent, not at `sample_rate`, not mono,
    or not as long as the others: a score over the rest would be of another list.
    """
    check_there(folder, [f"{name}.wav" for name in (*table.source, *table.noise)], RECORD)
    for start in range(0, len(table), batch):
        rows = table.iloc[start : start + batch]
        targets, noises = (read_clips(folder, list(rows[role]), sample_rate) for role in ("source", "noise"))
        yield [*range(start, start + len(rows))], *mix(targets, noises, torch.tensor(rows.snr.to_numpy()))


def read_clips(folder: Path, names: list[str], sample_rate: int) -> Tensor:
    """(len(names), nb_samples) float32. Raises DataError naming the first that is silent or not like the others."""
    waves = read_waves(folder, [f"{name}.wav" for name in names], sample_rate, RECORD)
    for name, wave in zip(names, waves, strict=True):
        if not wave.any():
            raise DataError(f"{folder / name}.wav is silent; get it anew: {RECORD}")
    return waves
