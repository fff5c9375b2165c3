"""What each data source has: classes, noises, conditions. From committed tables, before anything heavy is imported."""

from __future__ import annotations

import csv
import functools
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import Any

from nrsed_lib.paths import DATA
from nrsed_lib.profile import VOCABULARIES, Data, Profile
from nrsed_lib.settings.plain_yaml import table
from nrsed_lib.settings.section import Fault

LABEL_SETS = DATA / "vocabulary" / "desed_label_sets.csv"
MOST_CLASSES = 3  # of target classes in a clip (data/soundscapes.py)
MIXED = 4  # classes, at least: a queried one and those it is mixed with (lass/mixtures.py)


@functools.cache
def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def known(source: str) -> tuple[Collection[str], Collection[str]]:
    """Target classes and noise classes of a source."""
    if source == "synth":
        models = table(DATA / "synth.yaml")
        return models["targets"], models["noises"]
    if source == "recordings":
        listed = rows(DATA / "recordings.csv")
        targets, noises = ({row["label"] for row in listed if row["role"] == role} for role in ("target", "noise"))
        return targets, noises
    labels = {name for row in rows(LABEL_SETS) for name in row["label_set"].split(" + ")}
    return labels, [row["class"] for row in rows(VOCABULARIES["AudioSet-Strong"])]


def faults(profile: Profile) -> Iterator[Fault]:
    data, batch = profile.data, profile.sed.batch
    for key, there in zip(("classes", "noise_classes"), known(data.source), strict=True):
        if strange := [name for name in getattr(data, key) if name not in there]:
            like = get_close_matches(strange[0], there, 3) or sorted(there)
            remedy = f"use some of the {len(there)} it has, e.g. {', '.join(like[:10])}"
            yield Fault(f"data.{key}", f"{strange[:5]} are unknown to the source {data.source}", remedy)
    if (nb := len({*data.classes, *data.noise_classes})) < MIXED:
        yield Fault(
            "data.noise_classes", f"and classes are {nb} together", f"name {MIXED} or more, which mixtures need"
        )
    for kind, nb in zip(("strong", "weak", "unlabelled"), batch.sizes, strict=True):
        if nb > (clips := getattr(data, f"nb_{kind}")):
            yield Fault(
                f"sed.batch.{kind}", f"is more than there are clips, {clips}", f"lower it, or raise data.nb_{kind}"
            )
    if data.source != "desed":
        if alone := next(_without_noise(data), None):
            what = f"fit no scenario of data/scenarios/{data.source}.yaml for a clip of {alone}"
            yield Fault("data.noise_classes", what, "add some of its noises")
        return
    wild = [name.removeprefix("wild_test_") for name in table(DATA / "desed.yaml")["wild"]]
    if strange := [name for name in data.conditions if name not in ("clean", *wild)]:
        yield Fault("data.snrs_db", f"WildDESED has no {', '.join(strange)}", "use some of [10, 5, 0, -5]")


def _without_noise(data: Data) -> Iterator[list[str]]:
    """The classes of clips that may come up, and over which no scenario has a noise to lay."""
    rooms, heard = table(DATA / "soundscapes.yaml")["rooms"], table(DATA / "scenarios" / f"{data.source}.yaml")
    scenarios: dict[str, Any] = heard["scenarios"]
    for room in rooms.values():
        there = [name for name in room if name in data.classes]
        for labels in combinations(there, min(MOST_CLASSES, data.max_events_per_clip, len(there))):
            alike = {noise for name in labels for noise in heard["similar"].get(name, ())}
            if labels and not any(set(of) & set(data.noise_classes) - alike for of in scenarios.values()):
                yield sorted(labels)
