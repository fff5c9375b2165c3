"""Runs notebooks: one with papermill, all of them with Snakemake; and says what was run, where, how long."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from nrsed_lib.facts import commit, machine, memory_mb, watched
from nrsed_lib.profile import Profile, ProfileError
from nrsed_lib.store import (
    NOT_IN_KEY,
    ROOT,
    STAGES,
    atomic,
    code_of,
    digest,
    file_digest,
    results_root,
    stage_folder,
    stage_key,
    write_json,
)

NOTEBOOKS = ROOT / "notebooks"


class PipelineError(RuntimeError):
    """A run that stopped; the message names the notebook, the log and what to do."""


def jobs(profile: Profile) -> list[tuple[str, int]]:
    """(stage, seed) of everything the profile runs, in order."""
    return [
        (stage, seed)
        for stage, spec in STAGES.items()
        for seed in (profile.seeds if spec.per_seed else profile.seeds[:1])
    ]


def work(profile: Profile) -> Path:
    return results_root() / profile.name / "work"


def executed(profile: Profile, stage: str, seed: int) -> Path:
    """The notebook as it ran."""
    return work(profile) / "notebooks" / f"{stage_folder(profile, stage, seed).name}.ipynb"


def job_key(profile: Profile, stage: str, seed: int) -> str:
    """What a notebook's execution depends on: its artefacts' key, its own cells, and how it draws."""
    cells = json.loads((NOTEBOOKS / f"{STAGES[stage].notebook}.ipynb").read_text())["cells"]
    drawing = code_of(NOTEBOOKS / f"{STAGES[stage].notebook}.ipynb", frozenset(NOT_IN_KEY - {"plots"}))
    upstream = [
        stage_key(need, profile, s)
        for need in STAGES[stage].needs
        for s in (profile.seeds if stage in ("07", "08") else [seed])
    ]
    return digest(
        stage_key(stage, profile, seed),
        upstream,
        [(c["cell_type"], "".join(c["source"])) for c in cells],
        [file_digest(p) for p in drawing],
    )


def execute(stage: str, profile_name: str, profile: Profile, overrides: Mapping[str, Any], seed: int) -> Path:
    """Run one notebook with papermill; returns the executed notebook, which appears only when all is done.

    Raises PipelineError naming the notebook, the failing cell's error and the log.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    spec = STAGES[stage]
    source, target = NOTEBOOKS / f"{spec.notebook}.ipynb", executed(profile, stage, seed)
    parameters: dict[str, Any] = {"profile": profile_name, "overrides": dict(overrides)} | (
        {"seed": seed} if spec.per_seed else {}
    )
    unknown = sorted(set(parameters) - set(papermill.inspect_notebook(str(source))))
    if unknown:
        raise PipelineError(f"{source.name} has no parameter {unknown}: add it to the cell tagged 'parameters'")
    log = work(profile) / "logs" / f"{target.stem}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f"{target.stem}: started, log in {_short(log)}", flush=True)
    with (
        log.open("w") as stream,
        watched(target.stem, log, stage_folder(profile, stage, seed)),
        atomic(target) as temporary,
    ):
        try:
            papermill.execute_notebook(
                str(source),
                str(temporary),
                parameters,
                cwd=str(NOTEBOOKS),
                kernel_name="python3",
                progress_bar=False,
                stdout_file=stream,
                stderr_file=stream,
                log_output=False,
                coalesce_streams=True,  # of a progress bar the last state, as a terminal shows it
            )
        except PapermillExecutionError as error:
            failed = work(profile) / "logs" / f"{target.stem}.failed.ipynb"
            os.replace(temporary, failed)
            raise PipelineError(
                f"{spec.notebook} stopped in cell {error.exec_count}: {error.ename}: {error.evalue}\n"
                f"  the notebook up to there: {_short(failed)}\n"
                f"  mend it and run the same command again: what was computed is kept"
            ) from None
        _note(temporary, {"key": job_key(profile, stage, seed), "commit": commit()})
    return target


