"""The parts of a notebook that take long: trainings, tests of one condition each, shards of data sets on disk.

A notebook computes its own parts, one after the other. Ahead of it each may be computed by a job of its own, on another
machine or by several processes (`sharding.py`); the notebook then finds it done and shows it. That is how a cluster is
kept busy, and how a training gets more than one device.
"""

from __future__ import annotations

import importlib
from contextlib import nullcontext

from nrsed_lib.artefacts import job_name, open_run
from nrsed_lib.errors import ProfileError
from nrsed_lib.profile import Profile
from nrsed_lib.run.jobs import alone, log_of
from nrsed_lib.run.provenance import watched
from nrsed_lib.series import SERIES, plugin


def parts(notebook: str, profile: Profile) -> list[str]:
    """Names of a notebook's parts; none of one that is quick, not in the series, or a study not in the profile."""
    spec = SERIES.get(notebook)
    if spec is None or spec.parts is None or (spec.study and not profile.studies):
        return []
    match spec.parts.each:
        case "artefact":
            return spec.made(profile.evaluate.reviewer_rows)
        case "condition":
            return [*profile.data.conditions]
        case "shard":  # a data source that leaves shards on disk says which
            shards = getattr(plugin("data.source", profile.data.source), "shards_of", None)
            return shards(profile.data) if shards else []
        case "trial":
            return _trials(spec.parts.make, profile)


def _trials(make: str, profile: Profile) -> list[str]:
    """Of the study whose trials `make` makes: its variants, with every seed."""
    from nrsed_lib.studies.settings import studies_of
    from nrsed_lib.studies.trials import trials

    package = make.partition(":")[0].rpartition(".")[0]
    variants = importlib.import_module(f"{package}.variants").variants(profile)
    return [trial.name for trial in trials(variants, studies_of(profile).seeds)]


def compute(notebook: str, profile: Profile, seed: int, part: str | None = None) -> None:
    """Compute a part of a notebook, or all its parts, and leave it where the notebook looks for it.

    Under torchrun the processes train together. A part that is done costs nothing; one that was killed
    resumes. Raises ProfileError naming a notebook or part that is not there, or that processes can not share.
    """
    from nrsed_lib import sharding

    known = parts(notebook, profile)
    if not known or part not in (None, *known):
        named = {id_: of for id_ in SERIES if (of := parts(id_, profile))}
        raise ProfileError(f"notebook {notebook} has no part {part or ''}: the parts are {named}")
    made = SERIES[notebook].parts
    assert made is not None  # or `known` were empty
    module, _, function = made.make.partition(":")
    make = getattr(importlib.import_module(module), function)
    sharding.start()
    if sharding.size() > 1 and not made.shared:
        raise ProfileError(f"notebook {notebook} is not shared by processes: start one for each of {', '.join(known)}")
    for name in [part] if part else known:
        label = f"{job_name(notebook, seed)}-{name}"
        first = sharding.is_first()
        with alone(profile, label) if first else nullcontext():
            sharding.wait()  # until the first one is alone
            run = open_run(notebook, profile, seed=seed)
            with watched(label, log_of(profile, label), run.folder, f"facts-{name}.json") if first else nullcontext():
                make(run, name)
