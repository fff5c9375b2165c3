"""Where results live: one folder a stage, atomic writes, and the key that says what made it.

A stage's folder is valid for one key: the code the stage runs, the settings it reads, its seed, the
converted weights it starts from, and the keys of the stages before it. `open_stage` empties a folder made
under another key, so whatever a stage finds in its own folder is its own, and resuming needs no more than
"does the file exist".
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from filelock import FileLock, Timeout

from nrsed_lib.profile import Profile, load_profile

if TYPE_CHECKING:
    from torch import Tensor  # a run is driven without loading torch

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"

# How things are shown, stored and driven does not change what they are; of weights the content is in the key.
NOT_IN_KEY = {
    "profile",
    "store",
    "plots",
    "pipeline",
    "jobs",
    "facts",
    "report",
    "readme",
    "readme_studies",
    "bench",
    "cli",
    "weights",
}


@dataclass(frozen=True)
class Stage:
    """A notebook of the series: what it needs, which settings it reads, whether seeds differ."""

    notebook: str
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()  # dotted sections of the profile
    files: tuple[str, ...] = ()  # committed inputs, as patterns from the root
    per_seed: bool = False
    threads: int = 1


CAPTIONS = ("data/captions/*.yaml", "data/captions/answers/*.json")

STAGES: dict[str, Stage] = {
    "01": Stage(
        "01_data_preparation",
        reads=("data",),
        files=("data/recordings.csv", "data/soundscapes.yaml", "data/scenarios/*.yaml"),
    ),
    "02": Stage(
        "02_llm_noise_selection", needs=("01",), reads=("llm",), files=("data/answers/*.json", "data/vocabulary/*.csv")
    ),
    "03": Stage(
        "03_sed_training",
        needs=("01",),
        reads=(
            "sed.encoder",
            "sed.bfloat16",
            "sed.mel",
            "sed.crnn",
            "sed.batch",
            "sed.train",
            "sed.ema",
            "sed.consistency",
            "sed.median_frames",
        ),
        per_seed=True,
    ),
    "04": Stage("04_curriculum_finetuning", needs=("01", "02", "03"), reads=("sed.finetune",), per_seed=True),
    "05": Stage("05_lass_model", needs=("01",), reads=("lass", "evaluate.nb_separation_mixtures")),
    "06": Stage("06_lass_testing", needs=("01", "03", "04", "05"), per_seed=True, threads=2),
    "07": Stage(
        "07_ablations",
        needs=("06",),
        reads=("seeds", "evaluate.nb_bootstrap"),
        files=("data/paper/table1.csv",),
        threads=2,
    ),
    "08": Stage("08_recall", needs=("06",), reads=("seeds",), files=("data/published.csv",)),
    "09": Stage("09_dcase_task9", needs=("01",), reads=("lass", "studies.seeds", "studies.task9"), files=CAPTIONS),
    "10": Stage(
        "10_caption_augmentation",
        needs=("01",),
        reads=("lass", "studies.seeds", "studies.nb_mixtures", "studies.captions"),
        files=CAPTIONS,
    ),
    "11": Stage(
        "11_opensep",
        needs=("01",),
        reads=(
            "lass",
            "llm.mode",
            "sed.encoder",
            "sed.bfloat16",
            "sed.mel",
            "studies.seeds",
            "studies.nb_mixtures",
            "studies.opensep",
        ),
        files=(*CAPTIONS, "data/paper/opensep.csv"),
    ),
    "12": Stage(
        "12_back_to_the_paper",
        needs=("06", "10", "11"),
        reads=("seeds", "evaluate.nb_bootstrap", "lass"),
        files=(*CAPTIONS, "data/paper/table1.csv"),
    ),
}
STUDIES = ("09", "10", "11", "12")  # which a profile may leave out, or leave to be asked for


class StoreError(RuntimeError):
    """Something an earlier stage should have left is missing; the message says how to make it."""


@dataclass(frozen=True)
class Run:
    """One stage of one run, with the folders it may read and write."""

    profile: Profile
    stage: str
    seed: int

    @property
    def tables(self) -> Path:
        """`results/<profile>/`: the tables and figures that are shown and may be committed."""
        return results_root() / self.profile.name

    @property
    def folder(self) -> Path:
        """This stage's own artefacts (never committed)."""
        return self.of(self.stage)

    def of(self, stage: str, seed: int | None = None) -> Path:
        """The folder of `stage`, at this run's seed unless another is given."""
        return stage_folder(self.profile, stage, self.seed if seed is None else seed)

    def find(self, stage: str, name: str, seed: int | None = None) -> Path:
        """A file that an earlier stage left. Raises StoreError saying which notebook makes it."""
        path = self.of(stage, seed) / name
        if not path.exists():
            raise StoreError(
                f"{path} is missing: it is made by {STAGES[stage].notebook}; "
                f"run `nrsed run --profile {self.profile.name} --only {stage}` or that notebook first"
            )
        return path


