"""The two evaluation sets of task 9: mixtures without an answer, each with the text that is asked of it.

`lass_synthetic_evaluation.csv` and `lass_real_evaluation.csv` have a row a mixture (file_name, query), whose WAVs
are in `lass_evaluation_synth/` and `lass_evaluation_real/`. A profile's own are laid out alike: mixtures of sounds
that neither training nor the validation list has, and test soundscapes with two kinds of events or more, each
asked for two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from torch import Tensor
from torch.nn.functional import pad

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import FULL_SCALE
from nrsed_lib.data.prepare import load_sources, load_split
from nrsed_lib.store import atomic, write_table
from nrsed_lib.studies.settings import studies_of
from nrsed_lib.studies.task9.own_list import every_class_in_turn, pairs
from nrsed_lib.studies.task9.published import NAME, Faults, check_there, read_table, read_waves
from nrsed_lib.studies.task9.validation_list import mix
from nrsed_lib.studies.texts.captions import captions_of

RECORD = "Zenodo record 11425256: `nrsed data fetch task9-evaluation`"
COLUMNS = ["file_name", "query"]
FAULTS: Faults = {
    "the name was there before": lambda table: table.file_name.str.casefold().duplicated(),
    "no name of a WAV file": lambda table: ~table.file_name.str.fullmatch(rf"{NAME}(?<=.\.wav)"),
}
NB_OWN = {"synth": 12, "real": 12}  # mixtures of a profile's own sets; the challenge's have 3,000 and 200


@dataclass(frozen=True)
class Set:
    """Where a set's list and its mixtures are, in the folder of the challenge's data."""

    list: str
    audio: str


SETS = {
    "synth": Set("lass_synthetic_evaluation.csv", "lass_evaluation_synth"),
    "real": Set("lass_real_evaluation.csv", "lass_evaluation_real"),
}


def read_queries(folder: Path, part: str) -> pd.DataFrame:
    """COLUMNS of a set ("synth" or "real"), a row a mixture; a first column called `wav` will do too.

    Raises DataError naming the file and what is wrong: a missing column, an empty field, a name twice, no WAV name.
    """
    path = folder / SETS[part].list
    return read_table(path, COLUMNS, RECORD, FAULTS, {"wav": "file_name", "caption": "query"})


def mixtures(folder: Path, part: str, sample_rate: int, batch: int) -> Iterator[tuple[pd.DataFrame, Tensor]]:
    """`batch` rows of a set's list at a time, and their mixtures (B, nb_samples) float32.

    Raises DataError naming what is missing, at another rate, of several channels, or of another length.
    """
    table, audio = read_queries(folder, part), folder / SETS[part].audio
    check_there(audio, table.file_name.tolist(), RECORD)
    for start in range(0, len(table), batch):
        rows = table.iloc[start : start + batch]
        yield rows, read_waves(audio, rows.file_name.tolist(), sample_rate, RECORD)


def own_evaluation(run: Run) -> Path:
    """The folder with the profile's own two sets, `evaluation/` in the notebook's folder; made once."""
    folder = run.folder / "evaluation"
    if (folder / SETS["real"].list).exists():
        return folder
    random = np.random.default_rng([run.seed, 1])
    sources, nb_samples = load_sources(run, "validation"), run.profile.data.nb_samples
    captions = captions_of([*run.profile.data.classes, *run.profile.data.noise_classes])
    chosen = every_class_in_turn(sources, NB_OWN["synth"], random)
    table = pairs(sources, chosen, studies_of(run.profile).task9.validation_snr_db, captions, random)
    table = table.iloc[:: len(table) // NB_OWN["synth"]].iloc[: NB_OWN["synth"]]
    waves = [sources.waveforms(table[role].tolist()) for role in ("source", "noise")]
    targets, noises = (pad(wave, (0, nb_samples - wave.shape[1])) for wave in waves)  # or cut
    mixed, _ = mix(targets, noises, torch.tensor(table.snr.to_numpy()))
    _write(folder, "synth", list(table.caption), mixed, run.profile.data.sample_rate)

    clips = load_split(run, "test")
    rows: list[int] = []
    queries: list[str] = []
    for row, labels in enumerate(clips.label_sets):
        if len(labels) >= 2 and len(rows) < NB_OWN["real"]:
            for label in random.choice(sorted(labels), 2, replace=False):
                rows.append(row)
                queries.append(captions[str(label)].held_out[int(random.integers(3))])
    _write(folder, "real", queries, clips.waveforms(rows), clips.sample_rate)
    return folder


def _write(folder: Path, part: str, queries: list[str], audio: Tensor, sample_rate: int) -> None:
    """The WAVs, and last the list."""
    names = [f"test-{part}-case-{i}.wav" for i in range(len(queries))]
    for name, wave in zip(names, audio, strict=True):
        with atomic(folder / SETS[part].audio / name) as temporary:
            peak = float(wave.abs().max())
            soundfile.write(temporary, (wave / max(1.0, peak * FULL_SCALE / (FULL_SCALE - 1))).numpy(), sample_rate)
    write_table(folder / SETS[part].list, pd.DataFrame({"file_name": names, "query": queries}))
