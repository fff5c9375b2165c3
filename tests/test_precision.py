"""What is scored in bfloat16 and in float32: the pipeline's own scores, of the same networks, and nothing else."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from nrsed_lib.artefacts import open_run
from nrsed_lib.data.prepare import load_split
from nrsed_lib.errors import ProfileError, StoreError
from nrsed_lib.evaluate.psds import psds
from nrsed_lib.lass import separator
from nrsed_lib.llm.selection import select
from nrsed_lib.profile import load_profile
from nrsed_lib.run.parts import compute
from nrsed_lib.store import read_tensors
from tools import precision
from tools.precision import compare, report

SMOKE = load_profile("smoke")


@pytest.fixture(scope="module")
def finished(smoke_data):
    """Stages 01 to 06 of the smoke profile, whose `lass.bfloat16` is off."""
    select(open_run("02", SMOKE))
    for stage in ("03", "04", "05"):
        compute(stage, SMOKE, 0)
    compute("06", SMOKE, 0, "5dB")
    return open_run("06", SMOKE)


@pytest.fixture
def hardware(monkeypatch):
    """bfloat16 counts as there: what lacks it in hardware computes it all the same, slowly."""
    for module in (precision, separator):
        monkeypatch.setattr(module, "has_bfloat16", lambda x: True)


def test_both_precisions_of_the_same_networks(finished, hardware):
    table = compare(finished, ["5dB"], ["1", "3"]).set_index("system")
    kept, _ = read_tensors(finished.folder / "scores_5dB.safetensors")
    for system, row in table.iterrows():
        expected = psds(kept[system], load_split(finished, "test"))  # as stage 06 left them, in float32
        assert (row["psds1_float32"], row["psds2_float32"]) == (expected["psds1"], expected["psds2"])
        assert row["psds1_difference"] == row["psds1_bfloat16"] - row["psds1_float32"]
    assert table.loc["1", "frame_difference"] == 0, "nothing is separated, and nothing else computes in bfloat16"
    assert 0 < table.loc["3", "frame_difference"] < 0.1
    text = report(SMOKE, table.reset_index())
    assert f"seed {finished.seed}, made at commit" in text and f"| #3 | 5dB | {finished.seed} |" in text


def test_what_is_missed_is_said(finished, hardware):
    table = compare(finished, ["5dB"], ["3"])
    ahead, behind = table.assign(psds2_difference=0.002), table.assign(psds2_difference=-0.003, seed=1)
    assert "is 0.0020, within the goal of 0.002." in report(SMOKE, ahead)
    both = report(SMOKE, pd.concat([ahead, behind]))
    assert "is 0.0030, beyond the goal of 0.002; 0.0005 of a mean over seeds, within the goal of 0.002." in both


def test_what_is_not_there_is_named(finished, hardware, tmp_path, monkeypatch):
    with pytest.raises(ProfileError, match="smoke has no '0dB': use some of clean, 5dB, -5dB"):
        compare(finished, ["0dB"], ["1"])
    with pytest.raises(ProfileError, match="no '9'"):
        compare(finished, ["5dB"], ["9"])
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    with pytest.raises(StoreError, match=r"test\.npy is missing"):
        compare(finished, ["5dB"], ["1"])


@pytest.mark.parametrize(("words", "status"), [([], 1), (["--if-there"], 0)])
def test_the_command_says_why_it_measures_nothing(tmp_path, monkeypatch, words, status):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    monkeypatch.setattr(precision, "BENCH", tmp_path)
    app = precision.typer.Typer()
    app.command()(precision.main)
    for has, why in ((True, "nrsed run --profile smoke --only 01"), (False, "does not multiply bfloat16")):
        monkeypatch.setattr(precision, "has_bfloat16", lambda x, has=has: has)
        reply = CliRunner().invoke(app, ["--profile", "smoke", "--condition", "clean", *words])
        assert reply.exit_code == status and why in reply.output and "not measured" in reply.output
    assert not list(tmp_path.glob("precision.*"))
