"""The jobs of a run: which notebooks, for which seeds, where they lie, and how far each of them is."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nrsed_lib.artefacts import (
    NOT_IN_KEY,
    SHOWN,
    code_of,
    file_digest,
    job_name,
    notebook_file,
    run_folder,
    run_key,
    shown_folder,
)
from nrsed_lib.errors import ProfileError
from nrsed_lib.paths import results_root
from nrsed_lib.profile import Profile
from nrsed_lib.run.provenance import last_line
from nrsed_lib.series import PAPER, SERIES, STUDIES, before
from nrsed_lib.store import atomic, digest, noted, one_at_a_time, remove, set_aside, there, whole

Job = tuple[str, int]  # a notebook's id, and the seed


def jobs(profile: Profile, asked: Collection[str] = ()) -> list[Job]:
    """The paper's notebooks for each seed, in order; or those `asked` for and all that these wait for.

    Raises ProfileError naming a notebook that is not there, or for which the profile has no settings.
    """
    for id_ in asked:
        if id_ not in SERIES:
            raise ProfileError(f"--only {id_}: use {', '.join(SERIES)}")
        if id_ in STUDIES and profile.studies is None:
            raise ProfileError(f"notebook {id_} needs the section `studies`, which profile {profile.name} has not")
    chosen = {*asked, *before(asked, profile.data.source)} or {*PAPER}
    return [(id_, seed) for id_ in SERIES if id_ in chosen for seed in seeds_of(profile, id_)]


def all_jobs(profile: Profile) -> list[Job]:
    """Those of the paper, and of the studies where the profile has any."""
    return jobs(profile, SERIES if profile.studies else PAPER)


def seeds_of(profile: Profile, notebook: str) -> list[int]:
    """The seeds that a notebook runs for."""
    return profile.seeds if SERIES[notebook].each_seed(profile.data.source) else profile.seeds[:1]


def work(profile: Profile) -> Path:
    return results_root() / profile.name / "work"


def executed(profile: Profile, notebook: str, seed: int) -> Path:
    """The notebook as it ran, by its key: what ran with other settings or other code lies beside it."""
    name = f"{job_name(notebook, seed)}-{job_key(profile, notebook, seed)}.ipynb"
    return work(profile) / "notebooks" / name


def done_parts(profile: Profile, notebook: str, seed: int) -> Path:
    """Where jobs that computed a notebook's parts ahead of it say so."""
    return work(profile) / "parts" / f"{notebook}-seed{seed}-{run_key(notebook, profile, seed)}"


def log_of(profile: Profile, name: str) -> Path:
    """What the job `name` writes while it runs."""
    return work(profile) / "logs" / f"{name}.log"


def index_page(profile: Profile) -> Path:
    """The report's first page, which is written last."""
    return shown_folder(profile) / "report" / "index.html"


def job_key(profile: Profile, notebook: str, seed: int) -> str:
    """What a notebook's execution depends on: its artefacts' key, its own cells, and how it draws."""
    spec, file = SERIES[notebook], notebook_file(notebook)
    upstream = [
        run_key(need, profile, s)
        for need in spec.needed(profile.data.source)
        for s in (profile.seeds if spec.over_seeds else [seed])
    ]
    return digest(
        run_key(notebook, profile, seed),
        upstream,
        _cells(file, file.stat().st_mtime_ns),
        [file_digest(p) for p in code_of(file, frozenset(NOT_IN_KEY - {"plots"}))],
    )


@functools.cache
def _cells(notebook: Path, _changed: int) -> list[tuple[str, str]]:
    return [(c["cell_type"], "".join(c["source"])) for c in json.loads(notebook.read_text())["cells"]]


def state(profile: Profile, notebook: str, seed: int) -> str:
    """`done`, `part` (begun, or something of it was lost), `stale` (made by other code or settings) or `missing`.

    By a quick look at what is there: names and sizes. `put_right` reads it all.
    """
    ran, folder = executed(profile, notebook, seed), run_folder(profile, notebook, seed)
    if there(ran) and all(there(file) for file in noted(folder)):
        return "done"
    if ran.exists() or folder.exists():
        return "part"
    others = ran.parent.glob(f"{job_name(notebook, seed)}-{'[0-9a-f]' * 16}.ipynb")
    return "stale" if next(others, None) else "missing"


def put_right(profile: Profile, job: Job) -> None:
    """Look at all of what an execution has left. What is damaged is set aside, so that it is made again; of an
    execution that lost something the notebook is, as Snakemake looks for nothing else."""
    ran, folder = executed(profile, *job), run_folder(profile, *job)
    found = [whole(file) for file in noted(folder)]
    if not all(found):
        shutil.rmtree(done_parts(profile, *job), ignore_errors=True)
    if not all(found) and ran.exists():
        set_aside(ran, "shows what is lost")
        for file in noted(folder):
            if file.is_relative_to(folder / SHOWN) and not file.exists():  # the notebook may make no such table now
                remove(file)
    whole(ran)


