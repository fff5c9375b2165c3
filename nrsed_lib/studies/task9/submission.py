"""A submission to DCASE 2024 task 9, written as the rules ask for it (checked by `submission_check.py`).

A system is called `<author>_<institute>_task9_<index>` (its label). In the folder of a submission:

    <author>_<institute>_task9/<label>/<label>.meta.yaml             who, what, how large, with which resources
    <author>_<institute>_task9/<label>/<label>.audio_url.txt         where the zips are: "Google Drive: <link>"
    <author>_<institute>_task9/<label>/<label>.technical_report.pdf  its authors write it
    <author>_<institute>_task9.zip                                   all of the above, to be uploaded
    <author>_<institute>/<label>.synth.zip, <label>.real.zip         separated WAVs, for the shared folder

A zip of WAVs has one for each mixture, under the mixture's name: 16 kHz, mono, as long as the mixture.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Annotated

import soundfile
import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt, ValidationError, model_validator
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.errors import DataError, faults_of, one_line
from nrsed_lib.lass.separator import Separator
from nrsed_lib.store import atomic
from nrsed_lib.studies.task9.evaluation import SETS, mixtures, read_queries
from nrsed_lib.studies.task9.published import NAME, read_text

NB_SYSTEMS = 4  # a team may submit
DEEPEST = 30  # of values in values, in the metadata
REPORT, META, LINK = "technical_report.pdf", "meta.yaml", "audio_url.txt"
LABEL = rf"(?P<team>(?P<who>[A-Za-z0-9-]+_[A-Za-z0-9-]+)_task9)_[1-{NB_SYSTEMS}]"  # of a system
LINK_PATTERN = r"Google Drive: https?://\S+\s*"
Text = Annotated[str, Field(min_length=1)]


# What `nrsed task9 template` writes; a submission of the notebook is filled in from it too.
TEMPLATE: dict = {
    "submission": {
        "label": "Author_INST_task9_1",
        "name": "A name for the results",
        "abbreviation": "ABBR",
        "authors": [
            {
                "lastname": "Author",
                "firstname": "A.",
                "email": "author@example.org",
                "corresponding": True,
                "affiliation": {"abbreviation": "INST", "institute": "Institute", "location": "City, Country"},
            }
        ],
    },
    "system": {
        "description": {
            "input_sampling_rate": 16000,
            "query_encoder": "learned words and letter triples",
            "separator": "ResUNet with DPRNN",
            "loss": "L1 of waveforms",
            "ensemble": False,
        },
        "complexity": {"total_parameters": 1},
        "external_resources": [],
    },
    "results": {"validation_sdr": 0.0},
}


class Section(BaseModel):
    """Fields may be added, as the challenge's form has many that are optional."""

    model_config = ConfigDict(extra="allow")


class Author(Section):
    lastname: Text
    firstname: Text
    email: Annotated[str, Field(pattern=r"^\S+@\S+\.\S+$")]
    corresponding: bool = False
    affiliation: dict[str, str]


class About(Section):
    label: Annotated[str, Field(pattern=f"^{LABEL}$")]
    name: Text
    abbreviation: Annotated[str, Field(min_length=1, max_length=10)]
    authors: list[Author] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_to_write_to(self) -> About:
        if sum(author.corresponding for author in self.authors) != 1:
            raise ValueError("exactly one author must have `corresponding: true`")
        return self


class Description(Section):
    input_sampling_rate: PositiveInt  # Hz
    query_encoder: Text
    separator: Text
    loss: Text
    ensemble: bool


class Complexity(Section):
    total_parameters: PositiveInt


class System(Section):
    description: Description
    complexity: Complexity
    external_resources: list[str]  # every one that was used, [] for none: the rules ask for all


class Results(Section):
    validation_sdr: FiniteFloat  # dB, on the synthetic validation list


class Meta(Section):
    """The metadata of a system, as in its YAML file."""

    submission: About
    system: System
    results: Results


