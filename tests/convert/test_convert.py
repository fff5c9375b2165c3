"""Files that must not be trusted, and the command."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from published import beats_checkpoint, clap_state
from typer.testing import CliRunner

from nrsed_lib.convert.checkpoint import read_checkpoint
from nrsed_lib.convert.convert import check, convert
from nrsed_lib.errors import WeightsError
from nrsed_lib.run.cli import app
from nrsed_lib.store import read_tensors, write_tensors

SMALL = {"nb_layers": 1, "size": 64, "hidden": 96, "nb_heads": 4}


class Hostile:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def hostile_zip(path: Path, mark: Path) -> None:
    """A checkpoint of torch's present format: tensors, and one object that is none."""
    torch.save({"cfg": {}, "model": {"weight": torch.zeros(2), "more": Hostile(mark)}}, path)


def hostile_pickle(path: Path, mark: Path) -> None:
    """A bare pickle, as of before torch 1.6."""
    path.write_bytes(pickle.dumps({"cfg": {}, "model": Hostile(mark)}, protocol=2))


@pytest.mark.parametrize("write", [hostile_zip, hostile_pickle])
def test_a_hostile_pickle_is_refused(write, tmp_path: Path) -> None:
    path, mark = tmp_path / "hostile.pt", tmp_path / "mark"
    write(path, mark)
    with pytest.raises(WeightsError, match=r"hostile\.pt is refused"):
        convert(path, "beats", str(tmp_path / "x.safetensors"))
    assert not mark.exists()
    assert not (tmp_path / "x.safetensors").exists()
    with pytest.raises(FileExistsError):  # that it would have worked: run by pickle, it makes the folder
        load = io.BytesIO(pickle.dumps([Hostile(mark), Hostile(mark)]))
        pickle.load(load)
    assert mark.exists()


def test_what_it_asked_for_is_named(tmp_path: Path) -> None:
    hostile_zip(tmp_path / "h.pt", tmp_path / "mark")
    with pytest.raises(WeightsError, match=rf"asks for {os.mkdir.__module__}\.mkdir to be run.*Nothing of it was run"):
        read_checkpoint(tmp_path / "h.pt")


def test_numpy_numbers_are_no_code(tmp_path: Path) -> None:
    torch.save({"lr": np.float64(0.5), "step": np.int64(3)}, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt") == {"lr": 0.5, "step": 3}


def test_damaged_files_are_named(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "whole.pt")
    (tmp_path / "half.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:2000])
    (tmp_path / "empty.pt").touch()
    (tmp_path / "page.pt").write_text("<html>Sign in to download</html>")
    torch.save([1, 2], tmp_path / "list.pt")
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as file:
        file.writestr("readme", "no checkpoint")
    for name in ("half", "empty", "page", "list", "zip"):
        with pytest.raises(WeightsError, match=rf"{name}\.pt"):
            read_checkpoint(tmp_path / f"{name}.pt")
    with pytest.raises(WeightsError, match=r"none\.pt is not there"):
        read_checkpoint(tmp_path / "none.pt")


def test_an_unknown_kind_is_an_error(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(1)}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="looks like none of beats, audiosep, clap"):
        convert(tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="no kind 'panns'"):
        convert(tmp_path / "a.pt", "panns")
    with pytest.raises(WeightsError, match="no 'cfg' and 'model'"):
        convert(tmp_path / "a.pt", "beats")
    with pytest.raises(WeightsError, match=r"no state_dict with names after 'ss_model\.'"):
        convert(tmp_path / "a.pt", "audiosep")
    with pytest.raises(WeightsError, match=r"word_embeddings\.weight is missing"):
        convert(tmp_path / "a.pt", "clap")


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
