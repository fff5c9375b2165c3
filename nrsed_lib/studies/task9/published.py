"""Files of the challenge as they are published: what is missing or damaged is named, with the record to get it from.

A score over the rest would be of another list, so nothing is passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from torch import Tensor

from nrsed_lib.errors import DataError


def read_table(path: Path, columns: list[str], record: str, known_as: dict[str, str] | None = None) -> pd.DataFrame:
    """The columns of a CSV file as texts; spaces after commas do not count. known_as: what else one may be called.

    Raises DataError when the file or a column is missing.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing: {record}")
    table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True).rename(columns=str.strip)
    table = table.rename(columns=known_as or {})
    if absent := [name for name in columns if name not in table]:
        raise DataError(f"{path} has no column {absent}, but {list(table.columns)}; get it anew: {record}")
    return table[columns]


def refuse(path: Path, table: pd.DataFrame, faults: Mapping[str, pd.Series], record: str) -> None:
    """Raises DataError naming the first line that has a fault. faults: what is wrong -> (nb_rows,) bool."""
    for what, bad in faults.items():
        if bad.any():
            row = int(bad.idxmax())
            raise DataError(f"{path}, line {row + 2}: {what}: {table.loc[row].to_dict()}; get it anew: {record}")


def check_there(folder: Path, names: Collection[str], record: str) -> None:
    """Raises DataError when some of the files are not in the folder."""
    if missing := sorted({name for name in names if not (folder / name).is_file()}):
        raise DataError(
            f"{len(missing)} of {len(set(names))} clips of the list are not in {folder}, e.g. {missing[0]}: {record}"
        )


def read_waves(folder: Path, names: Sequence[str], sample_rate: int, record: str) -> Tensor:
    """(len(names), nb_samples) float32. Raises DataError naming the first file that cannot be read, is not at
    `sample_rate`, not mono, or not as long as the others."""
    waves: list[np.ndarray] = []
    for path in (folder / name for name in names):
        try:
            audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise DataError(f"{path} cannot be read ({error}); get it anew: {record}") from error
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
