"""What ran, where, for how long, and in how much memory: the provenance beside every table."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from nrsed_lib.paths import ROOT
from nrsed_lib.store import write_json

MEMORY_EVERY_S = 3  # reading which pages are shared costs the jobs time; their peaks last longer


@contextlib.contextmanager
def watched(name: str, log: Path, folder: Path, file: str = "facts.json") -> Iterator[None]:
    """Print a sign of life every 15 s; keep seconds and peak memory in `file` in the stage's folder."""
    stop, began = threading.Event(), time.monotonic()
    facts_file = folder / file
    peak = 0

    def facts() -> dict[str, Any]:
        return json.loads(facts_file.read_text()) if facts_file.exists() else {}

    before = {"seconds": 0.0}

    def record(finished: bool) -> None:
        if not folder.exists():
            return
        known = facts()
        if known.get("finished") and known.get("began") != stamp:
            return  # made earlier; this execution only showed it again
        if known.get("began") not in (None, stamp):
            before["seconds"] = known["seconds"]  # an earlier execution was killed: its time counts
        write_json(
            facts_file,
            {
                "seconds": round(before["seconds"] + time.monotonic() - began, 3),  # a small training takes little
                "peak_mb": peak,
                "finished": finished,
                "commit": made_on,
                "began": stamp,
                "machine": here,
            },
        )

    # to the microsecond: it tells executions apart, and several may begin in one second
    made_on, stamp = commit(), datetime.now(UTC).isoformat(timespec="microseconds")
    here = kind({"cpu": cpu(), "cores": os.cpu_count(), "gpu": gpu()})

    def watch() -> None:
        nonlocal peak
        ticks = 0
        while not stop.wait(MEMORY_EVERY_S):
            peak, ticks = max(peak, memory_mb()), ticks + 1
            if ticks % 5 == 0:
                record(False)
                print(f"{name}: {ticks * MEMORY_EVERY_S} s  {last_line(log)[:110]}", flush=True)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
        peak = max(peak, memory_mb())
        stop.set()
        thread.join()
        record(True)
        print(f"{name}: done in {time.monotonic() - began:.0f} s", flush=True)
    finally:
        stop.set()


def last_line(log: Path) -> str:
    """What a log says last, a state of a progress bar perhaps; "" of one that says nothing or is not there."""
    text = log.read_text()[-1000:] if log.exists() else ""
    return next((line for line in reversed(re.split(r"[\r\n]|\x1b\[A", text)) if line.strip()), "")


def memory_mb() -> int:
    """Memory of this process and all it started, in MB; a page that several share counts once (Linux)."""
    total = 0
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            memory = process.memory_full_info() if psutil.LINUX else process.memory_info()
            total += getattr(memory, "pss", memory.rss)
    return total // 2**20


def commit() -> str:
    """The commit, with `+` when the tree differs from it (results aside)."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
        ).stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + (
        "+" if git("status", "--porcelain", "--", ".", ":!results") else ""
    )


def cpu() -> str:
    with contextlib.suppress(OSError, StopIteration):
        return next(
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        )
    return platform.processor() or platform.machine()


def gpu() -> str | None:
    """Its name. Loads torch only where there is a device to ask for."""
    if platform.system() == "Linux" and not any(Path("/dev").glob("nvidia[0-9]*")):
        return None
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def kind(here: Mapping[str, Any]) -> str:
    """Of a machine, as far as it tells how long something takes."""
    return f"{here['gpu'] or here['cpu']}, {here['cores']} cores"


def machine() -> dict[str, Any]:
    import torch

    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "gpu": gpu(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.system(),
    }
