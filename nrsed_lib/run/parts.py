"""The parts of a stage that take long: trainings, tests of one condition each, shards of data sets on disk.

A notebook computes its own parts, one after the other. Ahead of it each may be computed by a job of its
own, on another machine or by several processes (`sharding.py`); the notebook then finds it done and
shows it. That is how a cluster is kept busy, and how a training gets more than one device.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from filelock import FileLock

from nrsed_lib.artefacts import Run, open_run, run_folder
from nrsed_lib.errors import ProfileError
from nrsed_lib.profile import Profile
from nrsed_lib.run.jobs import alone, work
from nrsed_lib.run.provenance import watched
from nrsed_lib.series import SERIES
from nrsed_lib.studies.captions import variants as captions
from nrsed_lib.studies.opensep import variants as opensep
from nrsed_lib.studies.settings import studies_of
from nrsed_lib.studies.task9 import variants as task9
from nrsed_lib.studies.trials import trials


def _splits_on_disk(profile: Profile) -> list[str]:
    if profile.data.source != "desed":
        return []
    from nrsed_lib.data.desed.prepare import shards_of  # which loads torch

    return shards_of(profile.data)


def _trials(variants: Callable[[Profile], list[str]]) -> Callable[[Profile], list[str]]:
    return lambda profile: [t.name for t in trials(variants(profile), studies_of(profile).seeds)]


@dataclass(frozen=True)
class Parts:
    """names: of a profile's parts. make: module and function that make one, given the run and its name; imported when
    it is called. shared: whether several processes may make one together."""

    names: Callable[[Profile], list[str]]
    make: tuple[str, str]
    shared: bool = False


PARTS: dict[str, Parts] = {
    "01": Parts(_splits_on_disk, ("nrsed_lib.data.desed.prepare", "make_shard")),
    "03": Parts(lambda _: ["theta"], ("nrsed_lib.sed.training", "train_detector"), shared=True),
    "04": Parts(lambda _: [*SERIES["04"].makes], ("nrsed_lib.sed.finetuning", "finetune"), shared=True),
    "05": Parts(lambda _: ["separator"], ("nrsed_lib.lass.training", "train_separator"), shared=True),
    "06": Parts(lambda profile: [*profile.data.conditions], ("nrsed_lib.testing", "test_systems")),
    "09": Parts(_trials(task9.variants), ("nrsed_lib.studies.task9.study", "study")),
    "10": Parts(_trials(captions.variants), ("nrsed_lib.studies.captions.study", "study")),
    "11": Parts(_trials(opensep.variants), ("nrsed_lib.studies.opensep.measure", "study")),
}


def parts(notebook: str, profile: Profile) -> list[str]:
    """Names of a notebook's parts; none for a notebook that is quick."""
    return PARTS[notebook].names(profile) if notebook in PARTS else []


def compute(stage: str, profile: Profile, seed: int, part: str | None = None) -> None:
    """Compute a part of a stage, or all its parts, and leave it where the stage's notebook looks for it.

    Under torchrun the processes train together. A part that is done costs nothing; one that was killed
    resumes. Raises ProfileError naming a stage or part that is not there, or that processes can not share.
    """
    from nrsed_lib import sharding

    known = parts(stage, profile)
    if not known or part not in (None, *known):
        named = {s: of for s in PARTS if (of := parts(s, profile))}
        raise ProfileError(f"stage {stage} has no part {part or ''}: the parts are {named}")
    module, function = PARTS[stage].make
    make = getattr(importlib.import_module(module), function)
    sharding.start()
    if sharding.size() > 1 and not PARTS[stage].shared:
        raise ProfileError(f"stage {stage} is not shared by processes: start one for each of {', '.join(known)}")
    for name in [part] if part else known:
        label = f"{run_folder(profile, stage, seed).name}-{name}"
        if not sharding.is_first():
            sharding.wait()  # until the first one is alone
            make(_open(stage, profile, seed), name)
            continue
        with alone(profile, label):
            sharding.wait()
            run = _open(stage, profile, seed)
            with watched(label, work(profile) / "logs" / f"{label}.log", run.folder, f"facts-{name}.json"):
                make(run, name)


def _open(stage: str, profile: Profile, seed: int) -> Run:
    """`open_run`, one process at a time: it may empty the folder."""
    with FileLock(work(profile) / "logs" / f"{run_folder(profile, stage, seed).name}.opening.lock"):
        return open_run(stage, profile, seed=seed)
