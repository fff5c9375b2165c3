"""What people filled in, a row an answer, as CSV: outside of runs, which never make it again, and written in turn."""

from __future__ import annotations

import contextlib
import csv
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import DataError, one_line
from nrsed_lib.paths import kept_root, results_root
from nrsed_lib.store import atomic, one_at_a_time


def kept_file(run: Run, name: str) -> Path:
    """Where a profile's file of this name is kept; what earlier versions left among the results is copied there."""
    path = kept_root() / "ratings" / run.profile.name / name
    before = results_root() / run.profile.name
    left = [file for folder in (".", "work/*", "work/*/*") for file in before.glob(f"{folder}/{name}")]
    if left and not path.exists():
        with in_turn(path):
            if not path.exists():
                with atomic(path) as temporary:
                    shutil.copyfile(max(left, key=lambda file: file.stat().st_mtime), temporary)
    return path


@contextlib.contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """In the block no other process that asks for it writes `path`. Raises DataError when it cannot be written."""
    try:
        with one_at_a_time(path.with_name(f".{path.name}.lock"), f"another process writes {path}"):
            yield
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error}): make room, or name another folder in NRSED_KEPT"
        ) from None


def read_rows(path: Path, columns: Sequence[str], numbers: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of a file, as texts. numbers: columns of whole numbers.

    Raises DataError naming the file, the line and what is wrong: no table, columns missing, a number that is none.
    """
    try:
        if not path.is_file():  # a pipe would never end
            raise OSError("no file is there, or none that holds data")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows, there = list(reader), reader.fieldnames or []
    except (OSError, ValueError, csv.Error) as error:
        fault = one_line(str(error))
        raise DataError(f"{path} cannot be read ({fault}); mend it, or move it away to begin anew") from None
    if missing := [column for column in columns if column not in there]:
        has = one_line(", ".join(there)) or "none"
        raise DataError(
            f"{path} has no column {', '.join(missing)}; it has {has}: name each in the first line, with commas between"
        )
    for line, row in enumerate(rows, start=2):
        for name in columns:
            if None in row or row[name] is None:
                raise DataError(f"{path}, line {line} has more or fewer cells than the first line; mend that")
            if name in numbers and not re.fullmatch(r"[0-9]{1,9}", row[name]):
                raise DataError(f"{path}, line {line}: {name} is {one_line(repr(row[name]))}; give a whole number")
    return pd.DataFrame(rows, columns=list(columns), dtype=object)
