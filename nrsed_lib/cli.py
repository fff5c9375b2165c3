"""The `nrsed` command: run the companion, see how far it is, check its data."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from nrsed_lib.profile import Profile, ProfileError, load_profile
from nrsed_lib.store import StoreError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
data = typer.Typer(no_args_is_help=True, help="Look at the data of a profile.")
app.add_typer(data, name="data")

ProfileOption = Annotated[str, typer.Option("--profile", "-p", help="mini, open, paper, smoke, or a YAML file")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="key=value, e.g. seed=3 or sed.train.steps=50; may be repeated")
]


@app.command()
def run(
    profile: ProfileOption = "mini",
    only: Annotated[
        list[str] | None, typer.Option("--only", help="a stage, 01 to 08, and what it needs; may be repeated")
    ] = None,
    settings: SetOption = None,
    cores: Annotated[int | None, typer.Option(min=1, help="how many cores to use; all by default")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what is done and what is not")] = False,
) -> None:
    """Run all notebooks of a profile, or some. What is up to date is left; what was killed resumes."""
    from nrsed_lib import pipeline, report

    chosen, overrides = _chosen(profile, settings)
    pipeline.run_all(
        _path(profile), chosen, overrides, only, cores, dry_run, command="nrsed " + shlex.join(sys.argv[1:])
    )
    if not dry_run:
        report.show(chosen)


@app.command()
def status(profile: ProfileOption = "mini", settings: SetOption = None) -> None:
    """Which notebooks are done, stale, begun or missing; seconds and memory of each."""
    from nrsed_lib import pipeline

    typer.echo(pipeline.status(_chosen(profile, settings)[0]).to_string(index=False, na_rep=""))


@app.command("report")
def report_(
    profile: ProfileOption = "mini",
    overrides: Annotated[str, typer.Option(help="dotted keys as JSON")] = "{}",
) -> None:
    """Write the executed notebooks as HTML with an index page (results/<profile>/report/)."""
    from nrsed_lib.report import write_report

    typer.echo(f"report: {write_report(load_profile(_path(profile), json.loads(overrides)))}")


@app.command(hidden=True)
def execute(
    stage: str,
    profile: ProfileOption = "mini",
    overrides: Annotated[str, typer.Option(help="dotted keys as JSON")] = "{}",
    seed: int = 0,
) -> None:
    """Run one notebook (what the Snakefile calls)."""
    from nrsed_lib import pipeline

    values = json.loads(overrides)
    pipeline.execute(stage, _path(profile), load_profile(_path(profile), values), values, seed)


@app.command(hidden=True)
def publish(profile: ProfileOption = "mini") -> None:
    """Copy the outputs of executed notebooks into notebooks/, and the committed results into README.md."""
    from nrsed_lib.readme import write_readme
    from nrsed_lib.report import publish as copy_outputs

    for path in copy_outputs(load_profile(_path(profile))):
        typer.echo(path)
    write_readme()


@data.command()
def check(profile: ProfileOption = "mini", settings: SetOption = None) -> None:
    """Walk what stage 01 left: clips, missing, silent, clipped, and a hash of each clip list."""
    from nrsed_lib.data.check import check_data
    from nrsed_lib.store import Run

    chosen, _ = _chosen(profile, settings)
    typer.echo(check_data(Run(chosen, "01", chosen.seeds[0])).to_string(index=False, na_rep=""))


def _path(profile: str) -> str:
    """Notebooks run in their own folder, so a YAML file is named by its whole path."""
    return str(Path(profile).resolve()) if profile.endswith((".yaml", ".yml")) else profile


def _chosen(profile: str, settings: list[str] | None) -> tuple[Profile, dict[str, Any]]:
    overrides = {}
    for text in settings or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise ProfileError(f"--set {text!r}: write key=value, e.g. --set seed=3")
        overrides[key] = yaml.safe_load(value)
    return load_profile(_path(profile), overrides), overrides


def main() -> None:
    """`nrsed`: an error a user can mend is one clear message, not a traceback."""
    from nrsed_lib.pipeline import PipelineError

    try:
        app()
    except (ProfileError, StoreError, PipelineError) as error:
        typer.echo(f"nrsed: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
