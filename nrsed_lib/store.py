"""Files written whole or not at all, read without running anything in them, and never read when they are damaged.

In a folder of artefacts (`keep_sums`) the SHA-256 of each file is noted before the file takes its place. `whole` tells
whether a file still holds that, and sets aside what does not.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from nrsed_lib.errors import StoreError

if TYPE_CHECKING:  # a run is driven without loading them
    import pandas as pd
    from torch import Tensor


TEMPORARY = re.compile(r"\..+-([a-z0-9_]{8}(\..+)?|\d+)")  # names of files that are not yet in their place
BEGINNING_S = 60  # at most, from a temporary file's beginning until it is held
SUMS = ".sums"  # the folder of notes: for each file its path in the folder of artefacts
_seen: dict[tuple[Path, str], tuple[int, int, int]] = {}  # a file and its noted sums -> as it was when it held them


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Raises StoreError where nothing can be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
        temporary = Path(name)
        with contextlib.suppress(OSError):  # not every file system can
            fcntl.flock(handle, fcntl.LOCK_EX)  # for `sweep`; a kill lets go of it
        yield temporary
        os.chmod(temporary, 0o644)
        place(temporary, path)
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _is_full(path):  # not all say it by number
            raise StoreError(f"{path} cannot be written: the disk is full; make room and run the same again") from error
        if isinstance(error, OSError) and temporary is None:
            raise StoreError(f"{path} cannot be written ({error.strerror}); name a folder that can be") from error
        raise
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)
            os.close(handle)


def sweep(folder: Path) -> None:
    """Remove the temporary files below a folder that nobody holds: what killed processes have left."""
    for file in folder.rglob(".*-*"):
        with contextlib.suppress(OSError):  # held; or gone already
            if TEMPORARY.fullmatch(file.name) and abs(time.time() - file.lstat().st_mtime) > BEGINNING_S:
                if not file.is_symlink():
                    with file.open() as held:
                        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.unlink()


def _is_full(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(path.parent).free < 2**16
    return False


def place(temporary: Path, path: Path) -> None:
    """Put a finished file at `path`, its sum noted first: a kill in between leaves the old file and its old sum."""
    if note := _note(path):
        now = f"{_sha256(temporary)} {temporary.stat().st_size}"
        _write_note(note, "\n".join([now, *_sums(note)]))
    os.replace(temporary, path)
    if note:
        with contextlib.suppress(OSError):  # what it no longer holds does no harm
            _write_note(note, now)
        _seen[path, now] = _stamp(path)


def remove(path: Path) -> None:
    """Remove a file that is no longer needed, and its note."""
    path.unlink(missing_ok=True)
    if note := _note(path):
        note.unlink(missing_ok=True)


def keep_sums(folder: Path) -> None:
    """Make `folder` a folder of artefacts: from now on what each of its files should hold is noted."""
    (folder / SUMS).mkdir(parents=True, exist_ok=True)


def noted(folder: Path) -> list[Path]:
    """The files that were put into a folder of artefacts and not removed since, whether they are there or not; and
    what else lies there, but for what is not finished."""
    notes = {folder / note.relative_to(folder / SUMS) for note in (folder / SUMS).rglob("[!.]*") if note.is_file()}
    there = {file for file in folder.rglob("[!.]*") if file.is_file() and SUMS not in file.parts}
    return sorted(notes | {file for file in there if file.suffix != ".part" and ".damaged-" not in file.name})


def there(path: Path) -> bool:
    """Whether a noted file is there in its full size: a quick look. `whole` reads it."""
    note = _note(path)
    if note is None or not path.is_file():
        return path.is_file()
    return str(path.stat().st_size) in {line.partition(" ")[2] for line in _sums(note)}


def whole(path: Path) -> bool:
    """Whether a file is there and holds what was written to it; outside folders of artefacts, whether it is there.

    A damaged one is set aside beside its place, with a word on it, so that whoever makes it makes it anew. A file is
    read once a process, and again when it has changed.
    """
    note = _note(path)
    while path.is_file():
        if note is None:
            return True
        before, digest = _stamp(path), ""
        sums = _sums(note)
        if _seen.get((path, "\n".join(sums))) == before:
            return True
        digest = f"{_sha256(path)} {before[0]}"
        if digest in (sums := _sums(note)):  # noted before the file is placed: read after the file, it cannot be older
            _seen[path, "\n".join(sums)] = before
            return True
        if path.is_file() and _stamp(path) == before:  # else another process has just placed a new one
            if not sums:
                _write_note(note, "")  # so that it is known to be missing
            set_aside(path, "is damaged" if sums else "is not known to be whole")
            return False
    return False


def set_aside(path: Path, why: str) -> Path:
    """Rename a file that cannot be used, and say so: nothing is thrown away, and its place is free."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    with contextlib.suppress(FileNotFoundError):  # another process was first
        os.replace(path, aside)
        print(f"{path} {why}: set aside as {aside.name}", flush=True)
    return aside


def _note(path: Path) -> Path | None:
    """Where the sum of a file is noted, if it is in a folder of artefacts."""
    for folder in path.parents:
        if (folder / SUMS).is_dir():
            return folder / SUMS / path.relative_to(folder)
    return None


def _sums(note: Path) -> list[str]:
    """What a file may hold, newest first: SHA-256 and size. Several, while one takes the place of another."""
    return note.read_text().splitlines() if note.is_file() else []


def _write_note(note: Path, text: str) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    temporary = note.with_name(f".{note.name}-{os.getpid()}")
    temporary.write_text(text)
    os.replace(temporary, note)


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def one_at_a_time(lock: Path, busy: str) -> Iterator[None]:
    """Hold the file `lock` in the block; while another process holds it, say `busy` and wait for that to end."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        print(f"{busy}; waiting for that to end", flush=True)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def write_json(path: Path, value: Any) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """CSV (or TSV, by the ending) without the index, numbers to six significant digits."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, sep="\t" if path.suffix == ".tsv" else ",", float_format="%.6g")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], **about: Any) -> None:
    """safetensors; `about` is kept as JSON in the header (see `read_tensors`)."""
    from safetensors.torch import save_file

    with atomic(path) as temporary:
        save_file(
            {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, {"about": json.dumps(about)}
        )


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and what was said about them. Never unpickles."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        about = json.loads((file.metadata() or {}).get("about", "{}"))
        return {k: file.get_tensor(k) for k in file.keys()}, about  # noqa: SIM118 (not a dict)


def write_figure(path: Path, figure: Any, *also: str) -> None:
    """also: further forms beside it, e.g. ".pdf" for who wants to look closer or print it."""
    for file in (path, *map(path.with_suffix, also)):
        undated = {"CreationDate": None} if file.suffix == ".pdf" else None  # the same figure is the same file
        with atomic(file) as temporary:
            figure.savefig(temporary, dpi=110, bbox_inches="tight", format=file.suffix[1:], metadata=undated)


def digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
