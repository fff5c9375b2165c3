"""What ran, where, for how long, and in how much memory: the provenance beside every table."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import runpy
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from nrsed_lib.errors import StoreError, UserError
from nrsed_lib.history import made_on
from nrsed_lib.run.faults import said
from nrsed_lib.store import whole, write_json

MEMORY_EVERY_S = 3  # reading which pages are shared costs the jobs time; their peaks last longer
SIGN_OF_LIFE_EVERY = 5  # of these


@contextlib.contextmanager
def watched(name: str, log: Path, folder: Path, file: str = "facts.json") -> Iterator[None]:
    """Print a sign of life every 15 s; keep seconds, CPU seconds and peak memory in `file` in the notebook's folder.

    What stops the block is said in a file beside `log`, for whoever started this job (`said_of`).
    """
    facts_file, fault = folder / file, log.with_suffix(".error")
    fault.unlink(missing_ok=True)
    # to the microsecond: it tells executions apart, and several may begin in one second
    stamp = datetime.now(UTC).isoformat(timespec="microseconds")
    here = made_on() | {"began": stamp, "machine": kind(machine())}
    began, cpu_began, peak = time.monotonic(), cpu_seconds(), 0
    before = {"seconds": 0.0, "cpu_seconds": 0.0}  # of earlier executions that were killed: their time counts

    def record(finished: bool) -> None:
        if not folder.exists():
            return
        known = json.loads(facts_file.read_text()) if whole(facts_file) else {}
        if known.get("began") not in (None, stamp):
            if known["finished"]:
                return  # made earlier; this execution only showed it again
            before.update({k: known.get(k, 0.0) for k in before})
        took = {"seconds": time.monotonic() - began, "cpu_seconds": cpu_seconds() - cpu_began}
        took = {k: round(before[k] + v, 3) for k, v in took.items()}  # a small training takes little
        write_json(facts_file, {**took, "peak_mb": peak, "finished": finished, **here})

    def watch() -> None:
        nonlocal peak
        ticks = 0
        while not stop.wait(MEMORY_EVERY_S):
            peak, ticks = max(peak, memory_mb()), ticks + 1
            if ticks % SIGN_OF_LIFE_EVERY == 0:
                record(False)
                print(f"{name}: {ticks * MEMORY_EVERY_S} s  {last_line(log)[:110]}", flush=True)

    stop, thread = threading.Event(), threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
        peak = max(peak, memory_mb())
        stop.set()
        thread.join()
        record(True)
        print(f"{name}: done in {time.monotonic() - began:.0f} s", flush=True)
    except Exception as error:
        fault.parent.mkdir(parents=True, exist_ok=True)
        fault.write_text(said(error) if isinstance(error, UserError) else f"{name}: {said(error)}", errors="replace")
        raise
    finally:
        stop.set()


def said_of(log: Path) -> str:
    """What stopped the job that writes `log`; "" if nothing did, or it had no time to say so."""
    fault = log.with_suffix(".error")
    return fault.read_text() if fault.exists() else ""


def last_line(log: Path) -> str:
    """What a log says last, a state of a progress bar perhaps; "" of one that says nothing or is not there.

    Without what would command the terminal on which it is shown.
    """
    text = log.read_text(errors="replace")[-1000:] if log.is_file() else ""
    lines = (re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]|\x1b\[A", text))
    shown = ["".join(c for c in line if c.isprintable()) for line in lines]
    return next((line for line in reversed(shown) if line.strip()), "")


def memory_mb() -> int:
    """Memory of this process and all it started, in MB; a page that several share counts once (Linux)."""
    total = 0
    for process in _family():
        with contextlib.suppress(psutil.Error):
            memory = process.memory_full_info() if psutil.LINUX else process.memory_info()
            total += getattr(memory, "pss", memory.rss)
    return total // 2**20


def cpu_seconds() -> float:
    """User and system time of this process and of all it started, those that have ended included."""
    total = 0.0
    for process in _family():
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            ended = getattr(times, "children_user", 0) + getattr(times, "children_system", 0)  # Unix
            total += times.user + times.system + ended
    return total


def _family() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def run_json(folder: Path) -> dict[str, Any]:
    """What a profile's results say of how they were made; of nothing, where they do not say it.

    Raises StoreError when they cannot be read.
    """
    file = folder / "run.json"
    try:
        return json.loads(file.read_text()) if file.exists() else {"stages": {}, "runs": []}
    except ValueError as error:
        raise StoreError(f"{file} is not JSON ({error}); restore it, or move it away and it is begun anew") from None


def cpu() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
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


def _torch() -> str:
    """Its version and build, without loading it."""
    spec = find_spec("torch")
    assert spec is not None and spec.origin is not None
    return runpy.run_path(str(Path(spec.origin).with_name("version.py")))["__version__"]


def machine() -> dict[str, Any]:
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "gpu": gpu(),
        "python": platform.python_version(),
        "torch": _torch(),
        "system": platform.system(),
    }
