"""Files of the challenge as they are published: what is missing or damaged is named, with the record to get it from.

A score over the rest would be of another list, so nothing is passed over.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from pydantic import AfterValidator, StringConstraints, TypeAdapter, ValidationError
from torch import Tensor

from nrsed_lib.data.audio import read_audio
from nrsed_lib.errors import DataError, faults_of, one_line
from nrsed_lib.paths import not_a_file

LARGEST = 200 << 20  # bytes; the published ones have up to 10 MB
NAME = r"(?!\.{1,2}$)[^/\\\x00-\x1f]{1,200}"  # of a file in its folder, and no way out of that

# What is wrong → of which rows of a table, (nb_rows,) bool.
Faults = Mapping[str, Callable[[pd.DataFrame], pd.Series]]
COMMON: Faults = {"a field is empty": lambda table: table.apply(lambda column: column.str.strip() == "").any(axis=1)}


def _inside(path: str) -> str:
    if ".." in PurePath(path).parts or "\0" in path:
        raise ValueError("leads out of its folder")
    return path


Text = Annotated[str, StringConstraints(pattern=r"\S")]  # as it is: captions are looked up
WavPath = Annotated[Text, AfterValidator(_inside)]


def read_text(path: Path, record: str) -> str:
    """A file in UTF-8. Raises DataError for what is no file, too large, or no text."""
    if fault := not_a_file(path):
        raise DataError(f"{path} {fault}: {record}")
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise ValueError(f"{size} bytes")
        text = path.read_bytes().decode("utf-8-sig")
        if "\0" in text:
            raise ValueError(f"NUL in line {text[: text.index(chr(0))].count(chr(10)) + 1}")
    except (OSError, ValueError) as error:  # what is in another encoding is a ValueError
        raise DataError(f"{path} is no text in UTF-8 ({one_line(error, 120)}); get it anew: {record}") from error
    return text


def read_table(
    path: Path, columns: list[str], record: str, faults: Faults, known_as: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """The columns of a CSV file as texts; spaces after commas do not count. known_as: what else one may be called.

    Raises DataError when the file or a column is missing, and naming the first line that is no row or has a fault.
    """
    reader = csv.reader(io.StringIO(read_text(path, record), newline=""), skipinitialspace=True, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        header = [(known_as or {}).get(name.strip(), name.strip()) for name in next(reader, [])]
        if wrong := [name for name in columns if header.count(name) != 1]:
            several = "has no column" if not set(wrong) & set(header) else "has several columns"
            raise DataError(f"{path} {several} {wrong}, but {one_line(header, 200)}; get it anew: {record}")
        for row in filter(None, reader):
            if len(row) != len(header):
                raise csv.Error(f"{len(row)} fields, where the header has {len(header)}: {one_line(row)}")
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}; get it anew: {record}") from error
    if not rows:
        raise DataError(f"{path} has no rows; get it anew: {record}")
    table = pd.DataFrame(rows, columns=header)[columns]
    for what, found in {**COMMON, **faults}.items():
        if (bad := found(table)).any():
            first = int(bad.idxmax())
            shown = one_line(table.loc[first].to_dict(), 200)
            raise DataError(f"{path}, line {lines[first]}: {what}: {shown}; get it anew: {record}")
    return table


def read_json(path: Path, form: Any, like: str, record: str) -> Any:
    """What a JSON file holds, of the type `form`, which is told as `like`. Raises DataError naming file and entry."""
    text = read_text(path, record)
    try:
        json.loads(text, object_pairs_hook=_once)
        return TypeAdapter(form).validate_json(text, strict=True)
    except ValidationError as error:
        said = faults_of(error)
    except (ValueError, RecursionError) as error:
        said = one_line(error, 120)
    raise DataError(f"{path} is not {like}: {said}; get it anew: {record}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key is there twice: {one_line([key for key, _ in pairs])}")
    return found


def check_there(folder: Path, names: Collection[str], record: str) -> None:
    """Raises DataError when some of the files are not in the folder."""
    if missing := sorted({name for name in names if not_a_file(folder / name)}):
        raise DataError(
            f"{len(missing)} of {len(set(names))} clips of the list are not in {folder}, e.g. {missing[0]}: {record}"
        )


def read_waves(folder: Path, names: Sequence[str], sample_rate: int, record: str) -> Tensor:
    """(len(names), nb_samples) float32. Raises DataError naming the first file that cannot be read, is not at
    `sample_rate`, not mono, or not as long as the others."""
    waves: list[np.ndarray] = []
    for path in (folder / name for name in names):
        audio, rate = read_audio(path, remedy=f"get it anew: {record}")
        length = len(waves[0]) if waves else len(audio)
        for what, so in (
            (f"is at {rate} Hz, not {sample_rate}", rate != sample_rate),
            (f"has {audio.shape[1]} channels, not one", audio.shape[1] != 1),
            (f"has {len(audio)} samples where others have {length}", len(audio) != length),
        ):
            if so:
                raise DataError(f"{path} {what}; get it anew: {record}")
        waves.append(audio[:, 0])
    return torch.from_numpy(np.stack(waves))
