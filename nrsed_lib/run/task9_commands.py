"""`nrsed task9`: write a submission to the challenge, and check one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
import yaml

from nrsed_lib.errors import DataError, one_line
from nrsed_lib.run.options import ProfileOption, SetOption, chosen
from nrsed_lib.store import atomic

task9 = typer.Typer(no_args_is_help=True, help="Submissions to DCASE 2024 task 9, language-queried source separation.")

Folder = Annotated[Path, typer.Argument(help="of the submission")]
Evaluation = Annotated[
    Path | None,
    typer.Option(
        help="folder of the evaluation sets: lass_*_evaluation.csv, lass_evaluation_*/; the task's by default"
    ),
]


@task9.command()
def submit(
    folder: Folder,
    meta: Annotated[Path, typer.Option(help="YAML: submission (label, name, authors …), system, results")],
    link: Annotated[str, typer.Option(help="address of the shared folder that will hold the zips")],
    variant: Annotated[str, typer.Option(help="a network that notebook 09 has trained")] = "AudioSep-DP",
    seed: Annotated[int | None, typer.Option(help="of its training; the first by default")] = None,
    profile: ProfileOption = "mini",
    settings: SetOption = None,
    evaluation: Evaluation = None,
    again: Annotated[bool, typer.Option("--again", help="write over the system that is there")] = False,
) -> None:
    """Separate both evaluation sets and write zips, metadata and the package; then check them."""
    from nrsed_lib.artefacts import maker_of
    from nrsed_lib.studies.settings import studies_of
    from nrsed_lib.studies.task9 import submission as make
    from nrsed_lib.studies.task9.development import task9_root
    from nrsed_lib.studies.task9.evaluation import SETS
    from nrsed_lib.studies.task9.study import load_trial
    from nrsed_lib.studies.task9.submission_check import lengths
    from nrsed_lib.studies.task9.variants import variants
    from nrsed_lib.studies.trials import Trial

    about, settled, data = make.read_meta(meta), chosen(profile, settings), evaluation or task9_root()
    if variant not in (known := variants(settled)):
        raise DataError(f"--variant {one_line(repr(variant))}: use one of {', '.join(known)}")
    zips = make.places(folder, about, link, again)
    for part in SETS:
        lengths(data, part)  # before hours of separation
    trial = Trial(variant, studies_of(settled).seeds[0] if seed is None else seed)
    separator, rate = load_trial(maker_of("AudioSep", settled), trial), settled.data.sample_rate
    for part, path in zips.items():
        make.write_tracks(path, make.separated(separator, data, part, rate, settled.evaluate.batch), rate)
    typer.echo(make.write_system(folder, about, link))
    validate(folder, evaluation)


@task9.command()
def template(path: Annotated[Path, typer.Argument(help="YAML file to write")]) -> None:
    """Write metadata to fill in."""
    from nrsed_lib.studies.task9.submission import TEMPLATE

    if os.path.lexists(path):
        raise DataError(f"{path} is there: remove it or name another")
    with atomic(path) as temporary:
        temporary.write_text(yaml.safe_dump(TEMPLATE, sort_keys=False))
    typer.echo(path)


@task9.command()
def pack(folder: Folder) -> None:
    """Zip the teams' packages anew, e.g. when the technical reports are there."""
    from nrsed_lib.studies.task9.submission import pack as make

    teams = sorted(p.name for p in folder.glob("*_task9") if p.is_dir())
    if not teams:
        raise DataError(f"{folder} has no <author>_<institute>_task9/: write a submission with `nrsed task9 submit`")
    for team in teams:
        typer.echo(make(folder, team))


@task9.command()
def validate(folder: Folder, evaluation: Evaluation = None) -> None:
    """Name every breach of the rules in a submission. Status 1 if there is one."""
    from nrsed_lib.studies.task9.development import task9_root
    from nrsed_lib.studies.task9.submission_check import validate as look

    breaches = look(folder, evaluation or task9_root())
    for where, breach in breaches.itertuples(index=False):
        typer.echo(f"{where}: {breach}")
    typer.echo(f"{len(breaches)} breaches of the rules in {folder}")
    if len(breaches):
        raise typer.Exit(1)
