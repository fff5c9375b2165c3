"""Makes a run the committed reference: its tables and figures in results/, its outputs in notebooks/."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nrsed_lib.artefacts import job_name, notebook_file, shown_folder
from nrsed_lib.errors import PipelineError
from nrsed_lib.paths import REFERENCE, ROOT
from nrsed_lib.profile import Profile
from nrsed_lib.run.jobs import all_jobs, executed, state
from nrsed_lib.run.provenance import run_json
from nrsed_lib.store import atomic, write_json

PUBLISHED = ("[!.]*.csv", "figures/[!.]*.png", "figures/[!.]*.pdf", "counts/seed*.npz")  # no temporary files


def publish(profile: Profile) -> Iterator[str]:
    """Replace results/<profile> and, for synthesised data, the outputs in notebooks/; say each file as it is done.

    What the run has not made stays as it was. Raises PipelineError when there is no run, or it is not up to date.
    """
    here, there = shown_folder(profile), REFERENCE / profile.name
    ran = {job: now for job in all_jobs(profile) if (now := state(profile, *job)) != "missing"}
    if not ran or here == there:
        raise PipelineError(f"nothing to publish in {here}: `nrsed run --profile {profile.name}` makes it")
    if behind := [job_name(*job) for job, now in ran.items() if now != "done"]:
        raise PipelineError(f"not up to date: {', '.join(behind)}; run them first (`nrsed status`)")
    files = {file.relative_to(here) for pattern in PUBLISHED for file in here.glob(pattern)}
    for file in sorted(files):
        yield f"{_replaced(there / file, (here / file).read_bytes())}: {there / file}"
        (there / file).parent.mkdir(parents=True, exist_ok=True)
        with atomic(there / file) as temporary:
            shutil.copyfile(here / file, temporary)
    kept = {file.relative_to(there) for pattern in PUBLISHED for file in there.glob(pattern)} - files
    yield from (f"kept, the run made no other: {there / file}" for file in sorted(kept))
    yield f"written: {there / 'run.json'}"
    write_json(there / "run.json", _joined(run_json(there), json.loads((here / "run.json").read_text())))
    if profile.data.source == "synth":  # what people recorded stays out of the repository
        for notebook, seed in ran:
            if seed == profile.seeds[0]:
                yield f"outputs written: {_with_outputs(notebook_file(notebook), executed(profile, notebook, seed))}"


def renew_pages() -> None:
    """Make the pages of the committed results again, and the README's findings: by a tool beside the library."""
    subprocess.run([sys.executable, "-m", "tools.pages"], cwd=ROOT, check=True)


def _replaced(file: Path, content: bytes) -> str:
    if not file.exists():
        return "new"
    return "unchanged" if file.read_bytes() == content else "replaced"


def _joined(old: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """A run.json, with what the one that it replaces says of notebooks that did not run anew."""
    notebooks = dict(sorted((old["stages"] | made["stages"]).items()))
    still = old["stages"].keys() - made["stages"].keys()
    runs = [run for run in old["runs"] if still & set(run["ran"])] + made["runs"]
    seconds = round(sum(facts["seconds"] for facts in notebooks.values()), 1)
    return made | {"stage_seconds": seconds, "stages": notebooks, "runs": runs}


def _with_outputs(target: Path, ran: Path) -> Path:
    """Copy the outputs of an executed notebook; cells stay as they are."""
    notebook = json.loads(target.read_text())
    outputs = {c["id"]: c for c in json.loads(ran.read_text())["cells"] if c["cell_type"] == "code"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and (done := outputs.get(cell["id"])):
            cell["outputs"], cell["execution_count"] = done["outputs"], done["execution_count"]
    write_json(target, notebook)
    return target
