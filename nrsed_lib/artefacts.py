"""What notebooks leave: a folder for each, found by the artefact's name, and by the key that says what made it.

A notebook's folder is named by its key: a digest of the code it runs, the settings it reads, its seed, the converted
weights it starts from, and the keys of the notebooks before it. So whatever a notebook finds in its own folder is its
own, resuming needs no more than "does the file exist", and what other settings or other code have made lies beside it,
untouched. What a file holds is checked (`store.whole`) when its folder is opened and when another notebook finds it.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from nrsed_lib.errors import StoreError
from nrsed_lib.paths import NOTEBOOKS, ROOT, results_root
from nrsed_lib.profile import PROFILES, Profile, load_profile
from nrsed_lib.series import PLUGINS, SERIES, maker
from nrsed_lib.store import digest, keep_sums, noted, set_aside, whole
from nrsed_lib.weights import weights_fingerprint

AUDIO = ".npy"  # beside which its index lies: clip lists, labels, lengths
SHOWN = "shown"  # of a notebook's folder: what people look at
# How things are shown, stored and driven does not change what they are; of weights the content is in the key.
NOT_IN_KEY = frozenset(
    {"profile", "series", "artefacts", "store", "paths", "errors", "weights", "plots", "run", "history"}
)


@dataclass(frozen=True)
class Run:
    """One notebook of one run, with the folders it may read and write. notebook: its id in the series."""

    profile: Profile
    notebook: str
    seed: int

    @functools.cached_property
    def folder(self) -> Path:
        """This notebook's own artefacts."""
        return run_folder(self.profile, self.notebook, self.seed)

    @property
    def tables(self) -> Path:
        """This notebook's tables; a run that ends well shows them in `shown_folder`."""
        return self.folder / SHOWN

    @property
    def figures(self) -> Path:
        """This notebook's figures, likewise."""
        return self.tables / "figures"

    def find(self, artefact: str, seed: int | None = None) -> Path:
        """An artefact that a notebook has left, e.g. "theta", of this run's seed unless another is given.

        Raises StoreError saying which notebook makes it, if it is not there or does not hold what was written to it.
        """
        by, suffix = maker(artefact)
        path = run_folder(self.profile, by, self.seed if seed is None else seed) / f"{artefact}{suffix}"
        index = [file for file in noted(path.parent) if file.stem == artefact] if suffix == AUDIO else []
        belonging = {path, *index}
        found = {file: "is damaged" if file.exists() else "is missing" for file in belonging}
        if lost := [file for file in belonging if not whole(file)]:  # and set aside, if it was there
            file, state = min(lost), found[min(lost)]
            raise StoreError(
                f"{file} {state}: it is made by {SERIES[by].name}; "
                f"run `nrsed run --profile {self.profile.name} --only {by}` or that notebook first"
            )
        return path


def open_run(
    notebook: str, profile: str | Path | Profile, overrides: Mapping[str, Any] | None = None, seed: int | None = None
) -> Run:
    """Open a notebook, by its id, of a run; its folder holds only what this very notebook made, and all of it whole.

    overrides: dotted profile keys, e.g. {"sed.train.steps": 50}. seed: the profile's first one by default.
    """
    if notebook not in SERIES:
        raise StoreError(f"no notebook {notebook!r}: use one of {', '.join(SERIES)}")
    if not isinstance(profile, Profile):
        profile = load_profile(profile, overrides)
    run = Run(profile, notebook, seed_of(notebook, profile, profile.seeds[0] if seed is None else seed))
    keep_sums(run.folder)
    for lost in [file for file in noted(run.folder) if not whole(file)]:
        for file in noted(run.folder):
            if file.exists() and _belong(file, lost, run):
                set_aside(file, f"belongs to {lost.name}, which is lost")
    return run


def _belong(file: Path, lost: Path, run: Run) -> bool:
    """Whether a file must be made anew with one that is lost: audio with its index, after which it is written and
    looked for; all of a trial's folder but its checkpoint, from which the rest is made again soon."""
    if file.parent != lost.parent or file.is_relative_to(run.tables):
        return False
    return file == lost.with_suffix(AUDIO) if file.parent == run.folder else file.suffix != ".pt"


def maker_of(artefact: str, profile: Profile, seed: int | None = None) -> Run:
    """The notebook that makes an artefact, of a profile's first seed unless another is given, without opening it."""
    return Run(profile, maker(artefact)[0], profile.seeds[0] if seed is None else seed)


def seed_of(notebook: str, profile: Profile, seed: int) -> int:
    """Whose execution of a notebook serves `seed`: its own; the first one's, where the notebook runs but once."""
    return seed if SERIES[notebook].each_seed(profile.data.source) else profile.seeds[0]


