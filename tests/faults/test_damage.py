"""Nothing damaged is used: it is named, set aside, and made again from what came before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from toy import train

from nrsed_lib.artefacts import SHOWN, Run, maker_of, open_run, run_folder, shown_folder
from nrsed_lib.errors import StoreError
from nrsed_lib.profile import load_profile
from nrsed_lib.run.jobs import executed, facts, job_key, jobs, put_right, show, state, status
from nrsed_lib.run.pipeline import provenance, to_do
from nrsed_lib.run.provenance import run_json
from nrsed_lib.series import maker
from nrsed_lib.store import SUMS, atomic, keep_sums, read_tensors, write_json, write_table, write_tensors

SMOKE = load_profile("smoke")


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    return tmp_path


def note_of(path: Path) -> Path:
    (folder,) = (of for of in path.parents if (of / SUMS).is_dir())
    return folder / SUMS / path.relative_to(folder)


def flip(path: Path, at: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 1
    path.write_bytes(content)


# How a file is damaged; whether anything is left to be set aside.
DAMAGES: dict[str, tuple[Callable[[Path], object], bool]] = {
    "cut in half": (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), True),
    "cut by a byte": (lambda p: p.write_bytes(p.read_bytes()[:-1]), True),
    "emptied": (lambda p: p.write_bytes(b""), True),
    "first bit": (lambda p: flip(p, 0), True),
    "a bit in the middle": (lambda p: flip(p, 0.5), True),
    "last bit": (lambda p: flip(p, 1), True),
    "zeros": (lambda p: p.write_bytes(bytes(p.stat().st_size)), True),
    "longer": (lambda p: p.write_bytes(p.read_bytes() + b"\n"), True),
    "a web page": (lambda p: p.write_text("<html>404</html>"), True),
    "not noted": (lambda p: note_of(p).unlink(), True),
    "note cut": (lambda p: note_of(p).write_bytes(note_of(p).read_bytes()[:20]), True),
    "removed": (lambda p: p.unlink(), False),
}
ARTEFACTS = (
    "strong", "weak", "unlabelled", "validation", "test", "test_noise", "test_5dB", "recordings_test", "empty_noise",
    "sources-train", "sources-test", "selection", "theta", "random", "no_curriculum", "full", "separator",
    "scores_clean", "queries_-5dB", "costs", "AudioSep-seed0", "augmented", "captioner",
)  # fmt: skip


def write(path: Path) -> None:
    """Something of its kind."""
    match path.suffix:
        case ".safetensors":
            write_tensors(path, {"weight": torch.arange(12.0)}, seed=0)
        case ".npy":
            with atomic(path) as temporary:
                np.save(temporary, np.arange(12))
        case ".json":
            write_json(path, {"a": 1})
        case _:
            write_table(path, pd.DataFrame({"a": [1, 2, 3]}))


def left(artefact: str) -> Path:
    by, suffix = maker(artefact)
    path = open_run(by, SMOKE).folder / f"{artefact}{suffix}"
    write(path)
    return path


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("artefact", ARTEFACTS)
def test_an_artefact_that_is_damaged_is_named_set_aside_and_made_again(artefact: str, damage: str) -> None:
    path, reader = left(artefact), Run(SMOKE, "12", 0)
    before = reader.find(artefact).read_bytes()
    hurt, stays = DAMAGES[damage]
    hurt(path)
    content = path.read_bytes() if stays else None
    with pytest.raises(StoreError, match=rf"{path.name} is (damaged|missing): .*--only {maker(artefact)[0]}"):
        reader.find(artefact)
    aside = [file.read_bytes() for file in path.parent.glob(f"{path.name}.damaged-*")]
    assert not path.exists() and aside == ([content] if stays else [])
    with pytest.raises(StoreError, match="is missing"):  # and not used after all
        reader.find(artefact)
    assert left(artefact).read_bytes() == before == reader.find(artefact).read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".json", ".tsv"])
def test_a_clip_list_is_as_good_as_its_index(suffix: str, damage: str) -> None:
    audio = left("strong")
    beside = audio.with_suffix(suffix)
    write(beside)
    DAMAGES[damage][0](beside)
    with pytest.raises(StoreError, match=rf"strong\{suffix} is (damaged|missing): .*--only 01"):
        Run(SMOKE, "03", 0).find("strong")
    assert audio.exists() and not beside.exists()
    open_run("01", SMOKE)  # its maker comes back, and asks for the audio: is it there?
    assert not audio.exists(), "the audio is taken for whole, and its list is never made again"


def learn(run: Run) -> list[bytes]:
    return [file.read_bytes() for file in train(run, steps=5)]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "file",
    [("theta.checkpoint.pt",), ("theta.safetensors",), ("history_theta.csv",),
     ("theta.checkpoint.pt", "theta.safetensors"), ("theta.checkpoint.pt", "theta.safetensors", "history_theta.csv")],
    ids=" ".join,
)  # fmt: skip
def test_a_training_of_which_something_is_damaged_comes_to_the_same_bytes(file: tuple[str, ...], damage: str) -> None:
    made = learn(open_run("03", SMOKE))
    for name in file:
        DAMAGES[damage][0](run_folder(SMOKE, "03", 0) / name)
    assert learn(open_run("03", SMOKE)) == made
    assert read_tensors(Run(SMOKE, "04", 0).find("theta"))[0].keys() == {"0.weight", "0.bias", "2.weight", "2.bias"}


def finish(job: tuple[str, int]) -> None:
    """What the execution of a notebook leaves: an artefact, a table, a figure, facts, and the notebook itself."""
    run = open_run(job[0], SMOKE, seed=job[1])
    write(run.folder / "artefact.safetensors")
    write(run.tables / f"{job[0]}.csv")
    write_json(run.folder / "facts.json", {"seconds": 1.0, "cpu_seconds": 1.0, "peak_mb": 1, "finished": True})
    ran = executed(SMOKE, *job)
    keep_sums(ran.parent)
    write_json(ran, {"cells": [], "metadata": {"nrsed": {"key": job_key(SMOKE, *job)}}})
    show(SMOKE, job)


@pytest.fixture
def finished(results: Path) -> list[tuple[str, int]]:
    all_of_it = jobs(SMOKE)
    for job in all_of_it:
        finish(job)
    return all_of_it


LEFT: dict[str, Callable[[tuple[str, int]], Path]] = {
    "artefact": lambda job: run_folder(SMOKE, *job) / "artefact.safetensors",
    "table": lambda job: run_folder(SMOKE, *job) / SHOWN / f"{job[0]}.csv",
    "facts": lambda job: run_folder(SMOKE, *job) / "facts.json",
    "executed notebook": lambda job: executed(SMOKE, *job),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("what", LEFT)
@pytest.mark.parametrize("job", [("01", 0), ("04", 0), ("07", 0)], ids=lambda job: job[0])
def test_a_run_finds_what_is_damaged_and_makes_that_alone_again(finished, what: str, damage: str, job) -> None:
    assert to_do(SMOKE, finished) == []
    DAMAGES[damage][0](LEFT[what](job))
    assert [row["notebook"][:2] for row in status(SMOKE)][:1] == ["01"]  # whatever it is, they can be looked at
    assert to_do(SMOKE, finished) == [job]
    assert state(SMOKE, *job) == "part" and not executed(SMOKE, *job).exists()
    finish(job)
    assert to_do(SMOKE, finished) == []


def test_what_is_shown_is_put_back_and_an_edit_of_it_kept(finished) -> None:
    shown = shown_folder(SMOKE) / "07.csv"
    before = shown.read_bytes()
    shown.unlink()
    assert show(SMOKE, ("07", 0)) == [shown] and shown.read_bytes() == before
    shown.write_text("edited")
    assert show(SMOKE, ("07", 0)) == [shown] and shown.read_bytes() == before
    (kept_one,) = (shown_folder(SMOKE) / "earlier").rglob("07.csv")
    assert kept_one.read_text() == "edited"
    assert show(SMOKE, ("07", 0)) == []


def test_a_table_that_is_no_longer_made_does_not_keep_a_run_from_ending(finished) -> None:
    (run_folder(SMOKE, "07", 0) / SHOWN / "07.csv").unlink()
    assert to_do(SMOKE, finished) == [("07", 0)]
    write_json(executed(SMOKE, "07", 0), {"cells": [], "metadata": {}})  # by a notebook that makes no such table
    assert to_do(SMOKE, finished) == []


@pytest.mark.parametrize("text", ["", "{", '{"stages"', "\x00" * 9, "<html>"], ids=repr)
def test_a_story_that_cannot_be_read_is_named_and_does_not_make_a_run_fail(finished, text: str) -> None:
    file = shown_folder(SMOKE) / "run.json"
    file.write_text(text)
    with pytest.raises(StoreError, match=r"run\.json is not JSON .*move it away"):
        run_json(file.parent)
    assert provenance(SMOKE, {"command": "x"})["runs"] == [{"command": "x"}]
    (aside,) = file.parent.glob("run.json.damaged-*")
    assert aside.read_text() == text


def test_a_note_is_written_before_its_file_so_that_a_kill_in_between_harms_neither(monkeypatch) -> None:
    path = left("theta")
    before = path.read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nrsed_lib.store.os.replace", killed)  # of the note
        with pytest.raises(KeyboardInterrupt):
            write_tensors(path, {"weight": torch.zeros(3)})
    assert Run(SMOKE, "04", 0).find("theta").read_bytes() == before
    with monkeypatch.context() as patch:
        real = __import__("os").replace
        patch.setattr("nrsed_lib.store.os.replace", lambda a, b: real(a, b) if SUMS in str(b) else killed())
        with pytest.raises(KeyboardInterrupt):
            write_tensors(path, {"weight": torch.zeros(3)})
    assert Run(SMOKE, "04", 0).find("theta").read_bytes() == before


def test_a_full_disk_is_one_line_and_harms_nothing(monkeypatch) -> None:
    path = left("theta")
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for where in ("nrsed_lib.store.tempfile.mkstemp", "nrsed_lib.store._write_note", "safetensors.torch.save_file"):
        with monkeypatch.context() as patch:
            patch.setattr(where, full)
            with pytest.raises(StoreError, match=r"theta\.safetensors cannot be written: the disk is full; make room"):
                write_tensors(path, {"weight": torch.zeros(3)})
        assert path.read_bytes() == before and not [*path.parent.glob(".theta-*")]
    with monkeypatch.context() as patch:
        patch.setattr("nrsed_lib.store._write_note", full)
        assert open_run("03", SMOKE).folder == path.parent and maker_of("theta", SMOKE).find("theta") == path
    put_right(SMOKE, ("03", 0))
    assert path.read_bytes() == before and facts(SMOKE, "03", 0) == {}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"table\.csv cannot be written \(.*\); name a folder"):
        write_table(tmp_path / "file" / "table.csv", pd.DataFrame({"a": [1]}))


def test_settings_that_differ_leave_each_others_artefacts_alone(results: Path) -> None:
    """What a papermill run of notebook 03 with other settings does: it opens the notebook, and writes."""
    path = left("theta")
    other = open_run("03", "smoke", {"sed.train.steps": 1000})
    write_tensors(other.folder / "theta.safetensors", {"weight": torch.ones(2)})
    assert read_tensors(path)[0]["weight"].tolist() == [*range(12)]
    assert Run(SMOKE, "04", 0).find("theta") == path
    assert json.loads(json.dumps(str(other.folder))) != str(path.parent)