def read_meta(path: Path) -> Meta:
    """Raises DataError naming the file, and each field that is missing or wrong, with what it holds."""
    text = read_text(path, "`nrsed task9 template` writes one to fill in")
    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:  # a few lines may stand for millions
                raise ValueError("a value stands for another by *, or is nested too deep: write it out")
        return Meta.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError) as error:
        said = faults_of(error) if isinstance(error, ValidationError) else f"no YAML: {one_line(error, 200)}"
        raise DataError(f"{path}: {said}") from None


@torch.inference_mode()
def separated(
    separator: Separator, folder: Path, part: str, sample_rate: int, batch: int
) -> Iterator[tuple[str, Tensor]]:
    """Name and track (nb_samples,) of every mixture of an evaluation set, asked for what its list says."""
    device = next(separator.parameters()).device
    with tqdm(total=len(read_queries(folder, part)), desc=part, unit="mixture", mininterval=1.0) as bar:
        for rows, waves in mixtures(folder, part, sample_rate, batch):
            tracks = separator(waves.to(device), separator.embed(rows["query"].tolist()))
            yield from zip(rows.file_name, tracks.cpu(), strict=True)
            bar.update(len(rows))


def places(folder: Path, meta: Meta, link: str, again: bool) -> dict[str, Path]:
    """The zip of each evaluation set, for `write_tracks`.

    Raises DataError when the link is none, or a system of this label is there and is not to be written again.
    """
    if not re.fullmatch(LINK_PATTERN, f"Google Drive: {link}\n"):
        raise DataError(f"--link {one_line(repr(link))}: give an address, https://…")
    name = meta.submission.label
    team, _, _ = name.rpartition("_")
    zips = {part: folder / team.removesuffix("_task9") / f"{name}.{part}.zip" for part in SETS}
    for path in (folder / team / name, *zips.values()):
        if os.path.lexists(path) and not again:
            raise DataError(f"{path} is there already: --again writes over it, or give another folder or label")
    return zips


def write_tracks(path: Path, tracks: Iterable[tuple[str, Tensor]], sample_rate: int) -> None:
    """A zip of 16-bit WAVs; a track beyond full scale is scaled down, not clipped.

    tracks: name and (nb_samples,). Raises DataError naming a track that is none, and leaves what was there.
    """
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, track in tracks:
            if fault := fault_of(name, track, archive.NameToInfo):
                raise DataError(f"{path}: the track {one_line(repr(name))} {fault}: nothing is written")
            file = io.BytesIO()
            samples = (track / track.abs().max().clamp(min=1)).numpy()
            soundfile.write(file, samples, sample_rate, format="WAV", subtype="PCM_16")
            archive.writestr(zipfile.ZipInfo(name), file.getvalue())  # without a date: the same bytes each time


def fault_of(name: str, track: Tensor, there: Collection[str] = ()) -> str:
    """Why a track is none, or ""."""
    if not re.fullmatch(rf"{NAME}(?<=.\.wav)", name):
        return "is not named like a WAV file"
    if name in there:
        return "is there twice"
    if track.ndim != 1 or not len(track) or not track.is_floating_point():
        return f"is {list(track.shape)} of {track.dtype}, not samples in a row: is the separator another?"
    if nb := int((~track.isfinite()).sum()):
        return f"has {nb} of {len(track)} samples that are not finite: the separator's weights are not good"
    return "" if track.any() else "is silent, every sample is zero: the separator's weights are not good"


def write_system(folder: Path, meta: Meta, link: str) -> Path:
    """The folder of a system with its metadata and link, and the team's package with what all its systems have."""
    name = meta.submission.label
    team = name.rpartition("_")[0]
    here = folder / team / name
    texts = {
        META: yaml.safe_dump(meta.model_dump(), sort_keys=False, allow_unicode=True),
        LINK: f"Google Drive: {link}\n",
    }
    for what, text in texts.items():
        with atomic(here / f"{name}.{what}") as temporary:
            temporary.write_text(text)
    pack(folder, team)
    return here


def pack(folder: Path, team: str) -> Path:
    """`<team>.zip` of what is in the folder `team`: call it again when the technical reports are there."""
    path = folder / f"{team}.zip"
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((folder / team).rglob("*")):
            if file.is_file() and not file.name.startswith("."):
                archive.writestr(zipfile.ZipInfo(str(file.relative_to(folder))), file.read_bytes())
    return path
