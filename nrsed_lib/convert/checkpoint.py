"""Checkpoints of others: read without running anything that is in them, and matched name by name."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nrsed_lib.errors import WeightsError

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

    kind: str
    tensors: dict[str, Tensor]
    architecture: dict[str, Any]
    mapped: dict[str, str]
    left_out: list[str]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a `.pt`, `.ckpt`, `.bin` or `.safetensors` file: tensors, numbers, texts and nothing else.

    Raises WeightsError for a file that is missing or damaged, or whose pickle asks for anything to be run.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is not there: give the path of the downloaded checkpoint")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        with torch.serialization.safe_globals(NUMBERS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        what = f"asks for {asked[1]} to be run" if asked else "is no plain checkpoint"
        raise WeightsError(
            f"{path} is refused: its pickle {what}, and a file of weights needs no code. Nothing of it was run. "
            "Get the file from its publisher again, or one saved with tensors only"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path} is damaged or no checkpoint ({first}): download it again") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a checkpoint's dictionary")
    return content


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Digest of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def require_match(
    found: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], what: str, optional: Iterable[str] = ()
) -> None:
    """Raises WeightsError that lists, by name, tensors missing, unexpected, or of another shape."""
    faults = [
        f"  missing: {name} {list(shape)}"
        for name, shape in expected.items()
        if name not in found and name not in set(optional)
    ]
    faults += [f"  unexpected: {name} {list(value.shape)}" for name, value in found.items() if name not in expected]
    faults += [
        f"  shape of {name}: {list(value.shape)}, where the other tensors make it {list(expected[name])}"
        for name, value in found.items()
        if name in expected and tuple(value.shape) != expected[name]
    ]
    if faults:
        raise WeightsError(
            f"{what}: {len(faults)} tensors do not fit\n" + "\n".join(faults) + "\nremedy: use the published file"
        )


def size_of(state: Mapping[str, Tensor], name: str, axis: int, what: str) -> int:
    """One dimension of a tensor that the sizes of a network are read from."""
    if name not in state:
        raise WeightsError(f"{what}: {name} is missing, from which a size of the network is read; is it another kind?")
    return state[name].shape[axis]


def count(names: Iterable[str], pattern: str) -> int:
    """How many different numbers stand in the place of the group of `pattern`."""
    return len({match[1] for name in names if (match := re.match(pattern, name))})
