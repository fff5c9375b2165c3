"""Where everything lies: the repository, its inputs, results, and what is downloaded or converted.

The variables in FOLDERS name other folders: whole paths, or from where the command was started.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from nrsed_lib.errors import FolderError

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"  # small committed inputs
NOTEBOOKS = ROOT / "notebooks"
REFERENCE = ROOT / "results"  # committed tables and figures, a folder a profile


def results_root() -> Path:
    """Where runs write, a folder a profile: `results/runs/`, beside the committed results and not over them."""
    return _named("NRSED_RESULTS") or REFERENCE / "runs"


def kept_root() -> Path:
    """What people or paid models made and no run makes again, answers and ratings: `results/kept/`."""
    return _named("NRSED_KEPT") or REFERENCE / "kept"


def cache_root() -> Path:
    """Where downloads and what is made of them are kept: `cache/`."""
    return _named("NRSED_CACHE") or ROOT / "cache"


def data_root() -> Path:
    """Where the published data sets lie: `cache/desed/`."""
    return _named("NRSED_DATA") or cache_root() / "desed"


def weights_folder() -> Path:
    """Where converted weights lie: `cache/weights/`."""
    return _named("NRSED_WEIGHTS") or cache_root() / "weights"


def mirror() -> Path | None:
    """Where copies of downloads lie that stand in for the network, if anywhere."""
    return _named("NRSED_MIRROR")


FOLDERS = {
    "NRSED_RESULTS": results_root,
    "NRSED_KEPT": kept_root,
    "NRSED_CACHE": cache_root,
    "NRSED_DATA": data_root,
    "NRSED_WEIGHTS": weights_folder,
    "NRSED_MIRROR": mirror,
}


def settle() -> None:
    """Name every folder by its whole path, for what this process starts elsewhere. Raises FolderError."""
    for variable in FOLDERS:
        if folder := _named(variable):
            os.environ[variable] = str(folder)
        else:
            os.environ.pop(variable, None)


def to_write(variable: str) -> None:
    """Raises FolderError when the folder of a variable in FOLDERS cannot be written to; makes it if it is not there."""
    folder = FOLDERS[variable]() or ROOT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise FolderError(f"{folder}: cannot be written to ({why}); name another in {variable}") from None


def variable_of(path: Path) -> str:
    """The variable that would move a file elsewhere, as its folder in FOLDERS holds it; "" if there is none."""
    with contextlib.suppress(FolderError):
        holding = {root: variable for variable, folder in FOLDERS.items() if (root := folder()) in path.parents}
        return holding[max(holding, key=lambda root: len(str(root)))] if holding else ""
    return ""


def _named(variable: str) -> Path | None:
    """The folder that a variable names, which need not be there; empty is not set.

    Raises FolderError naming the variable when there can be no such folder.
    """
    said = os.environ.get(variable, "")
    if not said.strip():
        return None
    try:
        folder = Path(os.path.normpath(_started_in() / Path(said).expanduser()))
    except (OSError, RuntimeError) as error:  # the working directory is gone; nobody's home is called so
        raise FolderError(f"{variable}={said:.80}: {error}; name a folder by its whole path") from None
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        what = "points to nothing" if there.is_symlink() and not there.exists() else "is no folder"
        raise FolderError(f"{variable}={said:.80}: {there} {what}; name a folder, or unset {variable}")
    return folder


def _started_in() -> Path:
    """The folder of the command. Jupyter moves a kernel to the folder of its notebook, and says it nowhere else."""
    here = Path.cwd()
    return Path(os.environ.get("PWD", here)) if here == NOTEBOOKS else here


def not_a_file(path: Path) -> str:
    """Why `path` cannot be read as a file ("is a folder", …), or "". Opens nothing: a FIFO would wait for ever."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # a loop of links, a name that is too long or has a NUL in it
        reason = "" if isinstance(error, FileNotFoundError) else f" ({getattr(error, 'strerror', error)})"
        return "is missing" + reason
    return "" if stat.S_ISREG(mode) else "is a folder" if stat.S_ISDIR(mode) else "is no regular file"
