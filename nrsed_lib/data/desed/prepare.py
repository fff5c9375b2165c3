"""Notebook 01 for DESED: what is on disk becomes shards in the cache, and the notebook's folder points to them.

Each shard may be made ahead of it by a job of its own (`make_shard`). The shards outlive changes of the code;
those of a list that has changed are removed when nobody takes them any more (`users.py`). A clip that is missing or
cannot be read is left out of the audio, the events and the durations alike, and `results/<profile>/data.csv` says how
many there are; the tests hear the clips that are there in every condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import Clips, Sources, list_digest, load_audio, save_audio
from nrsed_lib.data.desed.audioset import isolated_sounds
from nrsed_lib.data.desed.layout import PARTS, condition_part, listing, parts_of
from nrsed_lib.data.desed.shards import Format, Item, convert, link, path_of
from nrsed_lib.data.desed.users import remove_unwanted, take
from nrsed_lib.data.sources import SPLITS
from nrsed_lib.errors import DataError
from nrsed_lib.paths import cache_root
from nrsed_lib.profile import Data
from nrsed_lib.store import write_table

T = TypeVar("T")
SLACK = 1.5  # s: of clips of 10 s and less, the published events end as late as 11 s
TRAINED_ON = ("strong", "weak", "unlabelled", "validation")


def shard_folder(data: Data) -> Path:
    """Where the shards are kept, in the cache of downloads (NRSED_CACHE)."""
    return cache_root() / f"desed-{data.sample_rate}"


def evenly(names: Sequence[T], nb: int) -> list[T]:
    """All, or `nb` of them at even distances: data.nb_* of a profile are at most that many."""
    return [names[i] for i in np.linspace(0, len(names) - 1, min(nb, len(names))).round().astype(int)]


def wanted(data: Data, split: str) -> dict[str, list[Item]]:
    """What a split is made of: part → the clips of it that are on disk, in the order of the lists."""
    lists = {part: listing(part, data.classes) for part in parts_of(split)}
    keep = set(evenly([(p, n) for p, of in lists.items() for n in of.names], getattr(data, f"nb_{split}")))
    return {p: [Item(n, of.files[n]) for n in of.names if (p, n) in keep and n in of.files] for p, of in lists.items()}


def shards_of(data: Data) -> list[str]:
    """What notebook 01 makes a shard of: splits, the test clips in each condition, isolated sounds."""
    return [*TRAINED_ON, *data.conditions, *(f"sources-{split}" for split in SPLITS)]


def make_shard(run: Run, what: str) -> None:
    """Make one of `shards_of`, for the notebook to find. Raises DataError as `prepare_sounds` does."""
    data = run.profile.data
    _all_there(data)
    if what.startswith("sources-"):
        _sounds(run, what.removeprefix("sources-"), isolated_sounds(data)[0])
    else:
        _clips(run, wanted(data, what) if what in TRAINED_ON else _version(data, what))


def _version(data: Data, condition: str) -> dict[str, list[Item]]:
    """The test clips of a condition, as `wanted`: those of the clean ones that are there in its noise, too."""
    clean = wanted(data, "test")
    if condition == "clean":
        return clean
    part = condition_part(condition)
    files = listing(part, data.classes).files
    return {part: [Item(i.name, files[i.name]) for items in clean.values() for i in items if i.name in files]}


def _clips(run: Run, parts: dict[str, list[Item]]) -> tuple[Path, pd.DataFrame]:
    return _converted(run, [item for items in parts.values() for item in items], "-".join(parts))


def _sounds(run: Run, split: str, sounds: dict[str, list[tuple[Item, str, str]]]) -> tuple[Path, pd.DataFrame]:
    return _converted(run, [item for item, *_ in sounds.get(split, [])], f"sources-{split}", level=True)


def _converted(run: Run, items: list[Item], name: str, level: bool = False) -> tuple[Path, pd.DataFrame]:
    data, folder = run.profile.data, shard_folder(run.profile.data)
    form = Format(data.sample_rate, data.nb_samples, level)
    take(path_of(items, form, folder, name), name, run.folder)
    return convert(items, form, folder, name)


def prepare_sounds(run: Run) -> None:
    """Write all that notebook 01 leaves, clips in noise too, from DESED, AudioSet-Strong and WildDESED on disk.

    What is there is kept.

    Raises DataError naming every part of which nothing is there, and where to get it.
    """
    data = run.profile.data
    _all_there(data)
    rows = []
    for split in TRAINED_ON:
        if not (run.folder / f"{split}.npy").exists():
            _place(run, split, {None: wanted(data, split)})
    if not (run.folder / "test.npy").exists() or not all(_condition(run, c).exists() for c in noisy_conditions(data)):
        _place(run, "test", {None if c == "clean" else c: _version(data, c) for c in data.conditions})
    missing = [split for split in SPLITS if not (run.folder / f"sources-{split}.npy").exists()]
    if missing:
        sounds, table = isolated_sounds(data)
        write_table(run.folder / "sounds.csv", table)
        for split in missing:
            path, index = _sounds(run, split, sounds)
            good = (index["problem"] == "").to_numpy()
            about = [s for s, ok in zip(sounds.get(split, []), good, strict=True) if ok]
            lengths = torch.tensor(index["length"][good].to_numpy(np.int64))
            Sources(
                [i.name for i, *_ in about], [s[1] for s in about], [s[2] for s in about], load_audio(path),
                lengths, data.sample_rate,
            ).save_index(run.folder, split)  # fmt: skip
            link(run.folder / f"sources-{split}.npy", path)
            remove_unwanted(path.parent, f"sources-{split}")
    for split in (*TRAINED_ON, "test"):
        names = Clips.load(run.folder, split).names
        listed = sum(PARTS[p].nb_clips for p in parts_of(split))
        rows.append((split, listed, len(names), list_digest(names)))
    table = pd.DataFrame(rows, columns=["split", "published", "used", "list_hash"])
    write_table(run.tables / "data.csv", table)
    print(table.to_string(index=False))


def cut_short(index: pd.DataFrame, events: pd.DataFrame, data: Data) -> NDArray[np.bool_]:
    """(nb_rows,): the clips of a shard's index that end long before their events, and so are not those labelled."""
    last = index["name"].map(events.groupby("filename")["offset"].max()).to_numpy(float)  # NaN without events
    seconds = index["length"].to_numpy() / data.sample_rate
    return (seconds < data.nb_samples / data.sample_rate) & (last > seconds + SLACK)


