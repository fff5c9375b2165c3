"""Which epoch of a training is kept, as released: the one in which the student does best on validation clips.

The objective is the macro F1 of clip-wise predictions on weak clips that do not train, and the intersection-based F1
(both tolerances 0.5) of events on strong ones, both at a threshold of 0.5. `sed.ways.kept = ours` keeps the last step.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nrsed_lib.data.clips import Clips
from nrsed_lib.profile import Profile
from nrsed_lib.sed.detector import THRESHOLD, Detector, Features, median_filter
from nrsed_lib.sed.training_set import TrainingSet

TOLERANCE = 0.5  # of detections (DTC) and of events (GTC)
BATCH = 64


class Heard(Protocol):
    """Features of clips by number."""

    def rows(self, index: Tensor) -> Features: ...


@dataclass(frozen=True)
class Validation:
    """Clips that do not train. strong: features of `clips`. weak: features, of which the rows `held_out` (n,) have the
    labels (n, nb_classes). first: the step from which on epochs count. median_frames: of the filter of frames."""

    detector: Detector
    strong: Heard
    clips: Clips
    weak: Heard
    held_out: Tensor
    labels: Tensor
    median_frames: int
    first: int = 0

    @classmethod
    def of(
        cls,
        profile: Profile,
        detector: Detector,
        strong: Heard,
        clips: Clips,
        weak: Heard,
        of: TrainingSet,
        first: int = 0,
    ) -> Validation:
        """By the weak clips of the training set `of` that do not train; their features are rows of `weak`."""
        rows = of.held_out
        return cls(detector, strong, clips, weak, rows, of.weak[rows], profile.sed.median_frames, first)

    @torch.no_grad()
    def objective(self, student: nn.Module) -> float:
        """Of 0 … 2. The student is in training mode before and after."""
        student.eval()
        index = torch.arange(len(self.clips), device=self.held_out.device)
        frames = torch.cat([strong for strong, _ in self._scores(student, self.strong, index)])
        heard = torch.cat([weak for _, weak in self._scores(student, self.weak, self.held_out)])
        student.train()
        return weak_f1(heard, self.labels) + intersection_f1(median_filter(frames, self.median_frames), self.clips)

    def _scores(self, student: nn.Module, of: Heard, index: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for some in index.split(BATCH):
            mels, embeddings = of.rows(some)
            yield student(self.detector.scale(mels), embeddings)


def weak_f1(scores: Tensor, labels: Tensor) -> float:
    """Macro F1 of clip-wise predictions, (n, nb_classes) each, without classes that are neither there nor heard."""
    heard, true = scores > THRESHOLD, labels > 0.5
    hits, all_ = (heard & true).sum(0), (heard.sum(0) + true.sum(0)).float()
    return float((2 * hits / all_)[all_ > 0].mean()) if all_.any() else 0.0


def intersection_f1(frames: Tensor, clips: Clips) -> float:
    """Macro F1 of events, matched by how much they overlap (Bilen et al. 2020), without classes that have none.

    A detection is right that lies in events for half of its time, an event found that right detections cover for half
    of it. frames: (nb_clips, nb_classes, nb_frames) probabilities. (sed_scores_eval finds the same, at all thresholds.)
    """
    there = F.pad((frames > THRESHOLD).to(torch.int8), (1, 1)).diff(dim=-1).cpu().numpy()  # 1: begins, -1: has ended
    apart = 2 * clips.seconds  # clips follow each other on one axis of time, and no event reaches into the next
    start = clips.events["filename"].map({name: apart * i for i, name in enumerate(clips.names)}).to_numpy(float)
    spans = clips.events[["onset", "offset"]].to_numpy(float) + start[:, None]
    scores = []
    for k, label in enumerate(clips.classes):
        true = spans[(clips.events["event_label"] == label).to_numpy()]
        found = np.stack([apart * i + at * clips.seconds / frames.shape[-1] for i, at in _edges(there[:, k])], 1)
        right = found[_within(found, true) >= TOLERANCE - 1e-6]
        hits = int((_within(true, right) >= TOLERANCE - 1e-6).sum())
        if nb := len(true) + hits + len(found) - len(right):
            scores.append(2 * hits / nb)
    return float(np.mean(scores)) if scores else 0.0


def _edges(there: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
    """Clip and frame where detections begin, and where they end. there: (nb_clips, nb_frames + 1)."""
    yield from (np.nonzero(there == sign) for sign in (1, -1))  # type: ignore[misc]


def _within(spans: NDArray, others: NDArray) -> NDArray:
    """The share of each span (n, 2) that others (m, 2) cover: (n,)."""
    if not len(others):
        return np.zeros(len(spans))
    order = np.argsort(others.ravel(), kind="stable")
    times = others.ravel()[order]
    nb_open = np.cumsum(np.where(order % 2, -1, 1))
    covered = np.concatenate([[0.0], np.cumsum(nb_open[:-1] * np.diff(times))])  # until each of `times`
    return np.diff(np.interp(spans, times, covered), axis=1)[:, 0] / np.diff(spans, axis=1)[:, 0]


class BestEpoch:
    """The teacher of the best epoch so far; part of a training's checkpoints."""

    def __init__(self, student: nn.Module, teacher: nn.Module, validation: Validation, length: int, steps: int) -> None:
        """length: of an epoch, in steps. steps: of the training."""
        self.student, self.teacher, self.validation = student, teacher, validation
        self.length, self.steps = length, steps
        self.score, self.weights = -1.0, copy.deepcopy(teacher.state_dict())

    def look(self, step: int) -> None:
        """After every step: where an epoch that counts ends, keep the teacher if the student has never been better."""
        ends = (step + 1) % self.length == 0 or step + 1 == self.steps
        if not ends or step < self.validation.first:
            return
        score = self.validation.objective(self.student)
        if score > self.score:
            self.score, self.weights = score, copy.deepcopy(self.teacher.state_dict())

    def state_dict(self) -> dict[str, Any]:
        return {"score": self.score, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        self.score, self.weights = state["score"], state["weights"]
