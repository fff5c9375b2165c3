"""`nrsed weights`: convert published checkpoints, and see which are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nrsed_lib.weights import KINDS, about_weights

weights = typer.Typer(no_args_is_help=True, help="Convert published weights, and see which are there.")


@weights.command()
def convert(
    file: Annotated[Path, typer.Argument(help="a published checkpoint; nothing in it is run")],
    kind: Annotated[str | None, typer.Option(help=f"{', '.join(KINDS)}; told by the file's names by default")] = None,
    out: Annotated[
        str | None, typer.Option(help="name in the weights folder, or a path ending in .safetensors")
    ] = None,
) -> None:
    """Make safetensors of a checkpoint, and say which tensor became which."""
    from nrsed_lib.convert.convert import convert as make

    path, report = make(file, kind, out)
    left_out = report[report.here == ""].published
    about = about_weights(path)
    typer.echo(f"{file.name} (sha256 {about['sha256']})\n  is {about['kind']}, {about['architecture']}")
    typer.echo(
        f"  {len(report) - len(left_out)} tensors mapped, {len(left_out)} left out: see {path.with_suffix('.csv')}"
    )
    typer.echo(f"  {path}")


@weights.command()
def check() -> None:
    """Each file: good, damaged or missing; its source and SHA-256; where to get it. Status 1 if one is damaged."""
    from nrsed_lib.convert.convert import check as look

    table = look()
    typer.echo(table.to_string(index=False))
    if (table.state == "damaged").any():
        raise typer.Exit(1)
