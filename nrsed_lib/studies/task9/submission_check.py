"""Whether a submission keeps the rules of task 9: every breach, by file, and what to do about it."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import soundfile
from tqdm import tqdm

from nrsed_lib.data.audio import opened
from nrsed_lib.errors import DataError, one_line
from nrsed_lib.paths import not_a_file
from nrsed_lib.studies.task9.evaluation import RECORD, SETS, read_queries
from nrsed_lib.studies.task9.published import check_there
from nrsed_lib.studies.task9.submission import LABEL, LINK, LINK_PATTERN, META, NB_SYSTEMS, REPORT, read_meta

SAMPLE_RATE = 16_000
HEADERS, WIDEST = 1 << 16, 16  # bytes of a WAV beside its samples, and of a sample: two channels of 64 bits
# What damaged zips and sounds raise: soundfile's errors, encryption and unknown methods are RuntimeErrors.
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)

Breach = tuple[str, str]  # where, what and remedy


def validate(folder: Path, evaluation: Path) -> pd.DataFrame:
    """Every breach of the rules in the submission in `folder`: columns `where` and `breach`, no row if there is none.

    evaluation: the folder with both evaluation sets (`evaluation`), which say what must be there. Raises
    DataError when that folder is not whole.
    """
    wanted = {part: lengths(evaluation, part) for part in SETS}
    return pd.DataFrame(list(_breaches(folder, wanted)), columns=["where", "breach"])


def lengths(evaluation: Path, part: str) -> dict[str, int]:
    """Name → samples of every mixture of a set. Raises DataError naming a mixture that is missing or unreadable."""
    names, audio, found = list(read_queries(evaluation, part).file_name), evaluation / SETS[part].audio, {}
    check_there(audio, names, RECORD)
    for name in names:
        with opened(audio / name, f"a track's length cannot be checked without it; get it anew: {RECORD}") as sound:
            found[name] = sound.frames
    return found


def _breaches(folder: Path, wanted: dict[str, dict[str, int]]) -> Iterator[Breach]:
    if not folder.is_dir():
        yield str(folder), "no such folder: write one with `nrsed task9 submit`"
        return
    systems = sorted(p.name for p in folder.glob("*_task9/*") if p.is_dir())
    if not systems:
        yield str(folder), "no system in it: expected <author>_<institute>_task9/<author>_<institute>_task9_<index>/"
        return
    if len(systems) > NB_SYSTEMS:
        yield str(folder), f"{len(systems)} systems; at most {NB_SYSTEMS} are allowed: remove {systems[NB_SYSTEMS:]}"
    if len({system.rpartition("_")[0] for system in systems}) > 1:
        yield str(folder), f"systems of several teams, {systems}: one author and institute for all"
    for system in systems:
        match = re.fullmatch(LABEL, system)
        if match is None:
            yield system, f"is not called <author>_<institute>_task9_<1 to {NB_SYSTEMS}>: rename it"
            continue
        yield from _texts(folder / match["team"] / system, system)
        for part, names in wanted.items():
            yield from _tracks(folder / match["who"] / f"{system}.{part}.zip", names)
        yield from _package(folder / f"{match['team']}.zip", folder / match["team"] / system)
    yield from _strangers(folder, systems)


def _texts(here: Path, system: str) -> Iterator[Breach]:
    """Metadata, link and report of a system."""
    if not here.is_dir():
        yield str(here), "is missing: a system's folder lies in that of its team"
        return
    files = {what: here / f"{system}.{what}" for what in (META, LINK, REPORT)}
    missing = {what for what, path in files.items() if not path.is_file()}
    yield from ((str(files[what]), "is missing") for what in sorted(missing))
    yield from (
        (str(p), "is none of the files asked for: remove it") for p in here.iterdir() if p not in files.values()
    )
    if META not in missing:
        try:
            said = read_meta(files[META]).submission.label
            if said != system:
                yield str(files[META]), f"submission.label is {said!r}, the folder {system!r}: make them one"
        except DataError as error:
            yield str(files[META]), str(error)
    if LINK not in missing and not re.fullmatch(LINK_PATTERN, _head(files[LINK], 4096).decode(errors="replace")):
        yield str(files[LINK]), "must be one line, `Google Drive: https://…`"
    if REPORT not in missing and _head(files[REPORT], 5) != b"%PDF-":
        yield str(files[REPORT]), "is not a PDF"


def _head(path: Path, nb_bytes: int) -> bytes:
    with path.open("rb") as file:
        return file.read(nb_bytes)


def _tracks(path: Path, wanted: dict[str, int]) -> Iterator[Breach]:
    """The zip of an evaluation set: exactly the mixtures' names, and each as it must be."""
    if fault := not_a_file(path):
        yield str(path), f"{fault}: a zip of {len(wanted)} separated WAV files"
        return
    try:
        archive = zipfile.ZipFile(path)
    except UNREADABLE as error:
        yield str(path), f"is not a zip: {one_line(error)}"
        return
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        names = [entry.filename for entry in entries]
        times = Counter(names)
        if deep := sorted({name for name in names if len(PurePosixPath(name).parts) > 1}):
            yield str(path), f"{len(deep)} files lie in folders, e.g. {one_line(deep[0])}: put all WAVs at the top"
        if twice := sorted(name for name, nb in times.items() if nb > 1):
            yield str(path), f"{len(twice)} names are there more than once, e.g. {one_line(twice[0])}"
        if missing := sorted(set(wanted) - set(names)):
            yield str(path), f"{len(missing)} of {len(wanted)} mixtures are missing, e.g. {one_line(missing[0])}"
        if extra := sorted(set(names) - set(wanted) - set(deep)):
            yield str(path), f"{len(extra)} files are named like no mixture, e.g. {one_line(extra[0])}"
        for entry in tqdm(entries, desc=path.name, unit="file", mininterval=1.0):
            if entry.filename in wanted and times[entry.filename] == 1:  # else nobody knows which is meant
                yield from _track(archive, entry, f"{path}: {entry.filename}", wanted[entry.filename])


