"""The systems of Table I, and the rows it leaves out, as a table of data; and the way of one clip through one of them.

A system is: who writes the queries, and which detectors hear what. Everything else is shared (section III). `follow`
is the method as the paper writes it, clip by clip and query by query; `testing` does the same for whole test sets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
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
from nrsed_lib.sed.detector import THRESHOLD, Detector, Features, load_detector, median_filter
from nrsed_lib.sed.tagger import load_tagger
from nrsed_lib.training import device

# g_θ, and g_α by its recipe of fine-tuning: of #5, #6 and #7, and of the rows that a reviewer asks for.
MODELS = ("theta", "random", "no_curriculum", "full", "longer", "smollm2", "filter")
TAGGER = "tagger"  # asks by what the encoder was pretrained to tell (sed/tagger.py)

SMOOTH_FRAMES = 21  # 1.3 s: a median that hears past noise (found on the development split, PROTOCOL.md)
WEIGHT_POWER = 0.2  # of each clip-wise probability that weighs frame scores (likewise)

Input = Literal["mixture", "remix"]  # of a detector
Threshold = Literal["half", "calibrated", "by class"]  # 0.5 as in section II-C, or set on validation clips
Thresholds = Mapping[Threshold, Mapping[str, Tensor]]  # for those not "half": who asks -> () or (nb_classes,)


@dataclass(frozen=True)
class Queries:
    """Who asks: the "truth", for "all" classes, a model, or an asker; above which clip-wise probability; and whether
    the truth takes away what is asked for in vain, or adds what is missed."""

    who: str
    threshold: Threshold = "half"
    mended: Literal["", "no false", "no missed"] = ""

    def asked(self, clip_scores: Mapping[str, Tensor], thresholds: Thresholds) -> Tensor:
        """bool (nb_clips, nb_classes). clip_scores: by who, of that shape, weak labels under "truth". Raises
        KeyError for one that is not in them, or has no threshold."""
        truth = clip_scores["truth"] > THRESHOLD
        if self.who == "all":
            return torch.ones_like(truth)
        threshold = THRESHOLD if self.threshold == "half" else thresholds[self.threshold][self.who]
        asked = clip_scores[self.who] > threshold
        return {"": asked, "no false": asked & truth, "no missed": asked | truth}[self.mended]

    @property
    def usable(self) -> bool:
        """Whether it needs no truth, and is more than asking for everything."""
        return self.who not in ("truth", "all") and not self.mended

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.who, self.threshold.replace("half", ""), self.mended)))


@dataclass(frozen=True)
class System:
    """queries: None is no separation. detectors: (model, what it hears); more than one: the mean of their frame
    scores. median_frames: None is the profile's. weighed: by whose clip-wise probabilities, of the mixture, the frame
    scores of a class are multiplied."""

    about: str
    queries: Queries | None
    detectors: tuple[tuple[str, Input], ...] = (("theta", "remix"),)
    median_frames: int | None = None
    weighed: tuple[str, ...] = ()


# As the paper calls them. Where it says LLM the noise of #6 and #7 is here, unless asked live, the written choice.
SYSTEMS = {
    "1": System("no separation", None, (("theta", "mixture"),)),
    "2": System("ground truth", Queries("truth")),
    "3": System("all event texts", Queries("all")),
    "4": System("ours without fine-tuning", Queries("theta")),
    "5": System("ours without LLM", Queries("random")),
    "6": System("ours without curriculum", Queries("no_curriculum")),
    "7": System("ours", Queries("full")),
}
for _name, _model in (("5", "random"), ("6", "no_curriculum"), ("7", "full")):
    SYSTEMS |= {
        f"{_name}-direct": System(f"g_α of #{_name} on the mixture", None, ((_model, "mixture"),)),
        f"{_name}-remix": System(f"g_α of #{_name} on the remix", Queries(_model), ((_model, "remix"),)),
        f"{_name}-both": System(
            f"mean of {_name}-direct and {_name}-remix", Queries(_model), ((_model, "mixture"), (_model, "remix"))
        ),
    }
# What a reviewer asks: where the gap of #7 to #2 comes from, whether noise or longer training helps, who has to choose
# the noise, and whether g_α is needed to ask.
REVIEWER_ROWS = {
    "1-longer": System("#1 trained on, on clean clips, for as many steps as #7", None, (("longer", "mixture"),)),
    "7-right": System("#7 without its false queries", Queries("full", mended="no false")),
    "7-complete": System("#7 with its missed queries added", Queries("full", mended="no missed")),
    "7-calibrated": System("#7, its threshold of queries set on validation", Queries("full", "calibrated")),
    "7-tagger": System("queries by the encoder's own tags, thresholds set on validation", Queries(TAGGER, "by class")),
    "7-smollm2": System("#7 with noise chosen by SmolLM2-135M", Queries("smollm2")),
    "7-smollm2-direct": System("g_α of 7-smollm2 on the mixture", None, (("smollm2", "mixture"),)),
    "7-filter": System("#7 with all noise but of similar classes, no LLM", Queries("filter")),
    "7-filter-direct": System("g_α of 7-filter on the mixture", None, (("filter", "mixture"),)),
}
# Beyond the paper: the best system one could use; and what of it is due to the longer median alone.
REVIEWER_ROWS["ensemble"] = System(
    "g_θ and g_α of #5 on mixture and remix, weighed by what they and the tagger hear in the clip",
    Queries("random"),
    (("theta", "mixture"), ("random", "mixture"), ("theta", "remix"), ("random", "remix")),
    SMOOTH_FRAMES,
    ("theta", "random", TAGGER),
)
for _name in ("1", "2", "7"):
    REVIEWER_ROWS[f"{_name}-smooth"] = replace(
        SYSTEMS[_name], about=f"#{_name} with the median of the ensemble", median_frames=SMOOTH_FRAMES
    )
SYSTEMS |= REVIEWER_ROWS


def systems_of(profile: Profile) -> dict[str, System]:
    """Those that a profile tests, in the order of its tables."""
    return {name: s for name, s in SYSTEMS.items() if profile.evaluate.reviewer_rows or name not in REVIEWER_ROWS}


def models_of(profile: Profile) -> tuple[str, ...]:
    """The models that these ask or hear with."""
    used = {model for s in systems_of(profile).values() for model, _ in (*s.detectors, *asking([s]))}
    return tuple(model for model in MODELS if model in used)


def asking(systems: Iterable[System]) -> set[tuple[str, Input]]:
    """Who has to hear the mixture for these systems to ask, or to weigh what they hear."""
    who = {name for s in systems for name in (*s.weighed, *([s.queries.who] if s.queries else []))}
    return {(name, "mixture") for name in who - {"truth", "all"}}


@dataclass(frozen=True)
class Networks:
    """What a system is made of, on one device.

    detectors: by the names that systems use. texts: that ask the separator for each class. askers: who else writes
    queries: waveforms (B, nb_samples) and the detectors' features of them -> clip scores (B, nb_classes). thresholds:
    of queries, see `Queries.asked`. batch: how many clips, or queries, go through a network at a time.
    """

    detectors: Mapping[str, Detector]
    separator: Separator
    texts: list[str]
    batch: int
    median_frames: int = 7
    askers: Mapping[str, Callable[[Tensor, Features], Tensor]] = field(default_factory=dict)
    thresholds: Thresholds = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, models: Iterable[str] | None = None, profile: Profile | None = None) -> Networks:
        """Those that a run has trained (`models_of` its profile by default), asked by the names of its classes, and
        the tagger if a system needs it. Raises StoreError when one is missing.

        profile: to compute by, e.g. in another precision, if not by the run's.
        """
        profile = profile or run.profile
        models = models_of(profile) if models is None else models
        tagged = (TAGGER, "mixture") in asking(systems_of(profile).values())
        return cls(
            {model: load_detector(run.find(model), profile) for model in models},
            load_separator(run.find("separator"), profile),
            [query_text(name) for name in profile.data.classes],
            profile.evaluate.batch,
            profile.sed.median_frames,
            {TAGGER: load_tagger(profile)} if tagged else {},
        )

    @cached_property
    def conditions(self) -> Tensor:
        """(nb_classes, condition_size): the texts, embedded once and not once a clip."""
        return self.separator.embed(self.texts)

    def clip_scores(self, who: str, mixtures: Tensor) -> Tensor:
        """Eq. 3: (B, nb_samples) -> (B, nb_classes), probabilities of a model or another asker."""
        if who in self.askers:
            return self.askers[who](mixtures, self.features(mixtures))
        return self.detectors[who](mixtures)[1]

    @property
    def who_asks(self) -> tuple[str, ...]:
        """Models and other askers."""
        return (*self.detectors, *self.askers)

    def features(self, waveforms: Tensor) -> Features:
        """What the detectors hear of (B, nb_samples) before anything that learns; they share it."""
        return next(iter(self.detectors.values())).features(waveforms)

    def hear(
        self, waveforms: Tensor, rows: Mapping[str, Tensor], askers: Iterable[str] = ()
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Frame scores (nb_heard, nb_classes, nb_frames) and clip scores (nb_heard, nb_classes), by name.

        rows: model -> (nb_waveforms,) bool, those that it has to hear (without any it has no scores). askers: who else
        hears, every waveform, for the clip scores. What does not learn is computed once for all.
        """
        askers = tuple(askers)
        wanted = torch.stack([*rows.values()]).any(0) | bool(askers)
        strong: dict[str, list[Tensor]] = defaultdict(list)
        weak: dict[str, list[Tensor]] = defaultdict(list)
        for some in wanted.nonzero().flatten().split(self.batch):
            features = self.features(waveforms[some])
            for name in askers:
                weak[name].append(self.askers[name](waveforms[some], features).to(waveforms))
            for name, mine in rows.items():
                if len(here := mine[some].nonzero().flatten()):
                    frame_scores, clip_scores = self.detectors[name].detect(features.rows(here))
                    strong[name].append(frame_scores)
                    weak[name].append(clip_scores)
        return {n: torch.cat(parts) for n, parts in strong.items()}, {n: torch.cat(parts) for n, parts in weak.items()}

    def decide(self, system: System, frame_scores: Iterable[Tensor], clip_scores: Mapping[str, Tensor]) -> Tensor:
        """The mean of its detectors' frame scores (B, nb_classes, nb_frames), median filtered and, if the system asks
        for it, weighed: multiplied by clip scores (B, nb_classes) to the power WEIGHT_POWER, of each who weighs."""
        scores = median_filter(torch.stack([*frame_scores]).mean(0), system.median_frames or self.median_frames)
        for who in system.weighed:
            scores = scores * clip_scores[who][..., None] ** WEIGHT_POWER
        return scores


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
    scores = {"truth": labels[None]} | {who: networks.clip_scores(who, mixture[None]) for who, _ in asking([system])}
    asked = system.queries.asked(scores, networks.thresholds) if system.queries else torch.zeros_like(labels[None])
    clip_scores = scores.get(system.queries.who, asked.float()) if system.queries else asked  # Eq. 3
    queries = asked[0].nonzero().flatten().tolist()
    tracks = [networks.separator(mixture[None], networks.conditions[[q]])[0] for q in queries]  # Eq. 4
    remix = torch.stack(tracks).mean(0) if tracks else mixture  # Eq. 5; without a query the mixture passes
    inputs = {"mixture": mixture[None], "remix": remix[None]}
    heard = [networks.detectors[model](inputs[what])[0] for model, what in system.detectors]
    frame_scores = networks.decide(system, heard, scores)
    return Route(clip_scores[0], queries, tracks, remix, frame_scores[0])


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
    before: Tensor  # (nb_classes, nb_frames): g_θ on the mixture, #1
    after: Tensor  # (nb_classes, nb_frames): g_θ on the remix, #7


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
    if queries not in (known := ("truth", "all", *models_of(run.profile))):
        raise ValueError(f"no query source {queries!r}: use {', '.join(known)}")
    networks = Networks.of(run, {"theta", queries} - {"truth", "all"})
    mixture = load_condition(run, condition, [index])[0].to(device())
    labels = clips.weak()[index].to(device())
    route = follow(System("as asked", Queries(queries)), networks, mixture, labels)
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
