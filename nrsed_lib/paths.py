"""Where everything lies: the repository, its inputs, results, and what is downloaded or converted.

NRSED_RESULTS, NRSED_KEPT, NRSED_CACHE, NRSED_DATA and NRSED_WEIGHTS name other folders.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"  # small committed inputs
NOTEBOOKS = ROOT / "notebooks"
REFERENCE = ROOT / "results"  # committed tables and figures, a folder a profile


def results_root() -> Path:
    """Where runs write, a folder a profile: `results/runs/`, beside the committed results and not over them."""
    return Path(os.environ.get("NRSED_RESULTS", REFERENCE / "runs"))


def kept_root() -> Path:
    """What people or paid models made and no run makes again, answers and ratings: `results/kept/`."""
    return Path(os.environ.get("NRSED_KEPT", REFERENCE / "kept"))


def cache_root() -> Path:
    """Where downloads and what is made of them are kept: `cache/`."""
    return Path(os.environ.get("NRSED_CACHE", ROOT / "cache"))


def data_root() -> Path:
    """Where the published data sets lie: `cache/desed/`."""
    return Path(os.environ.get("NRSED_DATA", cache_root() / "desed"))


def weights_folder() -> Path:
    """Where converted weights lie: `cache/weights/`."""
    return Path(os.environ.get("NRSED_WEIGHTS", cache_root() / "weights"))
