"""What every test may use: a results folder of its own, the smoke data, and optional shared material."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from nrsed_lib.artefacts import Run, open_run
from nrsed_lib.data.prepare import prepare
from nrsed_lib.paths import ROOT

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def results(tmp_path_factory):
    """The results root of the whole test session: no test touches results/."""
    root = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NRSED_RESULTS", str(root))
        yield root


@pytest.fixture(scope="session")
def shared() -> Path:
    """A folder of golden vectors and downloaded files beside the repository, or NRSED_SHARED."""
    folder = Path(os.environ.get("NRSED_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: set NRSED_SHARED to the folder of shared material")
    return folder


@pytest.fixture(scope="session")
def smoke_data(results: Path) -> Run:
    """Stage 01 of the smoke profile, prepared."""
    run = open_run("01", "smoke")
    prepare(run)
    return run
