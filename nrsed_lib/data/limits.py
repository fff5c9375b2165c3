"""What each data source has: classes, noises, conditions. From committed tables, before anything heavy is imported."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from itertools import combinations

from nrsed_lib.paths import DATA
from nrsed_lib.profile import VOCABULARIES, Data, Profile, rows
from nrsed_lib.settings.plain_yaml import table
from nrsed_lib.settings.section import Check

MOST_CLASSES = 3  # of target classes in a clip (data/soundscapes.py)
MIXED = 4  # classes, at least: a queried one and those it is mixed with (lass/mixtures.py)


@functools.cache
def known(source: str) -> tuple[Collection[str], Collection[str]]:
    """Target classes and noise classes of a source."""
    if source == "synth":
        return table(DATA / "synth.yaml")["targets"], table(DATA / "synth.yaml")["noises"]
    if source == "recordings":
        of_role: dict[str, set[str]] = {"target": set(), "noise": set()}
        for row in rows(DATA / "recordings.csv"):
            of_role[row["role"]].add(row["label"])
        return of_role["target"], of_role["noise"]
    label_sets, noises = rows(DATA / "vocabulary" / "desed_label_sets.csv"), rows(VOCABULARIES["AudioSet-Strong"])
    return {name for row in label_sets for name in row["label_set"].split(" + ")}, {row["class"] for row in noises}


def checks(profile: Profile) -> Iterator[Check]:
    data, batch = profile.data, profile.sed.batch
    for key, there in zip(("classes", "noise_classes"), known(data.source), strict=True):
        strange = [name for name in getattr(data, key) if name not in there]
        like = [near for name in strange[:1] for near in get_close_matches(name, there, 3) or sorted(there)[:10]]
        remedy = f"use some of the {len(there)} it has, e.g. {', '.join(like)}"
        yield strange, f"data.{key}", f"{strange[:5]} are unknown to the source {data.source}", remedy
    nb, remedy = len({*data.classes, *data.noise_classes}), f"name {MIXED} or more, which mixtures need"
    yield nb < MIXED, "data.noise_classes", f"and classes are {nb} together", remedy
    for kind, nb in zip(("strong", "weak", "unlabelled"), batch.sizes, strict=True):
        what = f"is more than there are clips, {(clips := getattr(data, f'nb_{kind}'))}"
        yield nb > clips, f"sed.batch.{kind}", what, f"lower it, or raise data.nb_{kind}"
    if data.source == "desed":
        wild = [name.removeprefix("wild_test_") for name in table(DATA / "desed.yaml")["wild"]]
        strange = [name for name in data.conditions if name not in ("clean", *wild)]
        yield strange, "data.snrs_db", f"WildDESED has no {', '.join(strange)}", "use some of [10, 5, 0, -5]"
    else:
        alone, file = next(_without_noise(data), None), f"data/scenarios/{data.source}.yaml"
        yield alone, "data.noise_classes", f"fit no scenario of {file} for a clip of {alone}", "add some of its noises"


def _without_noise(data: Data) -> Iterator[list[str]]:
    """The classes of clips that may come up, "none" for no class, over which no scenario has a noise to lay."""
    rooms, heard = table(DATA / "soundscapes.yaml")["rooms"], table(DATA / "scenarios" / f"{data.source}.yaml")
    noises = {*data.noise_classes} & {name for names in heard["scenarios"].values() for name in names}
    for room in rooms.values():
        there = [name for name in room if name in data.classes]
        for labels in combinations(there, min(MOST_CLASSES, data.max_events_per_clip, len(there))):
            if labels and noises <= {noise for name in labels for noise in heard["similar"].get(name, ())}:
                yield sorted(labels)
    if noises <= {*heard["inhabited"]}:
        yield ["none"]
