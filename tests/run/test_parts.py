"""Parts of notebooks: their names, what computing one leaves, and that the graph computes them ahead of a notebook."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from test_sharding import BEFORE_NORM, TORCHRUN

from nrsed_lib import sharding
from nrsed_lib.artefacts import open_run
from nrsed_lib.data.prepare import prepare
from nrsed_lib.errors import ProfileError
from nrsed_lib.llm.selection import select
from nrsed_lib.paths import NOTEBOOKS, results_root
from nrsed_lib.profile import load_profile
from nrsed_lib.run.jobs import alone, done_parts, facts
from nrsed_lib.run.parts import compute, parts
from nrsed_lib.sed.finetuning import RECIPES, recipes
from nrsed_lib.store import read_tensors
from nrsed_lib.systems import models_of

SMOKE = load_profile("smoke")


def test_every_detector_and_condition_is_a_part():
    assert parts("04", SMOKE) == list(recipes(SMOKE)) == ["random", "no_curriculum", "full"]
    more = SMOKE.model_copy(update={"evaluate": SMOKE.evaluate.model_copy(update={"reviewer_rows": True})})
    assert parts("04", more) == list(recipes(more)) == list(RECIPES)
    for profile in (SMOKE, more):
        assert [m for s in ("03", "04") for m in parts(s, profile)] == list(models_of(profile))
    assert parts("06", SMOKE) == ["clean", "5dB", "-5dB"]
    assert parts("07", SMOKE) == []


def test_a_part_is_left_where_its_notebook_looks(smoke_data):
    seed = 5  # that no other test trains
    prepare(open_run("01", SMOKE, seed=seed))
    compute("03", SMOKE, seed, "theta")
    folder = open_run("03", SMOKE, seed=seed).folder
    made, took = (folder / "theta.safetensors").stat().st_mtime, facts(SMOKE, "03", seed)
    assert took["seconds"] > 0 and (folder / "facts-theta.json").exists()
    compute("03", SMOKE, seed)
    assert (folder / "theta.safetensors").stat().st_mtime == made
    assert facts(SMOKE, "03", seed) == took, "what was only looked at again counts as made again"


@pytest.mark.timeout(600)
def test_two_processes_fine_tune_as_one(smoke_data, tmp_path):
    """In noise that is drawn for the whole batch and heard by halves; single precision, see test_sharding.py."""
    select(open_run("02", SMOKE))
    compute("03", SMOKE, 0)
    compute("04", SMOKE, 0, "full")
    one = open_run("04", SMOKE).folder
    shutil.copytree(results_root(), tmp_path / "results", ignore=shutil.ignore_patterns(one.name))
    subprocess.run(
        [sys.executable, *TORCHRUN, "-m", "nrsed_lib.run.cli", "compute", "04", "--part=full", "--profile=smoke"],
        env=os.environ | {"NRSED_RESULTS": str(tmp_path / "results"), "CUDA_VISIBLE_DEVICES": ""}, check=True,
    )  # fmt: skip
    two = tmp_path / "results" / one.relative_to(results_root())
    curves = [pd.read_csv(folder / "history_full.csv")[["loss", "strong", "weak"]] for folder in (one, two)]
    np.testing.assert_allclose(*curves, rtol=1e-5)
    a, b = (read_tensors(folder / "full.safetensors")[0] for folder in (one, two))
    for name in a:
        if not name.endswith(BEFORE_NORM):
            np.testing.assert_allclose(a[name], b[name], atol=1e-4, err_msg=name)


@pytest.mark.parametrize(("notebook", "part"), [("07", None), ("04", "fall"), ("99", None)])
def test_what_is_no_part_is_named(notebook, part):
    with pytest.raises(ProfileError, match=rf"notebook {notebook} has no part {part or ''}.*no_curriculum"):
        compute(notebook, SMOKE, 0, part)


def test_processes_do_not_share_a_test(monkeypatch):
    monkeypatch.setattr(sharding, "size", lambda: 2)
    with pytest.raises(ProfileError, match="start one for each of clean, 5dB"):
        compute("06", SMOKE, 0)


def test_one_job_waits_for_another_that_makes_the_same(results, capsys):
    code = "from nrsed_lib.run.jobs import alone; from nrsed_lib.profile import load_profile; import sys\n"
    hold = "with alone(load_profile('smoke'), 'held'): print('here', flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", code + hold]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "here\n"
        another = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert "waiting" in another.stdout.readline()
        other.stdin.close()
        assert another.communicate(timeout=60)[0] == "here\n"
    with alone(SMOKE, "held"):
        assert "waiting" not in capsys.readouterr().out


def graph(tmp_path, profile: str = "smoke", **config: object) -> str:
    """Commands that Snakemake would run."""
    (tmp_path / "config.json").write_text(json.dumps({"profile": profile, **config}))  # as typed: --config makes text
    words = ["--snakefile", NOTEBOOKS / "Snakefile", "--directory", tmp_path, "--cores", "2", "--dry-run", "-p"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *map(str, words), "--configfile", str(tmp_path / "config.json")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_with_an_executor_or_devices_parts_are_jobs(tmp_path):
    ahead = graph(tmp_path, ahead=True, devices=2, overrides={"sed.train.steps": 7})
    for notebook in ("03", "04", "05", "06"):
        for part in parts(notebook, SMOKE):
            (line,) = (x for x in ahead.splitlines() if f" compute {notebook} --part={part} " in x)
            assert ("--nproc-per-node 2" in line) == (notebook != "06")
            assert "sed.train.steps=7" in line
    assert " compute " not in graph(tmp_path, ahead=False, devices=1)


def test_with_an_executor_data_sets_on_disk_are_converted_by_jobs(tmp_path):
    """One a shard, without a GPU, before the notebook that points to them."""
    paper = load_profile("paper")
    splits, conditions = ["strong", "weak", "unlabelled", "validation"], ["clean", "10dB", "5dB", "0dB", "-5dB"]
    assert parts("01", paper) == [*splits, *conditions, "sources-train", "sources-validation", "sources-test"]
    ahead = graph(tmp_path, "paper", ahead=True, devices=4)
    for part in parts("01", paper):
        (line,) = (x for x in ahead.splitlines() if f" compute 01 --part={part} " in x)
        assert "torch.distributed" not in line
    jobs = ahead.split("rule ")
    (data,) = (job for job in jobs if job.startswith("data_preparation"))
    folder = done_parts(paper, "01", 0).name
    assert all(f"parts/{folder}/{part}" in data for part in parts("01", paper))
    asked = {job.partition("compute ")[2][:2]: "gpu=0" in job for job in jobs if " compute " in job}
    assert asked == {"01": True, "03": False, "04": False, "05": False, "06": False}
