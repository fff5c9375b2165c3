"""What is scored in bfloat16 and in float32: the pipeline's own scores, of the same networks, and nothing else."""

import pytest
from typer.testing import CliRunner

from nrsed_lib.artefacts import open_run
from nrsed_lib.data.prepare import load_split
from nrsed_lib.errors import ProfileError, StoreError
from nrsed_lib.evaluate.psds import psds
from nrsed_lib.lass import separator
from nrsed_lib.llm.selection import select
from nrsed_lib.profile import load_profile
from nrsed_lib.run import measurements
from nrsed_lib.run.parts import compute
from nrsed_lib.store import read_tensors
from tools import bench
from tools import precision as room
from tools.precision import precision

SMOKE = load_profile("smoke")


@pytest.fixture(scope="module")
def finished(smoke_data):
    """Notebooks 01 to 06 of the smoke profile, whose `lass.bfloat16` is off."""
    select(open_run("02", SMOKE))
    for notebook in ("03", "04", "05"):
        compute(notebook, SMOKE, 0)
    compute("06", SMOKE, 0, "5dB")
    return open_run("06", SMOKE)


@pytest.fixture
def hardware(monkeypatch):
    """bfloat16 counts as there: what lacks it in hardware computes it all the same, slowly."""
    for module in (room, separator):
        monkeypatch.setattr(module, "has_bfloat16", lambda x: True)


def test_both_precisions_of_the_same_networks(finished, hardware):
    of = {m.key.removeprefix("precision.smoke-seed0.5dB."): m.value for m in precision(finished, ["5dB"], ["1", "3"])}
    kept, _ = read_tensors(finished.folder / "scores_5dB.safetensors")
    for system in ("1", "3"):
        expected = psds(kept[system], load_split(finished, "test"))  # as notebook 06 left them, in float32
        for score in ("psds1", "psds2"):
            low, full = (of[f"{system}.{score}_{p}"] for p in ("bfloat16", "float32"))
            assert full == expected[score] and of[f"{system}.{score}_difference"] == low - full
    assert of["1.frame_difference"] == 0, "nothing is separated, and nothing else computes in bfloat16"
    assert 0 < of["3.frame_difference"] < 0.1


def test_what_is_not_there_is_named(finished, hardware, tmp_path, monkeypatch):
    with pytest.raises(ProfileError, match="smoke has no '0dB': use some of clean, 5dB, -5dB"):
        list(precision(finished, ["0dB"], ["1"]))
    with pytest.raises(ProfileError, match="no '9'"):
        list(precision(finished, ["5dB"], ["9"]))
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    with pytest.raises(StoreError, match=r"test\.npy is missing"):
        list(precision(finished, ["5dB"], ["1"]))


@pytest.mark.parametrize(("words", "status"), [(["--only", "precision"], 1), ([], 0)])
def test_the_command_says_why_it_measures_nothing(tmp_path, monkeypatch, words, status):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    monkeypatch.setattr(measurements, "FILE", tmp_path / "measurements.json")
    monkeypatch.setattr(bench, "BENCHES", {})
    app = bench.typer.Typer()
    app.command()(bench.main)
    for has, why in ((True, "nrsed run --profile smoke --only 01"), (False, "does not multiply bfloat16")):
        monkeypatch.setattr(room, "has_bfloat16", lambda x, has=has: has)
        reply = CliRunner().invoke(app, ["--profile", "smoke", "--condition", "clean", *words])
        assert reply.exit_code == status and why in reply.output and "not measured" in reply.output
    assert not list(tmp_path.glob("measurements*"))
