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
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import soundfile
import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.errors import DataError
from nrsed_lib.lass.separator import Separator
from nrsed_lib.store import atomic
from nrsed_lib.studies.task9.evaluation import mixtures, read_queries

NB_SYSTEMS = 4  # a team may submit
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
    validation_sdr: float  # dB, on the synthetic validation list


class Meta(Section):
    """The metadata of a system, as in its YAML file."""

    submission: About
    system: System
    results: Results


def read_meta(text: str, where: str) -> Meta:
    """Raises DataError naming the file, and each field that is missing or wrong, with what it holds."""
    try:
        return Meta.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise DataError(f"{where} is not YAML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise DataError(f"{where}: {faults}") from None


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


def write_tracks(path: Path, tracks: Iterable[tuple[str, Tensor]], sample_rate: int) -> None:
    """A zip of 16-bit WAVs; a track beyond full scale is scaled down, not clipped."""
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, track in tracks:
            file = io.BytesIO()
            samples = (track / track.abs().max().clamp(min=1)).numpy()
            soundfile.write(file, samples, sample_rate, format="WAV", subtype="PCM_16")
            archive.writestr(zipfile.ZipInfo(name), file.getvalue())  # without a date: the same bytes each time


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