def _note(notebook: Path, about: Mapping[str, str]) -> None:
    """Keep in the notebook what made it."""
    content = json.loads(notebook.read_text())
    content["metadata"]["nrsed"] = dict(about)
    notebook.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def run_all(
    profile_name: str,
    profile: Profile,
    overrides: Mapping[str, Any],
    only: list[str] | None = None,
    cores: int | None = None,
    dry_run: bool = False,
    command: str = "",
) -> None:
    """Run the DAG (notebooks/Snakefile), or the stages `only` and what they need, on `cores` cores.

    Raises PipelineError when another run holds the results folder, or when a job failed.
    """
    base = work(profile)
    base.mkdir(parents=True, exist_ok=True)
    for stage in only or []:
        if stage not in STAGES:
            raise ProfileError(f"--only {stage}: use {', '.join(STAGES)}")
    chosen = [(s, seed) for s, seed in jobs(profile) if not only or s in only]
    # named one by one: Snakemake does not miss a notebook that is only on the way to a finished report
    targets = [os.path.relpath(executed(profile, *job), base) for job in chosen] + ([] if only else ["all"])
    config = {"profile": profile_name, "overrides": json.dumps(dict(overrides)), "python": sys.executable}
    line = [
        sys.executable,
        "-m",
        "snakemake",
        *targets,
        "--snakefile",
        str(NOTEBOOKS / "Snakefile"),
        "--directory",
        str(base),
        "--cores",
        str(cores or os.cpu_count() or 1),
        "--nolock",
        "--rerun-incomplete",
        "--target-files-omit-workdir-adjustment",
        "--rerun-triggers",
        "params",
        "--keep-going",
        "--quiet",  # but for errors
        "host",
        "progress",
        "reason",
        "rules",
        *(["--dry-run"] if dry_run else []),
        "--config",
        *(f"{k}={v}" for k, v in config.items()),
    ]
    waiting = [job for job in chosen if state(profile, *job) != "done"]
    if dry_run:
        print("\n".join(f"{executed(profile, s, seed).stem}: {state(profile, s, seed)}" for s, seed in jobs(profile)))
        return
    if not waiting and (only or index_page(profile).exists()):
        print(f"{profile.name}: nothing to do, everything is up to date")
        return
    try:
        with FileLock(base / "run.lock", timeout=0):
            began = time.monotonic()
            peak = _supervised(line)
    except Timeout:
        raise PipelineError(f"another run is writing to {_short(base)}; wait for it or stop it") from None
    run = {
        "command": command,
        "commit": commit(),
        "wall_seconds": round(time.monotonic() - began, 1),
        "peak_mb": peak,
        "ran": [executed(profile, *job).stem for job in waiting],
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(results_root() / profile.name / "run.json", provenance(profile, run))


def _supervised(line: list[str]) -> int:
    """Run a command to its end; returns the peak memory in MB. A job's own message reaches the terminal."""
    process = subprocess.Popen(line, env=os.environ | {"NRSED_RESULTS": str(results_root())})
    peak = 0
    try:
        while process.poll() is None:
            peak = max(peak, memory_mb())
            time.sleep(0.5)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise PipelineError("stopped; the same command goes on where this one was") from None
    if process.returncode:
        raise PipelineError("a notebook did not finish (see above); the same command resumes there")
    return peak


def index_page(profile: Profile) -> Path:
    """The report's first page, which is written last."""
    return results_root() / profile.name / "report" / "index.html"


def state(profile: Profile, stage: str, seed: int) -> str:
    """`done`, `stale` (made by other code or settings), `part` (begun) or `missing`."""
    notebook = executed(profile, stage, seed)
    if notebook.exists():
        made = json.loads(notebook.read_text())["metadata"].get("nrsed", {})
        return "done" if made.get("key") == job_key(profile, stage, seed) else "stale"
    return "part" if stage_folder(profile, stage, seed).exists() else "missing"


def status(profile: Profile) -> pd.DataFrame:
    """One row a job: state, seconds, peak memory, last line of its log."""
    rows = []
    for stage, seed in jobs(profile):
        name = executed(profile, stage, seed).stem
        facts_file, log = stage_folder(profile, stage, seed) / "facts.json", work(profile) / "logs" / f"{name}.log"
        facts = json.loads(facts_file.read_text()) if facts_file.exists() else {}
        tail = re.split(r"[\r\n]+", log.read_text()[-300:].strip())[-1] if log.exists() else ""
        rows.append(
            {
                "notebook": name,
                "state": state(profile, stage, seed),
                "seconds": facts.get("seconds"),
                "peak_mb": facts.get("peak_mb"),
                "last": tail[:60],
            }
        )
    return pd.DataFrame(rows)


def provenance(profile: Profile, run: Mapping[str, Any]) -> dict[str, Any]:
    """run.json: what made the tables of results/<profile>.

    `runs` are the commands that had something to do, each with its own wall-clock seconds and peak
    memory; `stages` what making each notebook's artefacts took, and on which commit, whenever that was.
    """
    stages = {}
    for stage, seed in jobs(profile):
        facts = stage_folder(profile, stage, seed) / "facts.json"
        if facts.exists():
            stages[executed(profile, stage, seed).stem] = json.loads(facts.read_text())
    file = results_root() / profile.name / "run.json"
    earlier = json.loads(file.read_text())["runs"] if file.exists() else []
    return {
        "profile": profile.name,
        "seeds": profile.seeds,
        "machine": machine(),
        "stage_seconds": round(sum(s["seconds"] for s in stages.values()), 1),
        "stages": stages,
        "runs": [*earlier, dict(run)],
    }


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
