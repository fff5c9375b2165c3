"""Runs notebooks: one with papermill, all of them with Snakemake; and says what was run, where, how long."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from nrsed_lib.artefacts import run_folder
from nrsed_lib.errors import PipelineError
from nrsed_lib.paths import results_root
from nrsed_lib.profile import Profile
from nrsed_lib.run.jobs import NOTEBOOKS, all_jobs, alone, executed, facts, index_page, job_key, jobs, state, work
from nrsed_lib.run.provenance import MEMORY_EVERY_S, commit, machine, memory_mb, watched
from nrsed_lib.series import SERIES
from nrsed_lib.store import atomic, write_json

# glibc gives large blocks back at once and asks for fresh pages at the next step; on a CPU keeping them is
# faster.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}


def execute(stage: str, profile_name: str, profile: Profile, overrides: Mapping[str, Any], seed: int) -> Path:
    """Run one notebook with papermill; returns the executed notebook, which appears only when all is done.

    Raises PipelineError naming the notebook, the failing cell's error and the log.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    spec = SERIES[stage]
    source, target = NOTEBOOKS / f"{spec.name}.ipynb", executed(profile, stage, seed)
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
        alone(profile, target.stem),
        log.open("w") as stream,
        watched(target.stem, log, run_folder(profile, stage, seed)),
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
            )
        except PapermillExecutionError as error:
            failed = work(profile) / "logs" / f"{target.stem}.failed.ipynb"
            os.replace(temporary, failed)
            raise PipelineError(
                f"{spec.name} stopped in cell {error.exec_count}: {error.ename}: {error.evalue}\n"
                f"  the notebook up to there: {_short(failed)}\n"
                f"  mend it and run the same command again: what was computed is kept"
            ) from None
        note(temporary, {"key": job_key(profile, stage, seed), "commit": commit()})
    return target


def note(notebook: Path, about: Mapping[str, str]) -> None:
    """Keep in the notebook what made it, and of its progress bars how they ended."""
    content = json.loads(notebook.read_text())
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = _joined(cell["outputs"])
    content["metadata"]["nrsed"] = dict(about)
    notebook.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All that a cell wrote to stdout as one output, where it began to, and to stderr likewise, unless erased."""
    texts: dict[str, str] = {}
    kept = []
    for output in outputs:
        name = output.get("name")  # of a stream
        if name not in texts:
            kept.append(output)
        if name:
            texts[name] = texts.get(name, "") + "".join(output["text"])
    for output in kept:
        if "name" in output:
            output["text"] = settled(texts[output["name"]]).splitlines(keepends=True)
    return [output for output in kept if output.get("text", True)]


def settled(text: str) -> str:
    """What a terminal shows of a text in the end: of progress bars, one below another, the last states."""
    if "\r" not in text:
        return text
    lines, row, anew = [""], 0, True
    for piece in re.split(r"(\n|\r|\x1b\[A)", text):
        if piece == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif piece == "\x1b[A":  # up, as tqdm goes back from the bar of an inner loop
            row -= 1
        elif piece and piece != "\r":
            lines[row] = piece if anew else lines[row] + piece
        anew = piece in ("\n", "\r")
    return "".join(f"{line.rstrip()}\n" for line in lines if line.strip())


def run_all(
    profile_name: str,
    profile: Profile,
    overrides: Mapping[str, Any],
    only: list[str] | None = None,
    cores: int | None = None,
    dry_run: bool = False,
    command: str = "",
    executor: str | None = None,
    devices: int = 1,
) -> None:
    """Run the DAG (notebooks/Snakefile), or the stages `only` and what they need, on `cores` cores.

    executor: a Snakemake executor, e.g. "slurm", that takes jobs elsewhere; `cores` is then how many at
    once. devices: processes in each training, on one machine. With either, the parts of a stage
    (`parts.py`) are jobs of their own.

    Raises PipelineError when another run holds the results folder, or when a job failed.
    """
    base = work(profile)
    base.mkdir(parents=True, exist_ok=True)
    chosen = jobs(profile, only or [])
    # named one by one: Snakemake does not miss a notebook that is only on the way to a finished report
    targets = [os.path.relpath(executed(profile, *job), base) for job in chosen] + ([] if only else ["all"])
    config = {
        "profile": profile_name,
        "overrides": json.dumps(dict(overrides)),
        "devices": devices,
        "ahead": bool(executor) or devices > 1,
    }
    line = [
        sys.executable,
        "-m",
        "snakemake",
        *targets,
        "--snakefile",
        str(NOTEBOOKS / "Snakefile"),
        "--directory",
        str(base),
        *where(executor, cores),
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
        print("\n".join(f"{executed(profile, s, seed).stem}: {state(profile, s, seed)}" for s, seed in chosen))
        return
    if not waiting and (only or index_page(profile).exists()):
        print(f"{profile.name}: nothing to do, everything is up to date")
        return
    try:
        with FileLock(base / "run.lock", timeout=0):
            began, peak = time.monotonic(), 0
            for _ in SERIES:  # see _pending
                peak = max(peak, _supervised(line))
                if not _pending(profile, chosen, only):
                    break
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


def _pending(profile: Profile, chosen: Collection[tuple[str, int]], only: Collection[str] | None) -> bool:
    """Whether another pass of Snakemake has something to do: a job that reads, as `ancient`, what a pass makes anew is
    not looked at in that pass, even if its own output is missing or its key another."""
    notebooks = [executed(profile, *job) for job in chosen]
    if any(state(profile, *job) != "done" for job in chosen):
        return True
    newest = max(notebook.stat().st_mtime for notebook in notebooks)
    return not only and index_page(profile).stat().st_mtime < newest


def where(executor: str | None, at_once: int | None) -> list[str]:
    """Snakemake's words for where jobs run. Raises PipelineError when the executor is not installed."""
    if executor is None:
        return ["--cores", str(at_once or os.cpu_count() or 1)]
    if importlib.util.find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}") is None:
        plugin = f"snakemake-executor-plugin-{executor}"
        raise PipelineError(f"--executor {executor} needs {plugin}; install it (pip install {plugin}) or leave it out")
    # squeue knows what runs even where no accounting database does; files take a while to be seen elsewhere
    status = ["--slurm-status-command", "squeue"] if executor == "slurm" else []
    return ["--executor", executor, "--jobs", str(at_once or 100), "--latency-wait", "60", *status]


