"""Whether bfloat16 changes what is scored: systems of Table I with and without it, by the networks of a finished run.

Everything but the precision of the products is the same: networks, clips, queries' texts, this process. Nothing is
trained and the run is only read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_condition, load_split
from nrsed_lib.errors import ProfileError, StoreError
from nrsed_lib.evaluate.psds import psds
from nrsed_lib.evaluate.roc import SCENARIOS
from nrsed_lib.profile import Profile
from nrsed_lib.systems import systems_of
from nrsed_lib.testing import networks_of, score_mixtures
from nrsed_lib.training import device, has_bfloat16
from tools.measuring import Measurement

GOAL = 0.002  # largest difference of a P1 or P2
CHOSEN = ("1", "2", "3", "7")  # nothing separated; the true queries; all queries; predicted ones
CONDITIONS = ("clean", "0dB")


def in_precision(profile: Profile, bfloat16: bool) -> Profile:
    """The profile with every network that may compute in bfloat16 doing so, or none."""
    sections = {name: getattr(profile, name).model_copy(update={"bfloat16": bfloat16}) for name in ("sed", "lass")}
    return profile.model_copy(update=sections)


def frame_scores(run: Run, condition: str, bfloat16: bool) -> dict[str, Tensor]:
    """(nb_clips, nb_classes, nb_frames) float16 by system, on the CPU: what notebook 06 keeps, in either precision."""
    profile, clips = in_precision(run.profile, bfloat16), load_split(run, "test")
    networks, systems = networks_of(run, profile), systems_of(profile)
    scored = score_mixtures(networks, load_condition(run, condition), clips.weak(), systems)
    return {name: s.half().cpu() for name, s in scored.frame_scores.items()}


def precision(
    run: Run, conditions: Sequence[str] = CONDITIONS, systems: Sequence[str] = CHOSEN
) -> Iterator[Measurement]:
    """precision.<profile>-seed<seed>.<condition>.<system>: both PSDS in both precisions, their differences (bfloat16
    minus float32), and the largest difference of a frame's score.

    Raises StoreError naming what the run has not left or the machine has not, and ProfileError for a condition or
    system that is not there.
    """
    known_systems = systems_of(run.profile)
    for known, asked in ((run.profile.data.conditions, conditions), (known_systems, systems)):
        if strange := [name for name in asked if name not in known]:
            raise ProfileError(f"profile {run.profile.name} has no {strange[0]!r}: use some of {', '.join(known)}")
    if not has_bfloat16(torch.empty(0, device=device())):
        raise StoreError("this machine does not multiply bfloat16 in hardware: everything would be float32")
    clips = load_split(run, "test")
    for condition in tqdm(conditions, desc="precision", leave=False):
        low, full = (frame_scores(run, condition, bfloat16) for bfloat16 in (True, False))
        for name in systems:
            of_low, of_full = psds(low[name], clips), psds(full[name], clips)
            found = {"frame_difference": (low[name].float() - full[name].float()).abs().max().item()}
            for score in SCENARIOS:
                a, b = of_low[score], of_full[score]
                found |= {f"{score}_bfloat16": a, f"{score}_float32": b, f"{score}_difference": a - b}
            for quantity, value in found.items():
                key = f"precision.{run.profile.name}-seed{run.seed}.{condition}.{name}.{quantity}"
                yield Measurement(key, value, "", f"{len(clips)} clips, {known_systems[name].about}; goal {GOAL:g}")