def not_shown(profile: Profile, job: Job) -> dict[Path, Path]:
    """A notebook's tables and figures that are not, or not so, where people look for them: made -> shown."""
    if job[1] != profile.seeds[0]:
        return {}  # of several seeds the first is shown; what is over all of them is in the tables of 07
    made, shown = run_folder(profile, *job) / SHOWN, shown_folder(profile)
    files = [file for file in sorted(made.rglob("[!.]*")) if file.is_file() and ".damaged-" not in file.name]
    pairs = {file: shown / file.relative_to(made) for file in files}
    return {a: b for a, b in pairs.items() if not (b.is_file() and a.read_bytes() == b.read_bytes())}


def show(profile: Profile, job: Job) -> list[Path]:
    """Put a notebook's tables and figures where people look for them; returns those that were not there so.

    What another run has shown there is kept in `earlier/`.
    """
    new, earlier = not_shown(profile, job), f"earlier/{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    for made, shown in new.items():
        if shown.exists():
            kept = shown_folder(profile) / earlier / shown.relative_to(shown_folder(profile))
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.replace(shown, kept)
        with atomic(shown) as temporary:
            shutil.copyfile(made, temporary)
    return [*new.values()]


def facts(profile: Profile, notebook: str, seed: int) -> dict[str, Any]:
    """What making a notebook's artefacts took, on all machines: seconds add up, memory is the highest of a job."""
    made = [*facts_by_part(profile, notebook, seed).values()]
    if not made:
        return {}
    sums = {k: round(sum(m[k] for m in made), 3) for k in ("seconds", "cpu_seconds") if all(k in m for m in made)}
    return made[-1] | sums | {"peak_mb": max(m["peak_mb"] for m in made)}


def facts_by_part(profile: Profile, notebook: str, seed: int) -> dict[str, dict[str, Any]]:
    """The same by part; the notebook itself, which comes last, is ""."""
    files = sorted(run_folder(profile, notebook, seed).glob("facts*.json"))  # facts.json is last: "-" < "."
    return {f.stem.removeprefix("facts").removeprefix("-"): json.loads(f.read_text()) for f in files if whole(f)}


def status(profile: Profile) -> list[dict[str, Any]]:
    """One row a job: state, seconds, peak memory, last line of its log."""
    rows = []
    for notebook, seed in all_jobs(profile):
        name, made = job_name(notebook, seed), facts(profile, notebook, seed)
        rows.append(
            {
                "notebook": name,
                "state": state(profile, notebook, seed),
                "seconds": made.get("seconds"),
                "peak_mb": made.get("peak_mb"),
                "last": last_line(log_of(profile, name))[:60],
            }
        )
    return rows


def times(profile: Profile) -> list[dict[str, Any]]:
    """Where the CPU-minutes went: one row a notebook and part, dearest first, each with its longest cell.

    Raises ProfileError when nothing was run.
    """
    rows = []
    for notebook, seed in all_jobs(profile):
        ran, name = executed(profile, notebook, seed), job_name(notebook, seed)
        for part, made in facts_by_part(profile, notebook, seed).items():
            cpu = made.get("cpu_seconds")  # not recorded by older runs
            rows.append(
                {
                    "notebook": name,
                    "part": part,
                    "seconds": round(made["seconds"], 1),
                    "cpu_minutes": None if cpu is None else round(cpu / 60, 2),
                    "share": None,
                    "peak_mb": made["peak_mb"],
                    "longest cell": longest_cell(ran) if not part and there(ran) else None,
                }
            )
    if not rows:
        raise ProfileError(f"profile {profile.name}: nothing was run yet; `nrsed run --profile {profile.name}` does")
    rows.sort(key=lambda row: -(row["cpu_minutes"] or 0))
    whole = {k: round(sum(row[k] or 0 for row in rows), 2) for k in ("seconds", "cpu_minutes")}
    for row in rows:
        if row["cpu_minutes"] is not None and whole["cpu_minutes"]:
            row["share"] = f"{row['cpu_minutes'] / whole['cpu_minutes']:.0%}"
    return [*rows, {"notebook": "all", **whole, "peak_mb": max(row["peak_mb"] for row in rows)}]


def longest_cell(notebook: Path) -> str:
    """Of an executed notebook: seconds, and the cell's last line."""
    cells = [c for c in json.loads(notebook.read_text())["cells"] if c["cell_type"] == "code" and c["source"]]
    took = [(c["metadata"].get("papermill", {}).get("duration") or 0, c["source"]) for c in cells]
    seconds, source = max(took, key=lambda pair: pair[0], default=(0, ""))
    return f"{seconds:.0f} s: {''.join(source).splitlines()[-1].strip()[:50]}" if source else ""


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of rows: numbers to the right, words to the left."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = []
    for name in names:
        values = [row.get(name) for row in rows]
        shown = [name, *("" if v is None else str(v) for v in values)]
        wide, numbers = max(map(len, shown)), not any(isinstance(v, str) for v in values)
        columns.append([text.rjust(wide) if numbers else text.ljust(wide) for text in shown])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def alone(profile: Profile, name: str) -> AbstractContextManager[None]:
    """Wait until no other process makes `name`: on a cluster, a job may outlive the run that sent it."""
    return one_at_a_time(log_of(profile, name).with_suffix(".lock"), f"{name}: another job is at it")
