"""What was measured where: results/bench/measurements.json, written by `python -m tools.bench`, read by `nrsed plan`.

machine -> key -> a measurement. A key is `<group>.<what>….<quantity>`, such as sizes.beats.float32.time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from nrsed_lib.paths import REFERENCE
from nrsed_lib.run.provenance import commit, kind, machine, trees_of
from nrsed_lib.store import write_json

FILE = REFERENCE / "bench" / "measurements.json"
TREES = ("nrsed_lib", "tools")  # what a measurement depends on
Measured = dict[str, dict[str, Any]]


class Measurement(NamedTuple):
    """on: what it was measured on, in words, e.g. "8 clips of 10 s"."""

    key: str
    value: float
    unit: str
    on: str


def trees() -> dict[str, str]:
    """Git's ids of the code that is measured."""
    return trees_of(TREES)


def every(file: Path | None = None) -> dict[str, Measured]:
    """Machine -> key -> its facts: value, unit, on, threads, commit, trees, date and command."""
    file = file or FILE
    return json.loads(file.read_text()) if file.exists() else {}


def here() -> Measured:
    """What was measured on this kind of machine; with a GPU the host's cores do not matter."""
    this = machine()
    for name, measured in every().items():
        if name == kind(this) or (this["gpu"] and name.startswith(f"{this['gpu']}, ")):
            return measured
    return {}


def add(measurements: Iterable[Measurement], command: str, threads: int) -> None:
    """Put them in place of those of the same keys and machine; all others stay."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    facts = {"threads": threads, "commit": commit(), "trees": trees(), "date": today, "command": command}
    known = every()
    known.setdefault(kind(machine()), {}).update(
        {m.key: {"value": m.value, "unit": m.unit, "on": m.on} | facts for m in measurements}
    )
    write_json(FILE, known)


def is_current(prefix: str) -> bool:
    """Whether keys of this beginning were measured on this kind of machine with the code as it is now."""
    of = [facts for key, facts in here().items() if key.startswith(f"{prefix}.")]
    return bool(of) and all(facts["trees"] == trees() and not facts["commit"].endswith("+") for facts in of)


def values(measured: Measured) -> dict[str, float]:
    return {key: facts["value"] for key, facts in measured.items()}
