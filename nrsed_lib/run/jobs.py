"""The jobs of a run: which notebooks, for which seeds, where they lie, and how far each of them is."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pandas as pd

from nrsed_lib.artefacts import NOT_IN_KEY, code_of, file_digest, run_folder, run_key
from nrsed_lib.errors import ProfileError
from nrsed_lib.paths import ROOT, results_root
from nrsed_lib.profile import Profile
from nrsed_lib.run.provenance import last_line
from nrsed_lib.series import SERIES, STUDIES
from nrsed_lib.store import digest, one_at_a_time
from nrsed_lib.studies.settings import studies_of

NOTEBOOKS = ROOT / "notebooks"


def jobs(profile: Profile, asked: Collection[str] = ()) -> list[tuple[str, int]]:
    """(stage, seed) of everything the profile runs by default, in order, or of the stages `asked` for.

    Raises ProfileError naming a stage that is not there, or for which the profile has no settings.
    """
    left_out = [] if profile.studies and studies_of(profile).by_default else [*STUDIES]
    for stage in asked:
        if stage not in SERIES:
            raise ProfileError(f"--only {stage}: use {', '.join(SERIES)}")
        if stage in STUDIES and profile.studies is None:
            raise ProfileError(f"--only {stage}: profile {profile.name} has no section `studies`")
    return [
        (stage, seed)
        for stage, spec in SERIES.items()
        for seed in (profile.seeds if spec.per_seed else profile.seeds[:1])
        if (stage in asked if asked else stage not in left_out)
    ]


def all_jobs(profile: Profile) -> list[tuple[str, int]]:
    """Those by default, and those that a profile leaves to be asked for."""
    return jobs(profile, [stage for stage in SERIES if profile.studies or stage not in STUDIES])


def work(profile: Profile) -> Path:
    return results_root() / profile.name / "work"


def executed(profile: Profile, stage: str, seed: int) -> Path:
    """The notebook as it ran."""
    return work(profile) / "notebooks" / f"{run_folder(profile, stage, seed).name}.ipynb"


def index_page(profile: Profile) -> Path:
    """The report's first page, which is written last."""
    return results_root() / profile.name / "report" / "index.html"


def job_key(profile: Profile, stage: str, seed: int) -> str:
    """What a notebook's execution depends on: its artefacts' key, its own cells, and how it draws."""
    cells = json.loads((NOTEBOOKS / f"{SERIES[stage].name}.ipynb").read_text())["cells"]
    drawing = code_of(NOTEBOOKS / f"{SERIES[stage].name}.ipynb", frozenset(NOT_IN_KEY - {"plots"}))
    upstream = [
        run_key(need, profile, s)
        for need in SERIES[stage].needs
        for s in (profile.seeds if stage in ("07", "08", "12") else [seed])
    ]
    return digest(
        run_key(stage, profile, seed),
        upstream,
        [(c["cell_type"], "".join(c["source"])) for c in cells],
        [file_digest(p) for p in drawing],
    )


def state(profile: Profile, stage: str, seed: int) -> str:
    """`done`, `stale` (made by other code or settings), `part` (begun) or `missing`."""
    notebook = executed(profile, stage, seed)
    if notebook.exists():
        made = json.loads(notebook.read_text())["metadata"].get("nrsed", {})
        return "done" if made.get("key") == job_key(profile, stage, seed) else "stale"
    return "part" if run_folder(profile, stage, seed).exists() else "missing"


def facts(profile: Profile, stage: str, seed: int) -> dict[str, Any]:
    """What making a notebook's artefacts took, on all machines: seconds add up, memory is the highest of a job."""
    made = [json.loads(p.read_text()) for p in sorted(run_folder(profile, stage, seed).glob("facts*.json"))]
    if not made:
        return {}
    about = {"seconds": round(sum(m["seconds"] for m in made), 3), "peak_mb": max(m["peak_mb"] for m in made)}
    return made[-1] | about  # facts.json, the notebook's own, is the last in alphabetical order


def status(profile: Profile) -> pd.DataFrame:
    """One row a job: state, seconds, peak memory, last line of its log."""
    rows = []
    for stage, seed in all_jobs(profile):
        name = executed(profile, stage, seed).stem
        made, log = facts(profile, stage, seed), work(profile) / "logs" / f"{name}.log"
        rows.append(
            {
                "notebook": name,
                "state": state(profile, stage, seed),
                "seconds": made.get("seconds"),
                "peak_mb": made.get("peak_mb"),
                "last": last_line(log)[:60],
            }
        )
    return pd.DataFrame(rows)


def alone(profile: Profile, name: str) -> AbstractContextManager[None]:
    """Wait until no other process makes `name`: on a cluster, a job may outlive the run that sent it."""
    return one_at_a_time(work(profile) / "logs" / f"{name}.lock", f"{name}: another job is at it")
