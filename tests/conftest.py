"""What every test may use: a results folder of its own, the smoke data, and optional shared material."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from nrsed_lib.artefacts import Run, open_run
from nrsed_lib.data.prepare import prepare
from nrsed_lib.paths import ROOT

os.environ["OMP_NUM_THREADS"] = "1"  # of what tests start: files run side by side, each on a core of its own
torch.set_num_threads(1)

# Begun first, the longest first: what is left at the end then runs side by side.
LONGEST = ("notebooks", "tests/run/test_pipeline.py", "tests/run/test_slurm.py", "tests/test_desed_notebooks.py")


def together(nodeid: str) -> str:
    """A file's tests stay in one process, where they share what its fixtures made; the notebooks are one file."""
    return "notebooks" if nodeid.startswith("notebooks/") else nodeid.partition("::")[0]


class FileByFile(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return FileByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(together(item.nodeid), len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def results(tmp_path_factory):
    """The results root of the whole test session: no test touches results/."""
    root = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NRSED_RESULTS", str(root))
        patch.setenv("NRSED_KEPT", str(root / "kept"))
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
