"""The parts of a stage that take long: trainings, tests of one condition each, shards of data sets on disk.

A notebook computes its own parts, one after the other. Ahead of it each may be computed by a job of its
own, on another machine or by several processes (`processes.py`); the notebook then finds it done and
shows it. That is how a cluster is kept busy, and how a training gets more than one device.
"""

from __future__ import annotations

from collections.abc import Callable

from filelock import FileLock

from nrsed_lib.facts import watched
from nrsed_lib.jobs import alone, work
from nrsed_lib.profile import Profile, ProfileError
from nrsed_lib.store import STUDIES, Run, open_stage, stage_folder
from nrsed_lib.studies.trials import trials

TRAININGS = {"03": ["theta"], "04": ["random", "no_curriculum", "full"], "05": ["separator"]}


def parts(stage: str, profile: Profile) -> list[str]:
    """Names of a stage's parts; none for a stage that is quick."""
    if stage in STUDIES and profile.studies:
        return [trial.name for trial in trials(stage, profile)]
    if stage == "01" and profile.data.source == "desed":
        from nrsed_lib.data.prepare_desed import shards_of  # which loads torch

        return shards_of(profile.data)
    return list(profile.data.conditions) if stage == "06" else TRAININGS.get(stage, [])


def compute(stage: str, profile: Profile, seed: int, part: str | None = None) -> None:
    """Compute a part of a stage, or all its parts, and leave it where the stage's notebook looks for it.

    Under torchrun the processes train together. A part that is done costs nothing; one that was killed
    resumes. Raises ProfileError naming a stage or part that is not there, or that processes can not share.
    """
    from nrsed_lib import processes

    known = parts(stage, profile)
    if not known or part not in (None, *known):
        named = {s: of for s in MAKE if (of := parts(s, profile))}
        raise ProfileError(f"stage {stage} has no part {part or ''}: the parts are {named}")
    processes.start()
    if processes.size() > 1 and stage not in TRAININGS:
        raise ProfileError(f"stage {stage} is not shared by processes: start one for each of {', '.join(known)}")
    for name in [part] if part else known:
        label = f"{stage_folder(profile, stage, seed).name}-{name}"
        if not processes.is_first():
            processes.wait()  # until the first one is alone
            MAKE[stage](_open(stage, profile, seed), name)
            continue
        with alone(profile, label):
            processes.wait()
            run = _open(stage, profile, seed)
            with watched(label, work(profile) / "logs" / f"{label}.log", run.folder, f"facts-{name}.json"):
                MAKE[stage](run, name)


def _open(stage: str, profile: Profile, seed: int) -> Run:
    """`open_stage`, one process at a time: it may empty the folder."""
    with FileLock(work(profile) / "logs" / f"{stage_folder(profile, stage, seed).name}.opening.lock"):
        return open_stage(stage, profile, seed=seed)


def _shard(run: Run, name: str) -> None:
    from nrsed_lib.data.prepare_desed import make_shard

    make_shard(run, name)


def _detector(run: Run, _: str) -> None:
    from nrsed_lib.sed.train import train

    train(run)


def _finetuned(run: Run, name: str) -> None:
    from nrsed_lib.sed.finetune import finetune

    finetune(run, name)


def _separator(run: Run, _: str) -> None:
    from nrsed_lib.lass.train import train_separator

    train_separator(run)


def _condition(run: Run, name: str) -> None:
    from nrsed_lib.systems import test_systems

    test_systems(run, only=name)


def _task9(run: Run, name: str) -> None:
    from nrsed_lib.studies.task9 import study

    study(run, only=name)


def _captions(run: Run, name: str) -> None:
    from nrsed_lib.studies.augmentation import study

    study(run, only=name)


def _opensep(run: Run, name: str) -> None:
    from nrsed_lib.studies.opensep import study

    study(run, only=name)


MAKE: dict[str, Callable[[Run, str], None]] = {
    "01": _shard,
    "03": _detector,
    "04": _finetuned,
    "05": _separator,
    "06": _condition,
    "09": _task9,
    "10": _captions,
    "11": _opensep,
}
