"""The systems of Table I, and the rows it leaves out, as a table of data; and the way of one clip through one of them.

A system is: who writes the queries, and which detectors hear what. Everything else is shared (section III). `follow`
is the method as the paper writes it, clip by clip and query by query; `testing` does the same for whole test sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import pandas as pd
import torch
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_condition, load_split
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.lass.separator import Separator, load_separator
from nrsed_lib.profile import Profile
from nrsed_lib.sed.detector import THRESHOLD, Detector, load_detector, median_filter
from nrsed_lib.training import device

MODELS = ("theta", "random", "no_curriculum", "full")  # g_theta, and the fine-tuned g_alpha of #5, #6 and #7

Input = Literal["mixture", "remix"]  # of a detector


@dataclass(frozen=True)
class System:
    """queries: None (no separation), "truth", "all", or the model whose predictions they are.
    detectors: (model, what it hears); more than one: the mean of their frame scores."""

    about: str
    queries: str | None
    detectors: tuple[tuple[str, Input], ...] = (("theta", "remix"),)


SYSTEMS = {
    "1": System("no separation", None, (("theta", "mixture"),)),
    "2": System("ground truth", "truth"),
    "3": System("all event texts", "all"),
    "4": System("ours without fine-tuning", "theta"),
    "5": System("ours without LLM", "random"),
    "6": System("ours without curriculum", "no_curriculum"),
    "7": System("ours", "full"),
}
for _name, _model in (("5", "random"), ("6", "no_curriculum"), ("7", "full")):
    SYSTEMS |= {
        f"{_name}-direct": System(f"g_alpha of #{_name} on the mixture", None, ((_model, "mixture"),)),
        f"{_name}-remix": System(f"g_alpha of #{_name} on the remix", _model, ((_model, "remix"),)),
        f"{_name}-both": System(
            f"mean of {_name}-direct and {_name}-remix", _model, ((_model, "mixture"), (_model, "remix"))
        ),
    }


@dataclass(frozen=True)
class Networks:
    """What a system is made of, on one device.

    detectors: by the names that systems use. texts: that ask the separator for each class. askers: who else writes
    queries: waveforms (B, nb_samples) -> (B, nb_classes), above THRESHOLD where a class is asked for. batch: how many
    clips, or queries, go through a network at a time.
    """

    detectors: Mapping[str, Detector]
    separator: Separator
    texts: list[str]
    batch: int
    median_frames: int = 7
    askers: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, models: Iterable[str] = MODELS, profile: Profile | None = None) -> Networks:
        """Those that a run has trained, asked by the names of its classes. Raises StoreError when one is missing.

        profile: to compute by, e.g. in another precision, if not by the run's.
        """
        profile = profile or run.profile
        return cls(
            {model: load_detector(run.find(model), profile) for model in models},
            load_separator(run.find("separator"), profile),
            [query_text(name) for name in profile.data.classes],
            profile.evaluate.batch,
            profile.sed.median_frames,
        )

    @cached_property
    def conditions(self) -> Tensor:
        """(nb_classes, condition_size): the texts, embedded once and not once a clip."""
        return self.separator.embed(self.texts)

    def clip_scores(self, who: str | None, mixtures: Tensor, labels: Tensor) -> Tensor:
        """Eq. 3: (B, nb_samples) and the weak labels (B, nb_classes) -> (B, nb_classes), high where `who` would ask."""
        given = {None: torch.zeros_like(labels), "truth": labels, "all": torch.ones_like(labels)}
        if who in given:
            return given[who]
        assert who is not None
        return self.askers[who](mixtures) if who in self.askers else self.detectors[who](mixtures)[1]

    def decide(self, frame_scores: Iterable[Tensor]) -> Tensor:
        """The mean of detectors' frame scores (B, nb_classes, nb_frames), median filtered."""
        return median_filter(torch.stack([*frame_scores]).mean(0), self.median_frames)


@dataclass(frozen=True)
class Route:
    """What one clip became on its way through a system."""

    clip_scores: Tensor  # (nb_classes,) of who writes the queries
    queries: list[int]  # the classes asked for
    tracks: list[Tensor]  # one a query, (nb_samples,)
    remix: Tensor  # (nb_samples,)
    frame_scores: Tensor  # (nb_classes, nb_frames)


@torch.inference_mode()
def follow(system: System, networks: Networks, mixture: Tensor, labels: Tensor) -> Route:
    """One clip through a system (section II-C): ask, separate, remix, detect.

    mixture: (nb_samples,). labels: (nb_classes,) weak labels, for the systems that are told the truth.
    """
    clip_scores = networks.clip_scores(system.queries, mixture[None], labels[None])[0]  # Eq. 3
    queries = (clip_scores > THRESHOLD).nonzero().flatten().tolist()
    tracks = [networks.separator(mixture[None], networks.conditions[[q]])[0] for q in queries]  # Eq. 4
    remix = torch.stack(tracks).mean(0) if tracks else mixture  # Eq. 5; without a query the mixture passes
    inputs = {"mixture": mixture[None], "remix": remix[None]}
    frame_scores = networks.decide(networks.detectors[model](inputs[what])[0] for model, what in system.detectors)
    return Route(clip_scores, queries, tracks, remix, frame_scores[0])


@dataclass(frozen=True)
class Followed:
    """One test clip on its way through stage 3; all tensors on the CPU."""

    name: str
    condition: str
    events: pd.DataFrame  # onset, offset, event_label of the truth
    mixture: Tensor  # (nb_samples,)
    clip_scores: Tensor  # (nb_classes,) of the model that writes the queries
    queries: list[str]  # the classes asked for
    tracks: list[Tensor]  # (nb_samples,), one a query
    remix: Tensor  # (nb_samples,)
    before: Tensor  # (nb_classes, nb_frames): g_theta on the mixture, #1
    after: Tensor  # (nb_classes, nb_frames): g_theta on the remix, #7


def follow_clip(run: Run, clip: int | str, condition: str, queries: str = "full") -> Followed:
    """Take one test clip through stage 3, keeping what is heard on the way.

    clip: its name or index. condition: "clean" or e.g. "0dB". queries: the model that writes them,
    "truth" or "all". Raises ValueError naming a clip, condition or query source that is not there.
    """
    clips, conditions = load_split(run, "test"), run.profile.data.conditions
    index = clips.names.index(clip) if isinstance(clip, str) and clip in clips.names else clip
    if not isinstance(index, int) or not 0 <= index < len(clips.names):
        raise ValueError(
            f"no test clip {clip!r}: use a name such as {clips.names[0]!r}, or 0 to {len(clips.names) - 1}"
        )
    if condition not in conditions:
        raise ValueError(f"no condition {condition!r}: use one of {', '.join(conditions)}")
    if queries not in {"truth", "all", *MODELS}:
        raise ValueError(f"no query source {queries!r}: use truth, all, {', '.join(MODELS)}")
    networks = Networks.of(run, {"theta", queries} & {*MODELS})
    mixture = load_condition(run, condition, [index])[0].to(device())
    labels = clips.weak()[index].to(device())
    route = follow(System("as asked", queries), networks, mixture, labels)
    return Followed(
        clips.names[index],
        condition,
        clips.events[clips.events["filename"] == clips.names[index]],
        mixture.cpu(),
        route.clip_scores.cpu(),
        [clips.classes[q] for q in route.queries],
        [track.cpu() for track in route.tracks],
        route.remix.cpu(),
        follow(SYSTEMS["1"], networks, mixture, labels).frame_scores.cpu(),
        route.frame_scores.cpu(),
    )
