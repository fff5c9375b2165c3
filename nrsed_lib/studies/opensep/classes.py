"""Which classes are learned from and which are tested: all of them, or one half and the other (Tables 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nrsed_lib.data.clips import Sources


@dataclass(frozen=True)
class ClassSplit:
    """Names of classes, sorted."""

    trained: list[str]
    tested: list[str]


def class_split(train: Sources, test: Sources, scope: str, seed: int) -> ClassSplit:
    """scope "all": every class with training recordings is learned from, and tested if it has test recordings.

    "half": half of all classes are held out, by lot, and tested. Those that have no training recordings come first
    into that half (nobody can learn from them), those without test recordings last. A class and its kinds (role
    "noise/<target>") stay together. Raises ValueError when fewer than two kinds of sound are left to test.
    """
    kind = {label: kind for of in (train, test) for label, kind in zip(of.labels, of.kinds, strict=True)}
    here, there = ({kind[label] for label in sources.labels} for sources in (train, test))
    names = sorted(here | there)
    lot = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    order = sorted(range(len(names)), key=lambda i: (names[i] in here, names[i] not in there, lot[i]))
    held_out = {names[i] for i in order[: len(names) // 2]} if scope == "half" else set[str]()
    trained, tested = here - held_out, (there & held_out if scope == "half" else here & there)
    if len(tested) < 2:
        raise ValueError(f"{len(tested)} kinds of sound to test with {scope} classes: a mixture needs two")
    return ClassSplit(*([label for label in sorted(kind) if kind[label] in side] for side in (trained, tested)))
