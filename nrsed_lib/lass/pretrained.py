"""Notebook 05 without training: the separator that others trained, from its converted weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import WeightsError
from nrsed_lib.profile import Lass
from nrsed_lib.store import read_tensors, write_table, write_tensors
from nrsed_lib.weights import about_weights, find_weights

HISTORY = ("step", "residual", "entropy")


def take_weights(run: Run, name: str) -> pd.DataFrame:
    """Leave the weights `name` as `separator.safetensors`, and a history of no steps, like `train_separator`.

    Raises WeightsError when they are missing, are no separator's, or of another architecture than the profile's.
    """
    path = find_weights(name)
    about = about_weights(path)
    if about["kind"] != "audiosep":
        raise WeightsError(
            f"{path} holds {about['kind']}, not a separator: set lass.weights to audiosep or audiosep-dp"
        )
    require_architecture(path, about["architecture"], run.profile.lass)
    net = {name: value for name, value in read_tensors(path)[0].items() if name.startswith("net.")}
    history = pd.DataFrame(columns=list(HISTORY), dtype=float)
    write_tensors(run.folder / "separator.safetensors", net, weights=name, sha256=about["sha256"])
    write_table(run.folder / "history.csv", history)
    return history


def require_architecture(path: Path, found: Mapping[str, Any], settings: Lass) -> None:
    """Raises WeightsError naming each setting in which the file and the profile differ."""
    file = {
        "n_fft": 2 * (found["nb_features"] - 1),
        "nb_bands": None,
        "nb_channels": list(found["nb_channels"]),
        "condition_size": found["condition_size"],
        "dprnn_layers": found["dprnn_layers"],
    }
    if found["dprnn_layers"] or settings.dprnn_layers:
        file["dprnn_hidden"] = found["dprnn_hidden"]
    if different := [key for key, value in file.items() if getattr(settings, key) != value]:
        faults = [
            f"  lass.{key}: {file[key]} in the file, {getattr(settings, key)} in the profile" for key in different
        ]
        raise WeightsError(
            f"{path} is not the network of the profile:\n" + "\n".join(faults) + "\nset these to the file's"
        )
