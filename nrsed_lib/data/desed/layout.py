"""DESED, the ten-class part of AudioSet-Strong, and WildDESED as they are published: folders and label files.

`PARTS` describes every part; everything else follows from it. The root is the folder that the task's own
scripts call `dataset` (with `audio/`, `metadata/`, `dcase_synth/`), and WildDESED lies in `WildDESED/` below
it. A copy that is laid out otherwise says so in `layout.yaml` at the root:

    wild_test_10dB: {folder: /data/wild/test_10}
    weak: {metadata: labels/weak.tsv}
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import yaml

from nrsed_lib.data.clips import EVENT_COLUMNS
from nrsed_lib.errors import DataError, quoted, reading
from nrsed_lib.paths import DATA, data_root

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")  # what libsndfile reads
LATEST = 15.0  # s: clips are of 10 s, and of what is published the last event ends at 11 s
NAME = r"(?!\.\.?$)[^/\\\x00-\x1f]{1,255}"  # of a file, without its folder
WILD_SNRS = (10, 5, 0, -5)  # dB, of the release


@dataclass(frozen=True)
class Part:
    """A row of `data/desed.yaml`, which explains them."""

    folders: list[str]
    metadata: list[str]
    labels: Literal["strong", "weak", "none"]
    nb_clips: int
    where: str
    split: str | None = None


def _parts() -> dict[str, Part]:
    table = yaml.safe_load((DATA / "desed.yaml").read_text())
    parts = {name: Part(**about) for name, about in table["parts"].items()}
    for name, about in table["wild"].items():
        folders = [f"WildDESED/**/{about['folder']}"]
        parts[name] = replace(parts[about["of"]], folders=folders, where=about["where"], split=about.get("split"))
    return parts


PARTS = _parts()


def parts_of(split: str) -> list[str]:
    """The names of the parts that make up a split; the noisy copies of "test" not among them."""
    return [name for name, part in PARTS.items() if part.split == split and not name.startswith("wild")]


def condition_part(condition: str) -> str:
    """The part that holds the test clips in a condition of the profile. Raises DataError for an SNR not released."""
    name = "real_validation" if condition == "clean" else f"wild_test_{condition}"
    if name not in PARTS:
        known = ", ".join(f"{snr}" for snr in WILD_SNRS)
        raise DataError(f"data.snrs_db: WildDESED has no test set at {condition}; use some of [{known}]")
    return name


@dataclass(frozen=True)
class Listing:
    """What a part's label file lists, and where its audio is.

    names: nb_clips file names. events: EVENT_COLUMNS; weak labels have onset and offset NaN.
    folder: None when no audio of the part is there. nb_duplicates: rows that said nothing new.
    """

    part: str
    names: list[str]
    events: pd.DataFrame
    folder: Path | None
    nb_duplicates: int = 0

    @cached_property
    def files(self) -> dict[str, Path]:
        """Name → path of the clips that are there; another extension than the listed one will do."""
        return find_files(self.names, self.folder)


def find_files(names: Sequence[str], folder: Path | None) -> dict[str, Path]:
    """Those of `names` that are in `folder` (None: none), by exact name or else by another audio extension."""
    if folder is None:
        return {}
    with os.scandir(folder) as entries:
        there = {e.name for e in entries if e.name.lower().endswith(SUFFIXES)}
    by_stem = {Path(name).stem: name for name in sorted(there)}
    found = {name: name if name in there else by_stem.get(Path(name).stem) for name in names}
    return {name: folder / file for name, file in found.items() if file}


def listing(part: str, classes: Sequence[str]) -> Listing:
    """The clips of a part. Raises DataError when there is no label file, or it breaks a rule (`read_labels`)."""
    about, root = PARTS[part], data_root()
    own = _layout(root).get(part, {})
    folder = root / own["folder"] if "folder" in own else _find(root, about.folders, part)
    metadata = root / own["metadata"] if "metadata" in own else _find(root, about.metadata, part)
    if folder and not folder.is_dir():
        raise DataError(f"{part}: {folder} is no folder; put its clips there, or name theirs in {root / 'layout.yaml'}")
    if metadata:
        names, events, nb_duplicates = read_labels(metadata, about.labels, classes)
        return Listing(part, names, events, folder, nb_duplicates)
    if about.labels == "none" and folder:  # nothing is known of these clips anyway: those that are there
        names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        if not names:
            raise DataError(f"{part}: no clip is in {folder}; get them from {about.where}")
        return Listing(part, names, pd.DataFrame(columns=EVENT_COLUMNS), folder)
    raise DataError(
        f"{part}: no label file {' or '.join(about.metadata)} under {root} (set NRSED_DATA to the folder that has "
        f"the data sets, or name the file in {root / 'layout.yaml'}); get it from {about.where}"
    )


def _layout(root: Path) -> dict[str, dict[str, str]]:
    path = root / "layout.yaml"
    if not os.path.lexists(path):
        return {}
    how = f"write one of {', '.join(PARTS)}, each with `folder` or `metadata` or both"
    with reading(path, how):
        own = dict(yaml.safe_load(path.read_text()) or {})
    for part, places in own.items():
        known = isinstance(places, dict) and not set(places) - {"folder", "metadata"}
        if part not in PARTS or not known or not all(isinstance(p, str) and p.isprintable() for p in places.values()):
            raise DataError(f"{path}: {str(part)[:80]}: {quoted(places)} is not understood; {how}")
    return own


def _find(root: Path, patterns: Sequence[str], part: str) -> Path | None:
    for pattern in patterns:
        found = sorted(root.glob(pattern)) if "*" in pattern else [root / pattern]
        found = [path for path in found if path.exists()]
        if len(found) > 1:
            raise DataError(
                f"{part}: {', '.join(map(str, found))} could all be it; name one in {root / 'layout.yaml'}: "
                f"`{part}: {{folder: {found[0].relative_to(root)}}}`"
            )
        if found:
            return found[0]
    return None


COLUMNS = {"strong": EVENT_COLUMNS, "weak": ["filename", "event_labels"], "none": ["filename"]}


def read_labels(path: Path, labels: str, classes: Sequence[str]) -> tuple[list[str], pd.DataFrame, int]:
    """A label file in one of the published dialects: file names, events, and how many rows were repeated.

    "strong": filename, onset, offset (s), event_label, a clip without events as a row of blanks. "weak":
    filename and event_labels between commas; their onset and offset become NaN. "none": filename.
    Windows line ends, a byte order mark and blanks around values do not matter; rows that repeat are
    dropped. Raises DataError naming file, line and value for a missing column, a class not in `classes`, a
    time that is none in a clip, an offset not after its onset, or a name that is a path.
    """
    table = read_tsv(path, COLUMNS[labels])
    complain = partial(require, path, of="filename")
    complain(table, table["filename"].str.fullmatch(NAME), "filename", "is no file name")
    repeated = table.duplicated()
    table = table[~repeated]
    listed = table["filename"].drop_duplicates()
    twice = listed.map(lambda name: Path(name).stem).duplicated()  # one file would be two clips
    complain(table.loc[listed.index], ~twice, "filename", "is listed with another extension, too")
    if not (names := listed.tolist()):
        raise DataError(f"{path} lists no clip; download it again")
    if labels == "none":
        return names, pd.DataFrame(columns=EVENT_COLUMNS), int(repeated.sum())
    if labels == "weak":
        table = table.assign(event_label=table["event_labels"].str.split(",")).explode("event_label")
        table = table.assign(event_label=table["event_label"].str.strip(), onset=np.nan, offset=np.nan)
    if labels == "strong":
        untold = (table["event_label"] == "") & (table[["onset", "offset"]] != "").any(axis=1)
        complain(table, ~untold, "event_label", "is blank beside times")
    table = table[table["event_label"] != ""]
    complain(table, table["event_label"].isin(classes), "event_label", f"is none of the classes {list(classes)}")
    if labels == "strong":
        table = timed(path, table, "onset", "offset", "filename")
    return names, table[EVENT_COLUMNS].drop_duplicates().reset_index(drop=True), int(repeated.sum())


def timed(path: Path, table: pd.DataFrame, onset: str, offset: str, of: str) -> pd.DataFrame:
    """A table of `read_tsv` with the columns `onset` and `offset` as seconds. of: the column that names the clip.

    Raises DataError naming file, line and value for what is no time in a clip, or no interval.
    """
    for column in (onset, offset):
        seconds = pd.to_numeric(table[column], errors="coerce")
        require(path, table, np.isfinite(seconds), column, "is no number of seconds", of)
        table = table.assign(**{column: seconds})
    require(path, table, table[onset] >= 0, onset, "is before the clip", of)
    require(path, table, table[offset] > table[onset], offset, "is not after the onset", of)
    require(path, table, table[offset] <= LATEST, offset, "is after the end of any clip", of)
    return table


def read_tsv(path: Path, columns: list[str], header: bool = True) -> pd.DataFrame:
    """All values as stripped text, blanks as "". header: the file names its columns; else they are `columns`.

    Raises DataError for a file that is no such table, or lacks one of `columns`.
    """
    with reading(path, "it is no table separated by tabs: download it again"):
        if "\0" in (text := path.read_text("utf-8-sig")):
            raise ValueError("it has NUL bytes")
        table = pd.read_csv(
            io.StringIO(text),
            sep="\t",
            dtype=str,
            keep_default_na=False,
            quoting=3,  # nothing is quoted; a quote is a character
            names=None if header else columns,
            index_col=False,  # a row with more cells than the header is an error, not an index
            skip_blank_lines=False,  # lines are counted in messages
        )
    table.columns = table.columns.astype(str).str.strip()
    if missing := [c for c in columns if [*table.columns].count(c) != 1]:
        raise DataError(
            f"{path} has no column {missing[0]!r} but {quoted([*table.columns])}: is it another file? "
            f"It must have {columns} once, separated by tabs"
        )
    table = table.fillna("").apply(lambda column: column.str.strip())
    return table.loc[(table != "").any(axis=1), columns]


def require(path: Path, table: pd.DataFrame, right: pd.Series, column: str, else_: str, of: str = "") -> None:
    """Raises DataError naming file, line and value of the first row of `table` that is not `right`, and what it is.

    table: of `read_tsv`. of: the column that says whose value it is.
    """
    right = right.astype(bool)
    if not right.all():
        row, line = table[~right].iloc[0], int(table.index[~right][0]) + 2  # a header, and from one
        whose = f" of {quoted(row[of])}" if of else ""
        raise DataError(
            f"{path}, line {line}: {column} {quoted(str(row[column]))}{whose} {else_} "
            f"({int((~right).sum())} such rows); correct the file or download it again"
        )
