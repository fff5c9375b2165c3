"""What the training of task 9 is drawn from: pairs of sounds of different kinds, and a caption of the first.

The profile's own sounds carry the captions of their class and are drawn by the one mixer, every class as often.
FSD50K and Clotho carry captions of their own, clip by clip, and are drawn clip by clip (`development.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import Sources
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.errors import DataError
from nrsed_lib.lass.mixtures import Mixer
from nrsed_lib.studies.settings import studies_of
from nrsed_lib.studies.task9.development import Captioned, captioned_sounds
from nrsed_lib.studies.texts.captions import Caption, captions_of
from nrsed_lib.training import device

NB_TRIES = 100  # for a clip of another kind


@dataclass(frozen=True)
class Unmixed:
    """targets, noises: (B, nb_samples) float32, unmixed. queries: B captions of the targets."""

    targets: Tensor
    noises: Tensor
    queries: list[str]


class Sounds(Protocol):
    def draw(self, batch: int, generator: torch.Generator) -> Unmixed: ...


def training_sounds(run: Run, nb_samples: int) -> Sounds:
    """What `studies.task9.sounds` names: the profile's own training sounds, or FSD50K and Clotho."""
    if studies_of(run.profile).task9.sounds == "development":
        return ClipByClip(captioned_sounds(run))
    sources = load_sources(run, "train")
    return ClassByClass(sources.to(device()), nb_samples, captions_of(sources.by_label))


class ClassByClass:
    """Pairs of classes that are drawn as often; queries are the caption of the class and its paraphrases, which
    makes about as many as Clotho has of a clip."""

    def __init__(self, sources: Sources, nb_samples: int, captions: Mapping[str, Caption]) -> None:
        self.mixer = Mixer(sources, nb_samples)
        self.texts = [
            (captions[label].original, *captions[label].augmented["paraphrase"]) for label in self.mixer.labels
        ]

    def draw(self, batch: int, generator: torch.Generator) -> Unmixed:
        apart = self.mixer.draw_apart(batch, 2, (0, 0), generator)
        queries = _one_each([self.texts[label] for label in apart.classes[:, 0].tolist()], generator)
        return Unmixed(apart.sounds[:, 0], apart.sounds[:, 1], queries)


class ClipByClip:
    """Pairs of pieces of clips, each as often; the second is of another kind, as far as the labels tell.

    Raises DataError where hardly any pair of clips is of two kinds.
    """

    def __init__(self, captioned: Captioned) -> None:
        self.captioned = captioned

    def draw(self, batch: int, generator: torch.Generator) -> Unmixed:
        first = torch.randint(len(self.captioned), (batch,), generator=generator).tolist()
        second = [self._other(row, generator) for row in first]
        sounds = self.captioned.waveforms([*first, *second]).to(device())
        queries = _one_each([self.captioned.captions[row] for row in first], generator)
        return Unmixed(sounds[:batch], sounds[batch:], queries)

    def _other(self, row: int, generator: torch.Generator) -> int:
        kinds = self.captioned.kinds
        for other in torch.randint(len(kinds), (NB_TRIES,), generator=generator).tolist():
            if other != row and not kinds[row] & kinds[other]:
                return other
        raise DataError(f"none of {NB_TRIES} clips is of another kind than {sorted(kinds[row])}: give more kinds")


def _one_each(texts: Sequence[Sequence[str]], generator: torch.Generator) -> list[str]:
    choice = torch.rand(len(texts), generator=generator).tolist()
    return [several[int(c * len(several))] for several, c in zip(texts, choice, strict=True)]
