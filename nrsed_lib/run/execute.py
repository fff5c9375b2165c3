"""Runs one notebook with papermill, and keeps what its cells wrote as a terminal would have shown it."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nrsed_lib.artefacts import job_name, notebook_file, run_folder
from nrsed_lib.errors import PipelineError
from nrsed_lib.history import commit
from nrsed_lib.paths import NOTEBOOKS
from nrsed_lib.profile import Profile
from nrsed_lib.run.jobs import alone, executed, job_key, log_of, show
from nrsed_lib.run.provenance import watched
from nrsed_lib.series import SERIES
from nrsed_lib.store import atomic, keep_sums


def execute(notebook: str, profile_name: str, profile: Profile, overrides: Mapping[str, Any], seed: int) -> Path:
    """Run one notebook with papermill; returns the executed notebook, which appears only when all is done.

    Raises PipelineError naming the notebook, the failing cell's error and the log.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    spec = SERIES[notebook]
    source, target, name = notebook_file(notebook), executed(profile, notebook, seed), job_name(notebook, seed)
    parameters: dict[str, Any] = {"profile": profile_name, "overrides": dict(overrides)} | (
        {"seed": seed} if spec.per_seed else {}
    )
    unknown = sorted(set(parameters) - set(papermill.inspect_notebook(_as_it_is(source))))
    if unknown:
        raise PipelineError(f"{source.name} has no parameter {unknown}: add it to the cell tagged 'parameters'")
    log = log_of(profile, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    keep_sums(target.parent)
    print(f"{name}: started, log in {short(log)}", flush=True)
    with (
        alone(profile, name),
        log.open("w") as stream,
        watched(name, log, run_folder(profile, notebook, seed)),
        atomic(target) as temporary,
        tempfile.TemporaryDirectory(prefix="nrsed-") as sockets,  # no ports that others on the machine can reach
    ):
        try:
            papermill.execute_notebook(
                _as_it_is(source),
                _as_it_is(temporary),
                parameters,
                cwd=str(NOTEBOOKS),
                kernel_name="python3",
                progress_bar=False,
                stdout_file=stream,
                stderr_file=stream,
                log_output=False,
                config=Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/kernel"}),
            )
        except PapermillExecutionError as error:
            failed = log.with_suffix(".failed.ipynb")
            os.replace(temporary, failed)
            raise PipelineError(
                f"{spec.name} stopped in cell {error.exec_count}: {error.ename}: {error.evalue}\n"
                f"  the notebook up to there: {short(failed)}\n"
                f"  mend it and run the same command again: what was computed is kept"
            ) from None
        note(temporary, {"key": job_key(profile, notebook, seed), "commit": commit()})
    show(profile, (notebook, seed))
    return target


def note(notebook: Path, about: Mapping[str, str]) -> None:
    """Keep in a notebook that is not in its place yet what made it, and of its progress bars how they ended."""
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


def _as_it_is(path: Path) -> str:
    """For papermill, which fills in what is in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def short(path: Path) -> str:
    """A path as it is named from the working directory, if it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