def job_name(notebook: str, seed: int) -> str:
    """Of a notebook's execution, e.g. "03_sed_training-seed0"."""
    return SERIES[notebook].name + (f"-seed{seed}" if SERIES[notebook].per_seed else "")


def run_folder(profile: Profile, notebook: str, seed: int) -> Path:
    """Where a notebook leaves its artefacts (never committed)."""
    seed = seed_of(notebook, profile, seed)
    return results_root() / profile.name / "work" / job_name(notebook, seed) / run_key(notebook, profile, seed)


def shown_folder(profile: Profile) -> Path:
    """Where a run shows tables, figures and report: the profile's folder, or with other settings one of its own."""
    settings = digest(profile.model_dump(mode="json"))
    as_it_is = (PROFILES / f"{profile.name}.yaml").is_file() and settings == _settings_of(profile.name)
    return results_root() / (profile.name if as_it_is else f"{profile.name}-{settings[:8]}")


@functools.cache
def _settings_of(name: str) -> str:
    return digest(load_profile(name).model_dump(mode="json"))


def run_key(notebook: str, profile: Profile, seed: int) -> str:
    """Digest of what the notebook's artefacts depend on (16 hex digits)."""
    return _key(notebook, profile, seed, profile.model_dump(), {})


def _key(notebook: str, profile: Profile, seed: int, values: Mapping[str, Any], known: dict[tuple, str]) -> str:
    """values: of the profile. known: keys found on the way, as several notebooks need the same."""
    spec, seed = SERIES[notebook], seed_of(notebook, profile, seed)
    if (found := known.get((notebook, seed))) is not None:
        return found
    seeds, needs = profile.seeds if spec.over_seeds else [seed], spec.needed(profile.data.source)
    known[notebook, seed] = digest(
        {p: file_digest(p) for p in code_of(notebook_file(notebook), besides=plugins_of(notebook, profile))},
        {str(p.relative_to(ROOT)): file_digest(str(p)) for pattern in spec.files for p in sorted(ROOT.glob(pattern))},
        {section: setting(values, section) for section in spec.reads},
        seed,
        [[_key(n, profile, s, values, known) for s in seeds] for n in needs],
        *([used] if (used := weights_of(notebook, profile)) else []),
    )
    return known[notebook, seed]


def weights_of(notebook: str, profile: Profile) -> dict[str, str]:
    """The converted weights that a notebook starts from, by the SHA-256 of their content; "" if missing."""
    lass, makes, names = profile.lass, SERIES[notebook].makes, []
    if "theta" in makes and profile.sed.encoder == "beats":
        names = ["beats"]
    elif "separator" in makes:
        names = [name for name in (lass.weights, "clap" if lass.text == "clap" else None) if name]
    return {name: weights_fingerprint(name) for name in names}


def plugins_of(notebook: str, profile: Profile) -> tuple[str, ...]:
    """The modules that a notebook imports because the profile names them."""
    read = tuple(f"{section}." for section in SERIES[notebook].reads)
    values = profile.model_dump()
    named = ((of, setting(values, key)) for key, of in PLUGINS.items() if f"{key}.".startswith(read))
    return tuple(of[name] for of, name in named if isinstance(name, str) and name in of)


def notebook_file(notebook: str) -> Path:
    return NOTEBOOKS / f"{SERIES[notebook].name}.ipynb"


@functools.cache
def code_of(notebook: Path, skip: frozenset[str] = NOT_IN_KEY, besides: tuple[str, ...] = ()) -> list[str]:
    """The library files a notebook runs, by following its imports and those of the modules `besides`, from the root;
    without those that have a name of `skip` in their path."""
    cells = json.loads(notebook.read_text())["cells"]
    lines = "".join("".join(c["source"]) + "\n" for c in cells if c["cell_type"] == "code").splitlines()
    code = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
    todo, seen = set(imports(code)) | set(besides), set()
    while todo:
        module = todo.pop()
        if module not in seen and not skip & set(module.split(".")):
            seen.add(module)
            file = module_file(module)
            package = module if file.name == "__init__.py" else module.rpartition(".")[0]
            todo |= imports(file.read_text(), package)
    return sorted(str(module_file(m).relative_to(ROOT)) for m in seen)


@functools.cache
def file_digest(path: str) -> str:
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


def setting(values: Mapping[str, Any], dotted: str) -> Any:
    """The value of a dotted key of a profile's values, sections as dictionaries."""
    value: Any = values
    for key in dotted.split("."):
        value = value[key]
    return value


def module_file(module: str) -> Path:
    base = ROOT.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@functools.cache  # by the text: parsing is what makes keys slow
def imports(source: str, package: str = "") -> frozenset[str]:
    """Names of the nrsed_lib modules that `source`, of a module in `package`, imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return frozenset(n for n in names if n.split(".")[0] == "nrsed_lib" and module_file(n).is_file())
