"""What was measured where: results/bench/measurements.json, written by `python -m tools.bench`, read by `nrsed plan`.

machine -> key -> a measurement. A key is `<group>.<what>….<quantity>`, such as sizes.beats.float32.time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nrsed_lib.paths import REFERENCE
from nrsed_lib.run.provenance import kind, machine

FILE = REFERENCE / "bench" / "measurements.json"
Measured = dict[str, dict[str, Any]]


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


def values(measured: Measured) -> dict[str, float]:
    return {key: facts["value"] for key, facts in measured.items()}