def _track(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, where: str, nb_samples: int) -> Iterator[Breach]:
    if entry.flag_bits & 1:
        yield where, "is encrypted"
        return
    if entry.file_size > (most := HEADERS + WIDEST * nb_samples):
        yield where, f"has {entry.file_size} bytes, where a track of {nb_samples} samples has at most {most}"
        return
    try:
        with soundfile.SoundFile(io.BytesIO(archive.read(entry))) as about:
            samples = about.read(dtype="float32", always_2d=True)
    except UNREADABLE as error:
        yield where, f"cannot be read: {one_line(error)}"
        return
    if about.format not in ("WAV", "WAVEX"):
        yield where, f"is {about.format}, not WAV"
    if about.samplerate != SAMPLE_RATE:
        yield where, f"is at {about.samplerate} Hz, not {SAMPLE_RATE}"
    if about.channels != 1:
        yield where, f"has {about.channels} channels, not one"
    if len(samples) != nb_samples:
        yield where, f"has {len(samples)} samples, its mixture {nb_samples}"
    if nb := int((~np.isfinite(samples)).sum()):
        yield where, f"has {nb} samples that are not finite: separate it again"
    elif not samples.any():
        yield where, "is silent, every sample is zero: separate it again"


def _package(path: Path, here: Path) -> Iterator[Breach]:
    """What is uploaded holds what is in the system's folder."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        yield str(path), "is missing or no zip: `nrsed task9 pack FOLDER` makes it"
        return
    for file in sorted(p for p in here.glob("*") if p.is_file()):
        name = f"{here.parent.name}/{here.name}/{file.name}"
        try:
            with zipfile.ZipFile(path) as archive:
                size = file.stat().st_size
                same = archive.getinfo(name).file_size == size and archive.read(name) == file.read_bytes()
        except (KeyError, *UNREADABLE):
            same = False
        if not same:
            yield f"{path}: {name}", "is not there as it is in the folder: `nrsed task9 pack FOLDER`"


def _strangers(folder: Path, systems: list[str]) -> Iterator[Breach]:
    """Zips of tracks that belong to no system."""
    known = {f"{system}.{part}.zip" for system in systems for part in SETS}
    for path in sorted(folder.glob("*_*/*.zip")):
        if path.name not in known:
            yield str(path), "belongs to no system here: remove it, or add its metadata"
