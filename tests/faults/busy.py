"""What a run starts, with a notebook that sleeps, for the tests to end: `busy.py snakemake|shell|job|pool FOLDER`."""

import os
import shlex
import sys
import time
from pathlib import Path
from types import SimpleNamespace

sys.modules["torch"] = SimpleNamespace(set_num_threads=int)  # type: ignore[assignment]  # which takes seconds to load

from nrsed_lib.processes import PARENT, as_ctrl_c, each, end_with, started  # noqa: E402

PIPELINE = Path(sys.modules["nrsed_lib"].__path__[0], "run", "pipeline.py").read_text()
SNAKEFILE = "rule job:\n    output: 'done'\n    shell: '{config[python]:q} {config[busy]:q} job .'\n"
SCHEDULER = next(text for text in PIPELINE.split('"""') if "snakemake.cli" in text)  # not to load the rest of it
CELL = "import pathlib, time; pathlib.Path('begun').touch(); time.sleep(600)"


def run(folder: Path, *scheduler: str) -> None:
    """Command, scheduler, shell, job and kernel, as `nrsed run` starts them."""
    (folder / "Snakefile").write_text(SNAKEFILE)
    with (folder / "log").open("w") as log, started(scheduler, os.environ | {PARENT: str(os.getpid())}, log) as process:
        process.wait()


def snakemake(folder: Path) -> None:
    words = ["--snakefile", "Snakefile", "--directory", ".", "--cores", "1", "--nolock", "--config"]
    python, busy = f"python={sys.executable}", f"busy={Path(__file__).resolve()}"
    run(folder, sys.executable, "-c", SCHEDULER, str(os.getpid()), *words, python, busy)


def shell(folder: Path) -> None:
    run(folder, "bash", "-c", f"{shlex.join([sys.executable, str(Path(__file__).resolve())])} job .; true")


def job(folder: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    end_with(int(os.environ[PARENT]))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}).execute()


def pool(folder: Path) -> None:
    list(each(sleep, [folder / "1", folder / "begun"], 2))


def sleep(begun: Path) -> None:
    begun.touch()
    time.sleep(600)


if __name__ == "__main__":
    as_ctrl_c()
    os.chdir(sys.argv[2])
    globals()[sys.argv[1]](Path.cwd())