def noisy_conditions(data: Data) -> list[str]:
    return [condition for condition, snr in data.conditions.items() if snr is not None]


def _condition(run: Run, condition: str) -> Path:
    return run.folder / f"test_{condition}.npy"


def _all_there(data: Data) -> None:
    """Before hours of conversion: is there anything of every part?"""
    faults = []
    tested = [condition_part(c) for c in noisy_conditions(data)]
    for part in [p for split in (*TRAINED_ON, "test") for p in parts_of(split)] + tested:
        try:
            if not listing(part, data.classes).files:
                faults.append(f"{part}: none of its clips is there ({PARTS[part].folders[0]}/); {PARTS[part].where}")
        except DataError as error:
            faults.append(str(error))
    try:
        isolated_sounds(data)
    except DataError as error:
        faults.append(str(error))
    if faults:
        raise DataError("these data are not there:\n  " + "\n  ".join(faults) + "\n`nrsed data check` says more")


def _place(run: Run, split: str, versions: dict[str | None, dict[str, list[Item]]]) -> None:
    """Convert the versions of a split (None: the split itself; else a condition of it) and point to them.

    Only clips that are good in every version are kept.
    """
    data = run.profile.data
    shards = {version: _clips(run, parts) for version, parts in versions.items()}
    good = {version: index[index["problem"] == ""].set_index("name") for version, (_, index) in shards.items()}
    events = pd.concat([listing(part, data.classes).events for part in versions[None]])
    whole = good[None].index[~cut_short(good[None].reset_index(), events, data)]
    names = [n for n in whole if all(n in table.index for table in good.values())]
    if not names:
        raise DataError(f"no clip of {split!r} can be used in every condition; `nrsed data check` says why")
    events = events[events["filename"].isin(set(names))].fillna({"onset": 0.0, "offset": data.clip_seconds})
    lengths = torch.tensor(good[None].loc[names, "length"].to_numpy(np.int64))
    audio = _rows(shards[None][0], good[None], names)
    clips = Clips(names, audio, events.reset_index(drop=True), tuple(data.classes), data.sample_rate, lengths)
    clips.save_index(run.folder, split)
    for version in [v for v in versions if v is not None]:
        _point(_condition(run, version), shards[version][0], good[version], names)
    _point(run.folder / f"{split}.npy", shards[None][0], good[None], names)  # last: when it is there, all is
    for parts in versions.values():
        remove_unwanted(shard_folder(data), "-".join(parts))


def _rows(shard: Path, good: pd.DataFrame, names: list[str]) -> Tensor:
    """The clips `names` of a shard whose rows are `good`; the memory-mapped shard itself if it has no others."""
    audio = load_audio(shard)
    return audio if list(good.index) == names else audio[torch.from_numpy(good.index.get_indexer(pd.Index(names)))]


def _point(path: Path, shard: Path, good: pd.DataFrame, names: list[str]) -> None:
    if list(good.index) == names:
        link(path, shard)
    else:
        save_audio(path, _rows(shard, good, names))
