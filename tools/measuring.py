"""Measurements as they are taken and kept: each with its machine, its commit, the command and the date."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from nrsed_lib.history import commit, trees_of
from nrsed_lib.run import measurements
from nrsed_lib.run.provenance import kind, machine
from nrsed_lib.store import write_json

TREES = ("nrsed_lib", "tools")  # what a measurement depends on


class Measurement(NamedTuple):
    """on: what it was measured on, in words, e.g. "8 clips of 10 s"."""

    key: str
    value: float
    unit: str
    on: str


def trees() -> dict[str, str]:
    """Git's ids of the code that is measured."""
    return trees_of(TREES)


def add(found: Iterable[Measurement], command: str, threads: int) -> None:
    """Put them in place of those of the same keys and machine; all others stay."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    facts = {"threads": threads, "commit": commit(), "trees": trees(), "date": today, "command": command}
    known = measurements.every()
    known.setdefault(kind(machine()), {}).update(
        {m.key: {"value": m.value, "unit": m.unit, "on": m.on} | facts for m in found}
    )
    write_json(measurements.FILE, known)


def is_current(prefix: str) -> bool:
    """Whether keys of this beginning were measured on this kind of machine with the code as it is now."""
    of = [facts for key, facts in measurements.here().items() if key.startswith(f"{prefix}.")]
    return bool(of) and all(facts["trees"] == trees() and not facts["commit"].endswith("+") for facts in of)