def open_stage(
    stage: str, profile: str | Path | Profile, overrides: Mapping[str, Any] | None = None, seed: int | None = None
) -> Run:
    """Open stage `stage` ("01" … "08") of a run; its folder holds only what this very stage made.

    overrides: dotted profile keys, e.g. {"sed.train.steps": 50}. seed: the training seed, the
    profile's first one by default.
    """
    if stage not in STAGES:
        raise StoreError(f"no stage {stage!r}: use one of {', '.join(STAGES)}")
    if not isinstance(profile, Profile):
        profile = load_profile(profile, overrides)
    run = Run(profile, stage, profile.seeds[0] if seed is None else seed)
    key, mark = stage_key(stage, profile, run.seed), run.folder / "key.txt"
    if run.folder.exists() and (not mark.exists() or mark.read_text() != key):
        shutil.rmtree(run.folder)
    run.folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(key)
    return run


def results_root() -> Path:
    return Path(os.environ.get("NRSED_RESULTS", ROOT / "results"))


def stage_folder(profile: Profile, stage: str, seed: int) -> Path:
    name = STAGES[stage].notebook + (f"-seed{seed}" if STAGES[stage].per_seed else "")
    return results_root() / profile.name / "work" / name


def stage_key(stage: str, profile: Profile, seed: int) -> str:
    """Digest of what the stage's artefacts depend on (16 hex digits)."""
    spec = STAGES[stage]
    seeds = [seed] if spec.per_seed else profile.seeds
    return digest(
        {p: file_digest(p) for p in code_of(ROOT / "notebooks" / f"{spec.notebook}.ipynb")},
        {str(p.relative_to(ROOT)): file_digest(str(p)) for pattern in spec.files for p in sorted(ROOT.glob(pattern))},
        {section: _section(profile, section) for section in spec.reads},
        seed if spec.per_seed else None,
        [[stage_key(need, profile, s) for s in (seeds if STAGES[need].per_seed else [seed])] for need in spec.needs],
        *([used] if (used := weights_of(stage, profile)) else []),
    )


def weights_of(stage: str, profile: Profile) -> dict[str, str]:
    """The converted weights that a stage starts from, by the SHA-256 of their content; "" if missing."""
    from nrsed_lib.weights.files import weights_fingerprint  # which needs ROOT

    lass, names = profile.lass, []
    if stage == "03" and profile.sed.encoder == "beats":
        names = ["beats"]
    elif stage == "05":
        names = [name for name in (lass.weights, "clap" if lass.text == "clap" else None) if name]
    return {name: weights_fingerprint(name) for name in names}


@functools.cache
def code_of(notebook: Path, skip: frozenset[str] = frozenset(NOT_IN_KEY)) -> list[str]:
    """The library files a notebook runs, by following its imports, but for those in `skip`; from the root."""
    cells = json.loads(notebook.read_text())["cells"]
    lines = "".join("".join(c["source"]) + "\n" for c in cells if c["cell_type"] == "code").splitlines()
    code = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
    todo, seen = set(_imports(code)), set()
    while todo:
        module = todo.pop()
        if module not in seen and module.partition(".")[2].split(".")[0] not in skip | {""}:
            seen.add(module)
            file = _module_file(module)
            package = module if file.name == "__init__.py" else module.rpartition(".")[0]
            todo |= _imports(file.read_text(), package)
    return sorted(str(_module_file(m).relative_to(ROOT)) for m in seen)


def digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


@functools.cache
def file_digest(path: str) -> str:
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


def _section(profile: Profile, dotted: str) -> Any:
    value: Any = profile.model_dump()
    for key in dotted.split("."):
        value = value[key]
    return value


def _module_file(module: str) -> Path:
    base = ROOT.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@functools.cache  # by the text: parsing is what makes keys slow
def _imports(source: str, package: str = "") -> frozenset[str]:
    """Names of the nrsed_lib modules that `source`, of a module in `package`, imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return frozenset(n for n in names if n.split(".")[0] == "nrsed_lib" and _module_file(n).is_file())


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def one_at_a_time(lock: Path, busy: str) -> Iterator[None]:
    """Hold the file `lock` in the block; while another process holds it, say `busy` and wait for that to end."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        print(f"{busy}; waiting for that to end", flush=True)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def write_json(path: Path, value: Any) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """CSV (or TSV, by the ending) without the index, numbers to six significant digits."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, sep="\t" if path.suffix == ".tsv" else ",", float_format="%.6g")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], **about: Any) -> None:
    """safetensors; `about` is kept as JSON in the header (see `read_tensors`)."""
    from safetensors.torch import save_file

    with atomic(path) as temporary:
        save_file(
            {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, {"about": json.dumps(about)}
        )


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and what was said about them. Never unpickles."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        about = json.loads((file.metadata() or {}).get("about", "{}"))
        return {k: file.get_tensor(k) for k in file.keys()}, about  # noqa: SIM118 (not a dict)


def write_figure(path: Path, figure: Any) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110, bbox_inches="tight")
