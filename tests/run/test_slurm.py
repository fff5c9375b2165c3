"""The whole companion on a SLURM cluster, one of its jobs killed in the middle."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import slurm

from nrsed_lib.errors import PipelineError
from nrsed_lib.profile import load_profile
from nrsed_lib.run.jobs import jobs, state
from nrsed_lib.run.parts import parts
from nrsed_lib.run.pipeline import where

LONG_ENOUGH = 300  # steps: seconds on any machine, so that the training is still running when it is killed
SETTINGS = {"sed.train.steps": LONG_ENOUGH}
SMOKE = load_profile("smoke", SETTINGS)
COMMAND = ["run", "--profile", "smoke", "--executor", "slurm", *(f"--set={k}={v}" for k, v in SETTINGS.items())]
# Look at the queue every second; clusters with other users are asked every 40.
SNAKEMAKE = "slurm-init-seconds-before-status-checks: 1\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := slurm.missing():
        pytest.skip(reason)
    with slurm.cluster(tmp_path_factory.mktemp("slurm") / "cluster"):
        yield


@contextlib.contextmanager
def nrsed(root: Path):
    """A run, which ends with the block at the latest."""
    (root / "snakemake").mkdir(exist_ok=True)
    (root / "snakemake" / "config.yaml").write_text(SNAKEMAKE)
    more = {"NRSED_RESULTS": str(root), "SNAKEMAKE_PROFILE": str(root / "snakemake"), "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "nrsed_lib.run.cli", *COMMAND], env=os.environ | more, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.timeout(1800)
def test_a_run_goes_on_after_a_job_was_killed(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    detector = tmp_path / "smoke" / "work" / "03_sed_training-seed0"
    with nrsed(tmp_path) as first:
        while not any(detector.glob("*")) and first.poll() is None:
            time.sleep(0.1)
        (training,) = [line.split()[0] for line in slurm.queue() if "RUNNING" in line and "_03_" in line]
        slurm.cancel(training)
        output, _ = first.communicate()
    assert first.returncode == 1 and "the same command resumes there" in output, output[-3000:]
    assert not any(detector.glob("*/theta.safetensors")) and not slurm.queue()
    assert state(SMOKE, "01", 0) == "done" and state(SMOKE, "03", 0) == "part"

    with nrsed(tmp_path) as second:
        output, _ = second.communicate()
    assert second.returncode == 0, output[-3000:]
    assert {state(SMOKE, *job) for job in jobs(SMOKE)} == {"done"} and "Table I" in output
    folder = tmp_path / "smoke" / "work" / "06_lass_testing-seed0"
    assert {f"facts-{part}.json" for part in parts("06", SMOKE)} < {p.name for p in folder.glob("*/facts*.json")}
    made = json.loads((tmp_path / "smoke" / "run.json").read_text())
    (run,) = made["runs"]
    assert "01_data_preparation" not in run["ran"] and "07_ablations" in run["ran"]
    assert set(pd.read_csv(tmp_path / "smoke" / "table1.csv").condition) == set(SMOKE.data.conditions)


def test_an_executor_that_is_not_installed_is_named():
    with pytest.raises(PipelineError, match="snakemake-executor-plugin-nowhere"):
        where("nowhere", None)
