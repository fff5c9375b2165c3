"""Which state of the code is at work: the commit, and the ids of its folders, which every number names."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Sequence
from typing import Any

from nrsed_lib.paths import ROOT

TREES = ("nrsed_lib", "notebooks", "data")  # what numbers are made by and from


@functools.cache
def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout.strip()


def commit() -> str:
    """The commit, with `+` when the tree differs from it (results aside)."""
    return (_git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if _dirty() else "")


def _dirty() -> bool:
    return bool(_git("status", "--porcelain", "--", ".", ":!results"))


def trees_of(names: Sequence[str]) -> dict[str, str]:
    """The ids of folders of the commit; commits that have the same ids hold the same files, whatever their own."""
    return dict(zip(names, _git("rev-parse", *(f"HEAD:{name}" for name in names)).split(), strict=False))


def made_on() -> dict[str, Any]:
    """The commit, the ids of its trees of code, notebooks and data, and whether what lies there differs from them."""
    return {"commit": commit(), "trees": trees_of(TREES), "dirty": _dirty()}
