"""Which shards of the cache are still wanted: those of a list that changed make room.

Each user of shards (the folder of a notebook 01) notes beside them which shard of every name it takes, before that is
made. A shard that no user takes any more is removed; a user whose folder is gone takes none. So profiles that
share a cache keep their shards, and what one of them had of an older list goes.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from nrsed_lib.store import sweep, write_json


def take(shard: Path, name: str, user: Path) -> None:
    """Note that `user` takes `shard` (<name>-<key>.npy, there or yet to be made), and no other of that name."""
    note = _notes(shard.parent, name) / f"{hashlib.sha256(str(user.resolve()).encode()).hexdigest()[:16]}.json"
    with _lock(shard.parent):
        write_json(note, {"user": str(user.resolve()), "shard": shard.stem})


def remove_unwanted(folder: Path, name: str) -> None:
    """Remove the shards of a name, finished or begun, that nobody takes, and what a kill left of those that are done.

    Indexes that `shards.survey` left stay: they are small, and reading every clip again is not. Nothing is removed
    while a note is damaged, which may say that its user takes a shard; that user writes it anew.
    """
    with _lock(folder):
        sweep(folder)
        try:
            wanted = set(_taken(folder, name))
        except (ValueError, LookupError, TypeError):
            return
        for path in folder.iterdir():
            match = re.fullmatch(rf"\.?({re.escape(name)}-[0-9a-f]{{16}})(-[^.]*)?\.(npy|csv|pieces|lock)", path.name)
            if match is None:
                continue
            shard, temporary, kind = match.groups()
            left_over = (temporary or kind == "pieces") and (folder / f"{shard}.csv").exists()
            if shard not in wanted or left_over:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _taken(folder: Path, name: str) -> Iterator[str]:
    for path in _notes(folder, name).glob("[!.]*.json"):  # not what a kill left of one
        note = json.loads(path.read_text())
        if Path(note["user"]).is_dir():
            yield note["shard"]
        else:
            path.unlink()


def _notes(folder: Path, name: str) -> Path:
    return folder / "users" / name


def _lock(folder: Path) -> FileLock:
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "users.lock")