def _supervised(line: list[str]) -> int:
    """Run a command to its end; returns the peak memory in MB. A job's own message reaches the terminal."""
    process = subprocess.Popen(line, env=KEEP_MEMORY | os.environ | {"NRSED_RESULTS": str(results_root())})
    peak = 0
    try:
        while process.poll() is None:
            peak = max(peak, memory_mb())
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=MEMORY_EVERY_S)
    except KeyboardInterrupt:
        jobs = psutil.Process(process.pid).children(recursive=True)
        process.terminate()  # upon which Snakemake starts nothing more, and waits for the jobs
        for job in jobs:
            with contextlib.suppress(psutil.NoSuchProcess):
                job.terminate()
        process.wait()
        raise PipelineError("stopped; the same command goes on where this one was") from None
    if process.returncode:
        raise PipelineError("a notebook did not finish (see above); the same command resumes there")
    return peak


def provenance(profile: Profile, run: Mapping[str, Any]) -> dict[str, Any]:
    """run.json: what made the tables of results/<profile>.

    `runs` are the commands that had something to do, each with its machine, its wall-clock seconds and its peak
    memory; `stages` what making each notebook's artefacts took, where, and on which commit, whenever that was. A
    stage whose artefacts were removed keeps its entry, as its tables stay.
    """
    file = results_root() / profile.name / "run.json"
    earlier = json.loads(file.read_text()) if file.exists() else {"stages": {}, "runs": []}
    names = {executed(profile, *job).stem: job for job in all_jobs(profile)}
    found = {name: facts(profile, *job) or earlier["stages"].get(name) for name, job in names.items()}
    stages = {name: made for name, made in found.items() if made}
    return {
        "profile": profile.name,
        "seeds": profile.seeds,
        "stage_seconds": round(sum(s["seconds"] for s in stages.values()), 1),
        "stages": stages,
        "runs": [*earlier["runs"], {**run, "machine": machine()}],
    }


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
