"""Audio files of others, once and for all: 16 kHz mono int16 in one memory-mapped file (a shard) a set.

A clip is a row, so reading any clip is one read of consecutive bytes. The work is cut into pieces of
`PIECE` clips; each is done by one process and put in place whole, so a killed conversion goes on where it was.
Beside `<name>.npy` lies its index, `<name>.csv`: what was found of every clip, good or not.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from nrsed_lib.data.audio import AudioError, read_audio
from nrsed_lib.data.clips import FULL_SCALE, to_int16
from nrsed_lib.data.recordings import resampled
from nrsed_lib.data.sources import levelled
from nrsed_lib.errors import DataError
from nrsed_lib.processes import each
from nrsed_lib.store import atomic, digest, keep_sums, one_at_a_time, place, whole, write_table

PIECE = 256  # clips: 82 MB of 10 s
SILENT = 1e-4  # rms re full scale: -80 dB
FOUND = ["name", "problem", "rate", "channels", "length", "silent", "clipped"]


@dataclass(frozen=True)
class Item:
    """A clip to be: a file, or `seconds` of it from `start` (s) on."""

    name: str
    path: Path
    start: float = 0.0
    seconds: float | None = None


@dataclass(frozen=True)
class Format:
    """What every row of a shard is. level: at the common level of isolated sounds (`sources.levelled`)."""

    sample_rate: int
    nb_samples: int
    level: bool = False


def key_of(items: Sequence[Item], form: Format) -> str:
    """Changes with the list of clips, the size of a file, or the format; not when the data are moved."""
    return digest(
        [(i.name, i.path.name, _size(i.path), i.start, i.seconds) for i in items],
        (form.sample_rate, form.nb_samples, form.level),
    )


def _size(path: Path) -> int | None:
    with contextlib.suppress(OSError):  # a link that leads nowhere is told as any clip that cannot be read
        return path.stat().st_size
    return None


def path_of(items: Sequence[Item], form: Format, folder: Path, name: str) -> Path:
    """The shard of these clips, whether it is there or not."""
    return folder / f"{name}-{key_of(items, form)}.npy"


def convert(items: Sequence[Item], form: Format, folder: Path, name: str) -> tuple[Path, pd.DataFrame]:
    """Path of the shard (int16, (nb_good, nb_samples), zeros after a clip's end) and its index.

    index: a row an item with FOUND; `problem` is "" for those in the shard, whose rows are in the order of
    the items. length: samples of the clip in the shard, at most nb_samples. What is done is kept. Jobs that
    want the same shard wait for the one that makes it. Raises DataError when the disk is too small.
    """
    path = path_of(items, form, folder, name)
    index, pieces = path.with_suffix(".csv"), path.with_suffix(".pieces")
    with one_at_a_time(path.with_name(f".{path.stem}.lock"), f"{path.stem}: another job converts it"):
        keep_sums(folder)
        if whole(index) and whole(path):
            return path, _read(index)
        nb_bytes = 2 * form.nb_samples * len(items)
        pieces.mkdir(parents=True, exist_ok=True)
        done = sum(p.stat().st_size for p in pieces.iterdir())
        free = shutil.disk_usage(folder).free
        if free < 2 * nb_bytes - done:  # the pieces, and then the whole
            raise DataError(
                f"{name} needs {(2 * nb_bytes - done) / 1e9:.1f} GB in {folder}, which has {free / 1e9:.1f} GB "
                "free; make room, or set NRSED_CACHE to a folder on a larger disk"
            )
        found = _each(items, form, pieces, f"convert {name}")
        nb_good = int((found["problem"] == "").sum())
        if not nb_good:
            why = f"; e.g. {found['name'][0][:80]}: {found['problem'][0]}" if len(found) else ""
            raise DataError(f"{name}: none of {len(items)} clips can be used{why}; `nrsed data check` says what to do")
        _join(path, [pieces / f"{k:05d}.npy" for k in range(-(-len(items) // PIECE))], form, nb_good)
        write_table(index, found)
        shutil.rmtree(pieces)
    return path, _read(index)


def survey(items: Sequence[Item], form: Format, folder: Path, name: str) -> pd.DataFrame:
    """The index that `convert` would write, without writing the audio; found once, then remembered."""
    key = key_of(items, form)
    converted, found = folder / f"{name}-{key}.csv", folder / f"{name}-{key}.found.csv"
    if not (whole(converted) or whole(found)):
        write_table(found, _each(items, form, None, f"check {name}"))
    return _read(converted if converted.exists() else found)


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"name": str, "problem": str}, keep_default_na=False)


def _each(items: Sequence[Item], form: Format, pieces: Path | None, title: str) -> pd.DataFrame:
    if not items:
        return pd.DataFrame(columns=FOUND)
    jobs = [(k, items[k * PIECE : (k + 1) * PIECE]) for k in range(-(-len(items) // PIECE))]
    found: dict[int, pd.DataFrame] = {}
    with tqdm(total=len(items), desc=title, unit="clip", mininterval=1.0) as bar:
        for k, table in each(partial(_piece, form=form, folder=pieces), jobs, nb_cores()):
            found[k] = table
            bar.update(len(table))
    return pd.concat([found[k] for k in sorted(found)], ignore_index=True)


def _piece(job: tuple[int, Sequence[Item]], form: Format, folder: Path | None) -> pd.DataFrame:
    k, items = job
    index = folder / f"{k:05d}.csv" if folder else None
    if index is not None and whole(index) and whole(index.with_suffix(".npy")):
        return _read(index)
    rows, sounds = [], []
    for item in items:
        sound, row = take(item, form)
        rows.append((item.name, *row))
        if row[0] == "":
            sounds.append(sound)
    table = pd.DataFrame(rows, columns=FOUND)
    if folder is not None and index is not None:
        audio = np.zeros((len(sounds), form.nb_samples), np.int16)
        for line, sound in zip(audio, sounds, strict=True):
            line[: len(sound)] = sound
        with atomic(folder / f"{k:05d}.npy") as temporary:
            np.save(temporary, audio)
        write_table(index, table)
    return table


def take(item: Item, form: Format) -> tuple[NDArray[np.int16], tuple[str, int, int, int, bool, bool]]:
    """One clip: int16 (length,) and its row of the index without the name; length <= nb_samples.

    problem, if not "": why it cannot be used. Channels are averaged; what is longer is cut.
    """
    nothing = np.zeros(0, np.int16)
    try:
        wanted = form.nb_samples / form.sample_rate if item.seconds is None else item.seconds
        audio, rate = read_audio(item.path, item.start, wanted)  # (nb, channels)
    except AudioError as error:
        return nothing, (error.reason, 0, 0, 0, False, False)
    channels = audio.shape[1]
    silent = bool(np.sqrt(np.square(audio).mean(dtype=np.float64)) < SILENT)
    full = np.max(np.abs(audio), 1) >= (FULL_SCALE - 1) / FULL_SCALE  # (nb,)
    clipped = bool((full[2:] & full[1:-1] & full[:-2]).any())  # three samples in a row
    if silent and form.level:
        return nothing, ("silent", rate, channels, 0, True, clipped)
    mono = audio.mean(1)
    sound = (mono if rate == form.sample_rate else resampled(mono, rate, form.sample_rate))[: form.nb_samples]
    row = levelled(sound, form.nb_samples) if form.level else to_int16(sound)
    return row, ("", rate, channels, len(row), silent, clipped)


def _join(path: Path, pieces: Sequence[Path], form: Format, nb_rows: int) -> None:
    with atomic(path) as temporary:
        whole = np.lib.format.open_memmap(temporary, "w+", np.int16, (nb_rows, form.nb_samples))
        row = 0
        for piece in tqdm(pieces, desc=f"join {path.stem.rpartition('-')[0]}", unit="piece", mininterval=1.0):
            audio = np.load(piece, mmap_mode="r")
            whole[row : row + len(audio)] = audio
            row += len(audio)
        whole.flush()


def nb_cores() -> int:
    """Cores this process may use: notebook 01 has them to itself."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def link(path: Path, target: Path) -> None:
    """Put a symbolic link to `target` at `path`, in place of what was there."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.symlink_to(target.resolve())
    place(temporary, path)
