"""Real recordings: from their public URLs to isolated sounds, split by source.

`data/recordings.csv` lists them: url, sha256, bytes, role, label, source, licence.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from pathlib import Path
from typing import Annotated, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import StringConstraints
from scipy.signal import firwin, resample_poly
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.activity import active_regions
from nrsed_lib.data.audio import read_audio
from nrsed_lib.data.clips import Sources
from nrsed_lib.data.download import File, fetch_all
from nrsed_lib.data.soundscapes import generator
from nrsed_lib.data.sources import SPLITS, Named, levelled, pack
from nrsed_lib.data.tables import read_rows
from nrsed_lib.errors import DataError
from nrsed_lib.paths import DATA
from nrsed_lib.profile import Data
from nrsed_lib.store import write_table

# Of the sources of a class: shares of test and validation, the rest is for training.
TEST_SHARE, VALIDATION_SHARE = 0.3, 0.1
MIN_TEST = 3  # test sources of a target class
# Resampling filter: lobes of the sinc a side, cut-off as a share of the lower Nyquist frequency.
NB_LOBES, ROLLOFF = 32, 0.955
# A pause longer than this ends a sound. Noise is kept in one piece: a clock is its pauses, too.
MAX_GAP = {"target": 0.5, "noise": np.inf}


Sound = NDArray[np.float32]


class Recording(File):
    """A row of `data/recordings.csv`. source: recordings that share it are of one occasion, or one animal."""

    role: Literal["target", "noise"]
    source: Annotated[str, StringConstraints(pattern=r"^[^/]*[^/\s][^/]*$")]  # the first part of its sounds' names


def listed(data: Data) -> pd.DataFrame:
    """The rows of data/recordings.csv that a profile uses.

    Raises DataError naming one that breaks a rule, or the classes that have none.
    """
    rows = [row.model_dump() for row in read_rows(DATA / "recordings.csv", Recording, "url")]
    table = pd.DataFrame(rows, columns=list(Recording.model_fields))
    wanted = {"target": data.classes, "noise": data.noise_classes}
    keep = [label in wanted[role] for role, label in zip(table.role, table.label, strict=True)]
    if lost := sorted({*data.classes, *data.noise_classes} - {*table.label[keep]}):
        raise DataError(f"{DATA / 'recordings.csv'} has no recording of {lost}; restore it")
    return table[keep].reset_index(drop=True)


def grouped(table: pd.DataFrame) -> NDArray[np.int64]:
    """Group number of each row: rows that share a source or a hash, also through others, are one group."""
    nb = len(table)
    keys = [pd.factorize(table[column])[0] for column in ("source", "sha256")]
    nodes = np.concatenate([keys[0], keys[1] + keys[0].max() + 1])  # rows meet in the nodes of their source and hash
    edges = coo_array((np.ones(2 * nb), (np.tile(np.arange(nb), 2), nodes + nb)), shape=(nb + nodes.max() + 1,) * 2)
    return connected_components(edges, directed=False)[1][:nb].astype(np.int64)


def split_by_source(table: pd.DataFrame, seed: int) -> list[str]:
    """The split of each row: whole groups, stratified by class, rarest classes first.

    A class has ~30 % of its sources in test (a target class at least 3) and ~10 % in validation (at
    least 1). Of the noise classes with a single source, every other one is for test, the rest for
    training.

    Raises DataError naming a target class with too few sources.
    """
    group = grouped(table)
    rng = generator(seed, "split")
    of_group: dict[int, str] = {}
    counts = pd.DataFrame({"role": table.role, "label": table.label, "group": group}).drop_duplicates()
    sizes = counts.groupby(["role", "label"]).size().sort_values(kind="stable")
    singles = 0
    for key, nb in sizes.items():
        role, label = cast(tuple[str, str], key)
        groups = counts.group[(counts.role == role) & (counts.label == label)].tolist()
        if role == "target" and nb < MIN_TEST + 2:
            raise DataError(
                f"class {label!r} has {nb} sources; splitting needs at least {MIN_TEST + 2}: add recordings"
            )
        order = ["train", "test"][singles % 2 :] if nb == 1 else _shares(nb, MIN_TEST if role == "target" else 1)
        singles += nb == 1
        for taken in (of_group[g] for g in groups if g in of_group):  # shared with a class that was dealt before
            if taken in order:
                order.remove(taken)
        for g, split in zip((int(g) for g in rng.permutation(groups) if g not in of_group), order, strict=False):
            of_group[g] = split
    return [of_group[g] for g in group]


def _shares(nb: int, min_test: int) -> list[str]:
    nb_test = max(min_test, round(TEST_SHARE * nb))
    nb_validation = max(1, round(VALIDATION_SHARE * nb)) if nb > 2 else 0
    return ["test"] * nb_test + ["validation"] * nb_validation + ["train"] * (nb - nb_test - nb_validation)


def decode(path: Path, sample_rate: int) -> Sound:
    """A recording as mono float32 (nb_samples,) at `sample_rate`, resampled without aliasing.

    Raises DataError naming a file that cannot be read (`audio.py`), or is silent.
    """
    audio, rate = read_audio(path, remedy="delete it and run again, or remove it from the list")
    if not audio.any():
        raise DataError(f"{path} is silent; remove it from the list")
    return resampled(audio.mean(1), rate, sample_rate)


def resampled(sound: Sound, rate: int, sample_rate: int) -> Sound:
    """Polyphase resampling from `rate` to `sample_rate` Hz, both whole numbers. 44.1 to 16 kHz: flat to
    7 kHz, -3 dB at 7.5 kHz; what would alias is 30 dB down from 8.1 kHz and 100 dB from 8.5 kHz.
    """
    step = gcd(rate, sample_rate)
    up, down = sample_rate // step, rate // step
    most = max(up, down)
    lowpass = firwin(2 * NB_LOBES * most + 1, ROLLOFF / most, window=("kaiser", 10.0)).astype(np.float32)
    return resample_poly(sound, up, down, window=lowpass)


def pieces(sound: Sound, sample_rate: int, max_gap: float, max_seconds: float) -> list[Sound]:
    """The active regions of a recording, long ones cut into equal pieces of at most `max_seconds`."""
    limit = round(max_seconds * sample_rate)
    regions = [sound[r] for r in active_regions(sound, sample_rate, max_gap)]
    return [piece for region in regions for piece in np.array_split(region, -(-len(region) // limit))]


def prepare_sounds(run: Run) -> None:
    """Write the sounds of each split that are not there yet, and results/<profile>/recordings.csv: which recording
    went where, with its source and licence."""
    missing = [split for split in SPLITS if not (run.folder / f"sources-{split}.npy").exists()]
    if missing or not (run.folder / "recordings.csv").exists():
        sources, table = recorded_sources(run.profile.data, run.seed)
        write_table(run.folder / "recordings.csv", table)
        for split in missing:
            sources[split].save(run.folder, split)
    write_table(run.tables / "recordings.csv", pd.read_csv(run.folder / "recordings.csv"))


def recorded_sources(data: Data, seed: int) -> tuple[dict[str, Sources], pd.DataFrame]:
    """Sounds of each split, and the table of recordings with the split each went to.

    The table has the columns of data/recordings.csv, then split, nb_parts and seconds kept.
    """
    table = listed(data)
    table["split"] = split_by_source(table, seed)
    paths = fetch_all(zip(table.url, table.sha256, table.bytes, strict=True), title="recordings")
    first = ~table.duplicated(["sha256", "label"]).to_numpy()  # the same file under two names is heard once
    sounds: dict[str, list[Named]] = {split: [] for split in SPLITS}
    kept: list[Sequence[float]] = []
    rows = zip(paths, table.to_dict("records"), first, strict=True)
    for path, row, new in tqdm(rows, total=len(table), desc="decode", unit="file", mininterval=1.0):
        whole = decode(path, data.sample_rate) if new else np.zeros(0, np.float32)
        parts = pieces(whole, data.sample_rate, MAX_GAP[row["role"]], data.clip_seconds) if new else []
        stem = f"{row['source']}/{path.stem}"
        named = ((f"{stem}/{k}", row["label"], row["role"], levelled(part, len(part))) for k, part in enumerate(parts))
        sounds[row["split"]] += named
        kept.append((len(parts), sum(map(len, parts)) / data.sample_rate))
    table[["nb_parts", "seconds"]] = kept
    table["nb_parts"] = table.nb_parts.astype(int)
    return {split: pack(sounds[split], data.sample_rate) for split in SPLITS}, table
