"""What it costs to read clips of a shard in order and at random, from memory and from disk."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from pathlib import Path

import psutil
import torch
from torch import Tensor

from nrsed_lib.data.clips import load_audio, save_audio


def measure(folder: Path, nb_clips: int, nb_samples: int, batch: int, turns: int) -> dict[str, float]:
    """ "<in_order or at_random>.<memory or disk>" -> seconds for all clips, the median of `turns`, taken by turns.

    Writes a shard (int16 (nb_clips, nb_samples)) into `folder`, whose disk is measured, and removes it. A reader
    takes `batch` rows at a time, as a training does. From disk: after the system was asked to forget the file's
    pages, and only where it then fetched them again; else those two are left out.
    """
    path = folder / "shard.npy"
    generator = torch.Generator().manual_seed(0)
    save_audio(path, torch.randint(-3000, 3000, (nb_clips, nb_samples), dtype=torch.int16, generator=generator))
    orders = {"in_order": torch.arange(nb_clips), "at_random": torch.randperm(nb_clips, generator=generator)}
    spent: dict[str, list[float]] = {f"{order}.{place}": [] for place in ("memory", "disk") for order in orders}
    try:
        read(path, orders["in_order"], batch)  # to have all in memory, and to warm up
        for _ in range(turns):
            for name, seconds in spent.items():
                order, _, place = name.partition(".")
                if place == "disk":
                    forget(path)
                before, start = fetched(), time.perf_counter()
                read(path, orders[order], batch)
                took = time.perf_counter() - start
                if place == "memory" or fetched() - before > 0.9 * path.stat().st_size:
                    seconds.append(took)
    finally:
        path.unlink()
    return {name: statistics.median(seconds) for name, seconds in spent.items() if len(seconds) == turns}


def read(path: Path, rows: Tensor, batch: int) -> int:
    """Take the rows of a shard, mapped anew, `batch` at a time; returns how many samples that were."""
    audio = load_audio(path)
    return sum(audio[some].numel() for some in rows.split(batch))


def forget(path: Path) -> None:
    """Ask the system, if it can be asked, to drop a file's pages from memory. No one may have it mapped."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.fsync(file.fileno())  # what is not on disk yet is not dropped
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def fetched() -> int:
    """Bytes that this process has had fetched from a disk so far; 0 where the system does not tell."""
    with contextlib.suppress(AttributeError, psutil.Error, OSError):
        return psutil.Process().io_counters().read_bytes
    return 0
