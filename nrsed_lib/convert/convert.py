"""A published checkpoint → safetensors in the weights folder, with a report of which tensor became which."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError
from torch import Tensor

from nrsed_lib.convert.audiosep import NET, convert_audiosep
from nrsed_lib.convert.beats import convert_beats
from nrsed_lib.convert.checkpoint import Converted, file_sha256, read_checkpoint, require_finite
from nrsed_lib.convert.clap import convert_clap
from nrsed_lib.errors import WeightsError, one_line
from nrsed_lib.paths import weights_folder
from nrsed_lib.store import atomic, digest, write_tensors
from nrsed_lib.weights import KINDS, PUBLISHED, About, content_sha256, read_weights, remedy, weights_path

CONVERTERS: dict[str, Callable[[Mapping[str, Any], str], Converted]] = {
    "beats": convert_beats,
    "audiosep": convert_audiosep,
    "clap": convert_clap,
}


def convert(
    file: Path, kind: str | None = None, out: str | None = None, again: bool = False
) -> tuple[Path, pd.DataFrame]:
    """Convert `file`; return where it went and the report, which is kept beside it as CSV.

    kind: one of KINDS; None: told by the names in the file. out: name in the weights folder, or a path that ends in
    `.safetensors`; None: beats, clap, audiosep, or audiosep-dp where there is a DPRNN. again: replace what is there.
    The report has a row for each published tensor: its name, its name here (empty: left out), and its shape.

    Raises WeightsError naming every tensor that is missing, unexpected, of a wrong shape or not finite, for a file
    that cannot be read without running code, and where something else is already.
    """
    if kind is not None and kind not in KINDS:
        raise WeightsError(f"no kind {one_line(repr(kind))}: use one of {', '.join(KINDS)}")
    given = None if out is None else Path(out) if Path(out).suffix == ".safetensors" else weights_path(out)
    content = read_checkpoint(file)
    done = CONVERTERS[kind or _kind(content, file)](content, str(file))
    require_finite(done, str(file))
    path = given or weights_path("audiosep-dp" if done.architecture.get("dprnn_layers") else done.kind)
    table = pd.DataFrame(
        [(old, new, list(done.tensors[new].shape)) for old, new in done.mapped.items()]
        + [(old, "", None) for old in done.left_out],
        columns=["published", "here", "shape"],
    )
    about = About(
        kind=done.kind, source=file.name, sha256=file_sha256(file), architecture=done.architecture,
        content_sha256=content_sha256(done.tensors),
    ).model_dump(exclude={"digest"})  # fmt: skip
    if again or not _is_there(path, about["content_sha256"]):
        _write(path, table, done.tensors, about | {"digest": digest(about)})
    return path, table


def _is_there(path: Path, content: str) -> bool:
    """Whether these weights have been converted before. Raises WeightsError when something else is in their place."""
    there = [place for place in (path, path.with_suffix(".csv")) if os.path.lexists(place)]
    if not there:
        return False
    what = "and is no report of these weights"
    if path in there:
        try:
            about = read_weights(path)[1]
            if about["content_sha256"] == content:
                return len(there) == 2
            what = f"made from {about['source']}"
        except WeightsError as error:
            what = f"but: {error}"
    raise WeightsError(f"{there[0]} is there already, {what}; --again replaces it, --out gives another name")


def _write(path: Path, table: pd.DataFrame, tensors: Mapping[str, Tensor], about: dict[str, Any]) -> None:
    """Weights and report, both or none."""
    try:
        with atomic(path.with_suffix(".csv")) as temporary:
            table.to_csv(temporary, index=False)
            write_tensors(path, tensors, **about)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path} cannot be written ({error}): make room there, or name another place by --out"
        ) from error


def _kind(content: Mapping[str, Any], file: Path) -> str:
    if {"cfg", "model"} <= set(content):
        return "beats"
    state = content.get("state_dict", content)
    names = [str(name) for name in state] if isinstance(state, Mapping) else []
    if any(name.startswith(NET) for name in names):
        return "audiosep"
    if any("text_branch." in name or "text_model." in name for name in names):
        return "clap"
    raise WeightsError(
        f"{file} looks like none of {', '.join(KINDS)} (it has {one_line(list(content)[:5], 200)}); give --kind"
    )


def check() -> pd.DataFrame:
    """One row for each file in the weights folder and each published one that is not there.

    state: "good", "damaged" (its tensors are not those that were written), or "missing"; SHA-256 of the source.
    """
    rows = []
    here = {path.stem for path in weights_folder().glob("*.safetensors")}
    for name in sorted(here | set(PUBLISHED)):
        row = {"weights": name, "state": "missing", "kind": "", "source": "", "sha256": "", "remedy": ""}
        if name not in here:
            rows.append(row | {"remedy": remedy(name)})
            continue
        path = weights_folder() / f"{name}.safetensors"
        try:
            about = read_weights(path)[1]
        except WeightsError as error:
            rows.append(row | {"state": "damaged", "remedy": str(error)})
            continue
        rows.append(row | {"state": "good"} | {key: about[key] for key in ("kind", "source", "sha256")})
    return pd.DataFrame(rows)
