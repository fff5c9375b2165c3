"""Runs all notebooks with Snakemake, says how far they are, and in the end what was run, where, how long."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from filelock import FileLock, Timeout

from nrsed_lib.artefacts import job_name, shown_folder
from nrsed_lib.errors import PipelineError, StoreError
from nrsed_lib.history import made_on
from nrsed_lib.paths import NOTEBOOKS, REFERENCE, kept_root, to_write, weights_folder
from nrsed_lib.processes import PARENT, started
from nrsed_lib.profile import Profile
from nrsed_lib.run.compare import differing, flat
from nrsed_lib.run.execute import short
from nrsed_lib.run.jobs import (
    Job,
    all_jobs,
    executed,
    facts,
    index_page,
    jobs,
    log_of,
    put_right,
    show,
    state,
    work,
)
from nrsed_lib.run.progress import Progress
from nrsed_lib.run.provenance import MEMORY_EVERY_S, cpu_seconds, kind, machine, memory_mb, run_json, said_of
from nrsed_lib.run.report import write_report
from nrsed_lib.store import digest, set_aside, sweep, write_json

# glibc gives large blocks back at once and asks for fresh pages at the next step; on a CPU keeping them is
# faster.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
SCHEDULER = """import sys
from nrsed_lib.processes import end_with
end_with(int(sys.argv.pop(1)))
from snakemake.cli import main
main()"""
LOOK_EVERY_S = 1  # at how far the jobs are


def run_all(
    profile_name: str,
    profile: Profile,
    overrides: Mapping[str, Any],
    only: Collection[str] = (),
    cores: int | None = None,
    dry_run: bool = False,
    command: str = "",
    executor: str | None = None,
    devices: int = 1,
) -> None:
    """Run the paper's notebooks (notebooks/Snakefile), or `only` these and what they need, on `cores` cores; report.

    executor: a Snakemake executor, e.g. "slurm", that takes jobs elsewhere; `cores` is then how many at
    once. devices: processes in each training, on one machine. With either, the parts of a notebook
    (`parts.py`) are jobs of their own.

    Raises PipelineError when another run holds the results folder, or when a job failed.
    """
    chosen = jobs(profile, only)
    if dry_run:
        print("\n".join(f"{job_name(*job)}: {state(profile, *job)}" for job in chosen))
        return
    for variable in ("NRSED_RESULTS", "NRSED_CACHE"):
        to_write(variable)
    waiting = to_do(profile, chosen)
    if waiting:
        request = {"profile": profile_name, "overrides": dict(overrides), "devices": devices,
                   "ahead": bool(executor) or devices > 1}  # fmt: skip
        file = work(profile) / f"request-{digest(request)}.json"  # by its content: jobs of an executor read it later
        write_json(file, request)
        line = [*_snakemake(profile, waiting, where(executor, cores)), "--configfile", str(file)]
        # on a cluster a job may outlive the run that sent it, here it ends with it
        more = {} if executor else {PARENT: str(os.getpid())}
        _run_and_record(line, more, profile, waiting, command)
    else:
        print(f"{profile.name}: nothing to do, everything is up to date")
    put_back = [path for job in chosen for path in show(profile, job)]  # what other runs have made is not waited for
    if waiting or put_back or not index_page(profile).exists():
        write_report(profile)


def to_do(profile: Profile, chosen: Collection[Job]) -> list[Job]:
    """The jobs that are not done, when all that is there has been looked at."""
    for job in chosen:
        put_right(profile, job)
    return [job for job in chosen if state(profile, *job) != "done"]


def _snakemake(profile: Profile, waiting: Collection[Job], place: list[str]) -> list[str]:
    """The scheduler's command. It is asked for what is not done, by name, and does just that: neither the times of
    files nor what it remembers of earlier runs, which may be lost, tell it what to do."""
    targets = [os.path.relpath(executed(profile, *job), work(profile)) for job in waiting]
    said = ["--quiet", "host", "progress", "reason", "rules"]  # but for errors
    memory = ["--nolock", "--ignore-incomplete", "--keep-incomplete", "--drop-metadata", "--rerun-triggers", "mtime"]
    return [
        *(sys.executable, "-c", SCHEDULER, str(os.getpid()), *targets),
        *("--snakefile", str(NOTEBOOKS / "Snakefile"), "--directory", str(work(profile)), *place),
        *("--target-files-omit-workdir-adjustment", "--keep-going", *memory, *said),
    ]


def _run_and_record(
    line: list[str], more: Mapping[str, str], profile: Profile, waiting: list[Job], command: str
) -> None:
    """Run Snakemake, with `more` in its environment, on what is `waiting`; then write run.json."""
    log = log_of(profile, "snakemake")
    log.parent.mkdir(parents=True, exist_ok=True)
    here, source = machine(), made_on()
    began, cpu_began = time.monotonic(), cpu_seconds()
    try:
        with FileLock(work(profile) / "run.lock", timeout=0), log.open("w") as stream:
            for fault in log.parent.glob("*.error"):
                fault.unlink()  # of an earlier run
            for folder in (work(profile), shown_folder(profile), weights_folder(), kept_root()):
                sweep(folder)
            names = ", ".join(job_name(*job) for job in waiting)
            print(f"profile {profile.name}, to run: {names}\nlogs in {short(log.parent)}", flush=True)
            if shown_folder(profile).name != profile.name:
                print(f"with settings of its own, and results in {short(shown_folder(profile))}", flush=True)
            progress = Progress(profile, waiting, *_expected(profile, here))
            returned, peak = _supervised(line, more, stream, progress)
            left = [job for job in waiting if state(profile, *job) != "done"]
            if returned or left:
                raise PipelineError(_why(profile, left, log))
    except Timeout:
        raise PipelineError(f"another run is writing to {short(work(profile))}; wait for it or stop it") from None
    run = {
        "command": command,
        **source,
        "wall_seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(cpu_seconds() - cpu_began, 1),  # 0 of what an executor took elsewhere
        "peak_mb": peak,
        "ran": [job_name(*job) for job in waiting],
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": here,
    }
    write_json(shown_folder(profile) / "run.json", provenance(profile, run))


def _expected(profile: Profile, here: Mapping[str, Any]) -> tuple[dict[str, float], bool]:
    """Seconds of each job as the committed results tell them, and whether on a machine of this kind."""
    made = run_json(REFERENCE / profile.name)
    known = {} if made["stages"] and differing(profile, made) else made["stages"]
    like_here = bool(known) and all(facts["machine"] == kind(here) for facts in known.values())
    return {name: facts["seconds"] for name, facts in known.items()}, like_here


def _why(profile: Profile, left: Collection[Job], scheduler: Path) -> str:
    """What the jobs that are not done have said; of one that could not, what the scheduler says."""
    logs = sorted(scheduler.parent.glob("*.error"))
    names = [job_name(*job) for job in left]
    said = [text for log in logs if log.stem.startswith(tuple(names)) and (text := said_of(log))]
    last = [x for x in scheduler.read_text(errors="replace").splitlines() if x.strip()][-12:]
    what = said or [*last, f"(from {short(scheduler)})"]
    return "\n".join([*what, f"not done: {', '.join(names) or 'no notebook'}; the same command resumes there"])


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


def _supervised(line: list[str], more: Mapping[str, str], log: TextIO, progress: Progress) -> tuple[int, int]:
    """Run a command to its end, its words in `log`; returns its status and the peak memory in MB.

    Raises PipelineError when it was stopped, with nothing of it left running.
    """
    peak, measured = 0, 0.0
    try:
        with started(line, {**KEEP_MEMORY, **os.environ, PARENT: "", **more}, log) as process:
            while process.poll() is None:
                if time.monotonic() - measured > MEMORY_EVERY_S:
                    peak, measured = max(peak, memory_mb()), time.monotonic()
                progress.show()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=LOOK_EVERY_S)
            progress.close()
    except KeyboardInterrupt:
        raise PipelineError("stopped; the same command goes on where this one was") from None
    return process.returncode, peak


def provenance(profile: Profile, run: Mapping[str, Any]) -> dict[str, Any]:
    """run.json: what made the tables of a profile.

    `runs` are the commands that had something to do, each with its machine, its wall-clock seconds and its peak
    memory; `stages` what making each notebook's artefacts took, where, and on which commit and trees, whenever that
    was; `settings` the profile's own. A notebook whose artefacts were removed keeps its entry, as its tables stay.
    """
    folder, notebooks = shown_folder(profile), {}
    try:
        earlier = run_json(folder)
    except StoreError:  # this run has ended well, and must not fail for the story of others
        set_aside(folder / "run.json", "is not JSON")
        earlier = run_json(folder)
    for job in all_jobs(profile):
        name = job_name(*job)
        if made := facts(profile, *job) or earlier["stages"].get(name):
            notebooks[name] = made
    return {
        "profile": profile.name,
        "seeds": profile.seeds,
        "stage_seconds": round(sum(made["seconds"] for made in notebooks.values()), 1),
        "stages": notebooks,
        "runs": [*earlier["runs"], dict(run)],
        "settings": flat(profile),
    }
