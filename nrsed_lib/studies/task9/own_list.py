"""A validation list of the profile's own: held-out sounds in the official format, and mixed in the official way.

Its clips are test sounds, no recording (or draw) of which was heard in training, each in a clip as long as the
pipeline's, at a place of its own and silence around it. Three mixtures ask for each clip, in three phrasings that
no training saw, each in another clip of another class and source, at a whole SNR.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import Sources
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.errors import DataError
from nrsed_lib.store import atomic, noted, write_json, write_table
from nrsed_lib.studies.settings import studies_of
from nrsed_lib.studies.task9.validation_list import ABOUT, AUDIO, COLUMNS, LIST, NB_CAPTIONS
from nrsed_lib.studies.texts.captions import Caption

LEAST = 8  # clips, so that the shortest list finds its noises


def own_list(run: Run, captions: Mapping[str, Caption]) -> Path:
    """The folder of the list, its JSON and its clips, in the notebook's folder; the list is kept in the tables too.

    Made once. Raises DataError when there are too few classes for a clip and three noises.
    """
    folder = run.folder
    clips = [file for file in noted(folder) if file.parent == folder / AUDIO]
    if not all(file.exists() for file in (folder / LIST, folder / ABOUT, *clips)):
        _make(run, captions)
    write_table(run.tables / "task9_validation.csv", pd.read_csv(folder / LIST))
    return folder


def _make(run: Run, captions: Mapping[str, Caption]) -> None:
    folder, settings = run.folder, studies_of(run.profile).task9
    random = np.random.default_rng(run.seed)
    sources = load_sources(run, "test")
    nb_clips = max(-(-settings.nb_validation // NB_CAPTIONS), LEAST)
    chosen = every_class_in_turn(sources, nb_clips, random)
    names = {row: re.sub(r"[^A-Za-z0-9]+", "-", f"{sources.labels[row]}-{row}") for row in chosen}
    kinds, about = sources.kinds, []
    for row in chosen:
        write_clip(folder / AUDIO / f"{names[row]}.wav", sources, row, run.profile.data.nb_samples, random)
        label = sources.labels[row]
        tags = sorted({query_text(label), query_text(kinds[row])})
        about.append({"Index": names[row], "Tags": tags, "Captions": list(captions[label].held_out)})
    write_json(folder / ABOUT, about)
    table = pairs(sources, chosen, settings.validation_snr_db, captions, random)
    table = table.replace({"source": names, "noise": names}).iloc[: settings.nb_validation]
    write_table(folder / LIST, table)  # last: when it is there, all are


def every_class_in_turn(sources: Sources, number: int, random: np.random.Generator) -> list[int]:
    """Rows of `number` sounds (or of all there are): one of every class, then a second one, and so on."""
    order = random.permutation(len(sources))
    turn = pd.Series(np.array(sources.labels)[order]).groupby(np.array(sources.labels)[order]).cumcount()
    return [int(row) for row in order[np.argsort(turn.to_numpy(), kind="stable")][:number]]


def pairs(
    sources: Sources,
    chosen: list[int],
    snr_db: tuple[float, float],
    captions: Mapping[str, Caption],
    random: np.random.Generator,
) -> pd.DataFrame:
    """NB_CAPTIONS rows a chosen sound, with COLUMNS; source and noise are rows of `sources`."""
    kinds, recordings = sources.kinds, sources.recordings
    rows = []
    for row in chosen:
        others = [r for r in chosen if kinds[r] != kinds[row] and recordings[r] != recordings[row]]
        if len(others) < NB_CAPTIONS:
            raise DataError(
                f"{len(others)} clips are of another kind than {sources.labels[row]}, {NB_CAPTIONS} are needed: "
                "name more classes in data.classes or data.noise_classes"
            )
        noises = random.choice(others, NB_CAPTIONS, replace=False)
        snrs = random.integers(round(snr_db[0]), round(snr_db[1]), NB_CAPTIONS, endpoint=True)
        rows += list(zip([row] * NB_CAPTIONS, noises, snrs, captions[sources.labels[row]].held_out, strict=True))
    return pd.DataFrame(rows, columns=COLUMNS)


def write_clip(path: Path, sources: Sources, row: int, nb_samples: int, random: np.random.Generator) -> None:
    """A sound as a 16-bit WAV file of `nb_samples`, placed at random, or cut."""
    length = min(int(sources.lengths[row]), nb_samples)
    start = int(random.integers(0, nb_samples - length, endpoint=True))
    audio = np.zeros(nb_samples, np.int16)
    audio[start : start + length] = sources.audio[row, :length].numpy()
    with atomic(path) as temporary:
        soundfile.write(temporary, audio, sources.sample_rate, subtype="PCM_16")
