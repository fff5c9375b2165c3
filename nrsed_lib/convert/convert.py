"""A published checkpoint → safetensors in the weights folder, with a report of which tensor became which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nrsed_lib.convert.audiosep import NET, convert_audiosep
from nrsed_lib.convert.beats import convert_beats
from nrsed_lib.convert.checkpoint import Converted, content_sha256, file_sha256, read_checkpoint
from nrsed_lib.convert.clap import convert_clap
from nrsed_lib.errors import WeightsError
from nrsed_lib.store import read_tensors, write_table, write_tensors
from nrsed_lib.weights import KINDS, PUBLISHED, about_weights, remedy, weights_folder

CONVERTERS: dict[str, Callable[[Mapping[str, Any], str], Converted]] = {
    "beats": convert_beats,
    "audiosep": convert_audiosep,
    "clap": convert_clap,
}


def convert(file: Path, kind: str | None = None, out: str | None = None) -> tuple[Path, pd.DataFrame]:
    """Convert `file`; return where it went and the report, which is kept beside it as CSV.

    kind: one of KINDS; None: told by the names in the file. out: name in the weights folder, or a path that ends in
    `.safetensors`; None: beats, clap, audiosep, or audiosep-dp where there is a DPRNN. The report has a row for each
    published tensor: its name, its name here (empty: left out), and its shape.

    Raises WeightsError naming every tensor that is missing, unexpected, or of a wrong shape, and for a file that
    cannot be read without running code.
    """
    if kind is not None and kind not in KINDS:
        raise WeightsError(f"no kind {kind!r}: use one of {', '.join(KINDS)}")
    content = read_checkpoint(file)
    done = CONVERTERS[kind or _kind(content, file)](content, str(file))
    name = out or ("audiosep-dp" if done.architecture.get("dprnn_layers") else done.kind)
    path = Path(name) if name.endswith(".safetensors") else weights_folder() / f"{name}.safetensors"
    report = pd.DataFrame(
        [(old, new, list(done.tensors[new].shape)) for old, new in done.mapped.items()]
        + [(old, "", None) for old in done.left_out],
        columns=["published", "here", "shape"],
    )
    write_table(path.with_suffix(".csv"), report)
    write_tensors(
        path,
        done.tensors,
        kind=done.kind,
        source=file.name,
        sha256=file_sha256(file),
        architecture=done.architecture,
        content_sha256=content_sha256(done.tensors),
    )
    return path, report


def _kind(content: Mapping[str, Any], file: Path) -> str:
    if {"cfg", "model"} <= set(content):
        return "beats"
    names = content.get("state_dict", content)
    if any(str(name).startswith(NET) for name in names):
        return "audiosep"
    if any("text_branch." in str(name) or "text_model." in str(name) for name in names):
        return "clap"
    raise WeightsError(f"{file} looks like none of {', '.join(KINDS)} (it has {list(content)[:5]} …); give --kind")


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
            about = about_weights(path)
            good = content_sha256(read_tensors(path)[0]) == about.get("content_sha256")
        except WeightsError as error:
            rows.append(row | {"state": "damaged", "remedy": str(error)})
            continue
        row |= {"kind": about["kind"], "source": about["source"], "sha256": about["sha256"]}
        rows.append(row | ({"state": "good"} if good else {"state": "damaged", "remedy": remedy(name)}))
    return pd.DataFrame(rows)
