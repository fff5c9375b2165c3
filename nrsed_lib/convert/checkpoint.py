"""Checkpoints of others: read without running anything that is in them, and matched name by name."""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from nrsed_lib.errors import WeightsError, one_line
from nrsed_lib.paths import not_a_file
from nrsed_lib.weights import Kind

NB_SHOWN = 12  # faults of a file that are told; the rest is counted

# Numbers of numpy, which older checkpoints have among the optimiser's state: to rebuild them runs nothing.
NUMBERS = [
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    np.dtype,
    *(type(np.dtype(name)) for name in ("bool", "int32", "int64", "float32", "float64")),
]


@dataclass(frozen=True)
class Converted:
    """tensors: under our names. architecture: sizes of the network, read from shapes. mapped: published name → ours.

    left_out: published names that the network has no use for.
    """

    kind: Kind
    tensors: dict[str, Tensor]
    architecture: dict[str, Any]
    mapped: dict[str, str]
    left_out: list[str]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a `.pt`, `.ckpt`, `.bin` or `.safetensors` file: tensors, numbers, texts and nothing else.

    Raises WeightsError for a file that is missing or damaged, or whose pickle asks for anything to be run.
    """
    if fault := not_a_file(path):
        raise WeightsError(f"{path} {fault}: give the path of the downloaded checkpoint")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        what = f"asks for {asked[1]} to be run" if asked else "is no plain checkpoint"
        raise WeightsError(
            f"{path} is refused: its pickle {what}, and a file of weights needs no code. Nothing of it was run. "
            "Get the file from its publisher again, or one saved with tensors only"
        ) from error
    except Exception as error:  # what is in a file of anybody's can make its reader fail in any way
        first = one_line((str(error).splitlines() or [""])[0], 200)
        raise WeightsError(
            f"{path} is damaged or no checkpoint ({type(error).__name__}: {first}): download it again"
        ) from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a checkpoint's dictionary: give another file")
    return content


def _unpickled(path: Path) -> Any:
    """What torch saved. It compresses no tensors: archives hold hardly more than their size."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries, size = archive.infolist(), path.stat().st_size
        climbing = [e.filename for e in entries if e.filename[:1] == "/" or ".." in PurePosixPath(e.filename).parts]
        unpacked = sum(entry.file_size for entry in entries)
        if climbing or unpacked > 2 * size:
            why = (
                f"{one_line(climbing[0])!r} in it lies outside"
                if climbing
                else f"its {size} bytes unpack to {unpacked}"
            )
            raise WeightsError(f"{path} is refused: {why}, as torch writes none; get it from its publisher again")
    with torch.serialization.safe_globals(NUMBERS):
        return torch.load(path, map_location="cpu", weights_only=True)


def state_of(content: Mapping[str, Any], key: str, what: str) -> dict[str, Tensor]:
    """The state dict: under `key`, or the content. Raises WeightsError naming what is no tensor, or no plain one."""
    state = content.get(key, content)
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(f"{what}: its {key} is a {type(state).__name__} with no tensors: use the published file")
    faults = []
    for name, value in state.items():
        if not isinstance(name, str):
            faults.append(f"{one_line(repr(name))}: a name that is a {type(name).__name__}, no text")
        elif not isinstance(value, Tensor):
            faults.append(f"{name}: a {type(value).__name__}, no tensor")
        elif value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized:
            faults.append(f"{name}: {value.dtype}, {value.layout}, on {value.device}, where numbers are kept in a row")
        elif value.untyped_storage().nbytes() < value.numel() * value.element_size():
            faults.append(
                f"{name}: {list(value.shape)}, for which the file has {value.untyped_storage().nbytes()} bytes"
            )
    refuse(what, faults)
    return dict(state)


def refuse(what: str, faults: Sequence[str]) -> None:
    """Raises WeightsError with the first of the faults, a line each."""
    if faults:
        more = [f"… and {len(faults) - NB_SHOWN} more"] if len(faults) > NB_SHOWN else []
        lines = "\n".join(f"  {fault:.200}" for fault in [*faults[:NB_SHOWN], *more])
        raise WeightsError(f"{what}: {len(faults)} tensors do not fit\n{lines}\nremedy: use the published file")


def require_finite(done: Converted, what: str) -> None:
    """Raises WeightsError naming the tensors that hold other than numbers, by their published names."""
    published = {new: old for old, new in done.mapped.items()}
    nb_bad = {name: int((~value.isfinite()).sum()) for name, value in done.tensors.items()}
    refuse(what, [f"{published.get(name, name)}: {nb} of {done.tensors[name].numel()} numbers are not finite"
                  for name, nb in nb_bad.items() if nb])  # fmt: skip
    if not any(value.any() for value in done.tensors.values() if value.ndim > 1):
        raise WeightsError(f"{what}: every weight is zero, so nothing was learned: use the published file")


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def require_match(
    found: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], what: str, optional: Iterable[str] = ()
) -> None:
    """Raises WeightsError that lists, by name, tensors missing, unexpected, of another shape, or not of floats."""
    optional, left = set(optional), [name for name in expected if name not in found]
    faults = [f"missing: {name} {list(expected[name])}" for name in left if name not in optional]
    faults += [f"unexpected: {name} {list(value.shape)}" for name, value in found.items() if name not in expected]
    for name, value in ((name, value) for name, value in found.items() if name in expected):
        if tuple(value.shape) != expected[name]:
            need = f"where the other tensors make it {list(expected[name])}"
            faults.append(f"shape of {name}: {list(value.shape)}, {need}")
        if not (value.is_floating_point() or name.endswith("num_batches_tracked")):
            faults.append(f"type of {name}: {value.dtype}, where weights are floats")
    refuse(what, faults)


def size_of(state: Mapping[str, Tensor], name: str, axis: int, what: str) -> int:
    """One dimension of a tensor that the sizes of a network are read from."""
    if name not in state:
        raise WeightsError(f"{what}: {name} is missing, from which a size of the network is read; is it another kind?")
    shape = list(state[name].shape)
    if len(shape) <= axis or not shape[axis]:
        raise WeightsError(
            f"{what}: {name} is {shape}, from which no size of a network is read: use the published file"
        )
    return shape[axis]


def count(names: Iterable[str], pattern: str) -> int:
    """How many different numbers stand in the place of the group of `pattern`."""
    return len({match[1] for name in names if (match := re.match(pattern, name))})
