"""What a checkpoint may hold beside tensors, and the command. (What it must not hold: tests/faults.)"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from published import beats_checkpoint, clap_state
from typer.testing import CliRunner

from nrsed_lib.convert.checkpoint import read_checkpoint
from nrsed_lib.convert.convert import check
from nrsed_lib.run.cli import app
from nrsed_lib.store import read_tensors, write_tensors

SMALL = {"nb_layers": 1, "size": 64, "hidden": 96, "nb_heads": 4}


def test_numpy_numbers_are_no_code(tmp_path: Path) -> None:
    torch.save({"lr": np.float64(0.5), "step": np.int64(3)}, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt") == {"lr": 0.5, "step": 3}


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NRSED_WEIGHTS", str(tmp_path / "weights"))
    file = tmp_path / "BEATs_iter3_plus_AS2M.pt"
    checkpoint = beats_checkpoint(**SMALL)
    torch.save(checkpoint, file)
    torch.save(clap_state(nb_layers=1, size=64, hidden=32, nb_words=40), tmp_path / "clap.pt")
    runner = CliRunner()
    told = runner.invoke(app, ["weights", "convert", str(file), "--kind", "beats"])
    assert told.exit_code == 0, told.output
    assert "'nb_layers': 1" in told.output
    assert f"{len(checkpoint['model'])} tensors mapped, 0 left out" in told.output
    assert runner.invoke(app, ["weights", "convert", str(tmp_path / "clap.pt")]).exit_code == 0
    told = runner.invoke(app, ["weights", "check"])
    assert told.exit_code == 0
    table = check().set_index("weights")
    assert table.state.to_dict() == {"audiosep": "missing", "audiosep-dp": "missing", "beats": "good", "clap": "good"}
    assert "nrsed weights convert audiosep_base_4M_steps.ckpt" in table.remedy["audiosep"]

    path = tmp_path / "weights" / "beats.safetensors"
    tensors, about = read_tensors(path)
    tensors["layer_norm.bias"][0] += 1
    write_tensors(path, tensors, **about)
    (tmp_path / "weights" / "other.safetensors").write_bytes(b"nonsense")
    told = runner.invoke(app, ["weights", "check"])
    assert told.exit_code == 1
    state = check().set_index("weights").state
    assert (state["beats"], state["other"], state["clap"]) == ("damaged", "damaged", "good")
