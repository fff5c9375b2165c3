"""Which epoch of a training is kept, as released: the one in which the student does best on validation clips.

The objective is the macro F1 of clip-wise predictions on weak clips that do not train, and the intersection-based F1
(both tolerances 0.5) of events on strong ones, both at a threshold of 0.5. `sed.ways.kept = ours` keeps the last step.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nrsed_lib.data.clips import Clips
from nrsed_lib.profile import Profile
from nrsed_lib.sed.detector import THRESHOLD, Detector, Features, median_filter
from nrsed_lib.sed.training_set import TrainingSet

with warnings.catch_warnings():  # a dependency of the library imports pkg_resources
    warnings.simplefilter("ignore")
    from sed_scores_eval.base_modules.scores import create_score_dataframe
    from sed_scores_eval.intersection_based import fscore

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
    """Macro F1 of events, matched by how much they overlap (Bilen et al. 2020). frames: (nb_clips, nb_classes, T)."""
    there = (frames > THRESHOLD).transpose(1, 2).double().cpu().numpy()
    edges, classes = np.linspace(0, clips.seconds, there.shape[1] + 1), list(clips.classes)
    tables = {name: create_score_dataframe(s, edges, classes) for name, s in zip(clips.names, there, strict=True)}
    found = fscore(tables, clips.ground_truth, THRESHOLD, dtc_threshold=TOLERANCE, gtc_threshold=TOLERANCE)[0]
    return float(found["macro_average"])


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
