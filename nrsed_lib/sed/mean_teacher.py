"""Mean-teacher learning (Tarvainen and Valpola 2017) with the losses of the paper.

The student learns from labels (Eq. 2) and from agreeing with the teacher on every clip; the teacher is
the student's exponential moving average, and it is the teacher that detects afterwards.

The paper says no more than that. What it leaves open is data here: a row of a table for each of `sed.ways`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nrsed_lib import sharding
from nrsed_lib.artefacts import Run
from nrsed_lib.profile import Schedule
from nrsed_lib.sed.augment import AUGMENTATIONS
from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.training_set import DRAWS, TrainingSet
from nrsed_lib.sed.validation import BestEpoch, Validation
from nrsed_lib.training import Loss, Optimiser, Step, descend, full_then_warmup, keep, warmup

Hear = Callable[[Tensor, int], Features]  # clip numbers (B,) and step -> features
Scores = tuple[Tensor, Tensor]  # strong (B, nb_classes, nb_frames), weak (B, nb_classes)


class Teacher(NamedTuple):
    """training_mode: dropout, and statistics of its own batches, which are then its own and not averaged. ahead: the
    average is taken before the optimiser's step, of the student that the losses have seen."""

    training_mode: bool
    ahead: bool


TEACHERS = {"ours": Teacher(training_mode=False, ahead=False), "as_released": Teacher(training_mode=True, ahead=True)}

# Groups of a batch (strong, weak, unlabelled) whose clip-wise predictions learn from labels.
CLIP_LOSS = {"ours": slice(0, 2), "as_released": slice(1, 2)}

# Adam (section III-C) with the rate's warm-up, and the warm-up of the weight of consistency.
WARMUPS = {
    "ours": (Optimiser(torch.optim.Adam, warmup), warmup),
    "as_released": (Optimiser(torch.optim.Adam, full_then_warmup), lambda step, schedule: warmup(step + 1, schedule)),
}


def label_loss(
    scores: Scores, labels: Scores, sizes: tuple[int, ...], clips: slice = CLIP_LOSS["ours"]
) -> tuple[Tensor, Tensor]:
    """Eq. 2: binary cross entropy of frame-wise and clip-wise predictions, (), ().

    Frames count for the strong clips; clips for the groups `clips`. sizes: numbers of strong, weak and unlabelled
    clips, in whose order the batch is.
    """
    frames, rows = slice(0, sizes[0]), slice(sum(sizes[: clips.start]), sum(sizes[: clips.stop]))
    return (
        F.binary_cross_entropy(scores[0][frames], labels[0][frames]),
        F.binary_cross_entropy(scores[1][rows], labels[1][rows]),
    )


def consistency_loss(student: Scores, teacher: Scores) -> tuple[Tensor, Tensor]:
    """Mean squared difference of frame-wise and of clip-wise predictions, of every clip, (), ()."""
    return F.mse_loss(student[0], teacher[0]), F.mse_loss(student[1], teacher[1])


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, step: int, ema: float, statistics: bool = True) -> None:
    """teacher ← a · teacher + (1 - a) · student, a = min(1 - 1 / (step + 1), ema).

    Parameters and, if asked for, batch-norm statistics alike, so that the teacher is at every step the network that
    would be kept, in evaluation mode. The early a makes it the plain mean of the first students.
    """
    keep = min(1 - 1 / (step + 1), ema)
    nets = [net.state_dict() if statistics else dict(net.named_parameters()) for net in (teacher, student)]
    for old, new in zip(*(net.values() for net in nets), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - keep)


def train_student(
    run: Run,
    name: str,
    detector: Detector,
    hear: Hear,
    clips: TrainingSet,
    schedule: Schedule,
    validation: Validation | None = None,
) -> pd.DataFrame:
    """Train `detector`; leave its teacher in `<name>.safetensors`, and `history_<name>.csv`, which is returned.

    hear(index, step) gives the features of the drawn clips: from a cache, or with noise. validation: what the epoch is
    chosen by; None: the last step is kept. Returns one row a step: the four terms of the loss, their weighted sum, and
    the rate.
    """
    sed, ways, student = run.profile.sed, run.profile.sed.ways, detector.crnn
    mode, learning, (optimiser, ramp) = TEACHERS[ways.teacher], CLIP_LOSS[ways.clip_loss], WARMUPS[ways.warmup]
    teacher = copy.deepcopy(student).requires_grad_(False).train(mode.training_mode)
    sharding.as_one(teacher, sharding.Share(sed.batch.sizes))
    best = BestEpoch(student, teacher, validation, clips.epoch(sed.batch), schedule.steps) if validation else None

    def draw(step: Step) -> tuple[Tensor | None, ...]:
        index = DRAWS[ways.batches](clips, sed.batch, step, (run.seed, name))
        features = hear(index, step.number)
        return AUGMENTATIONS[ways.augmentation](features, clips.strong[index], clips.weak[index], step.sizes, detector)

    def losses(
        step: Step, student_mels: Tensor, teacher_mels: Tensor, embeddings: Tensor | None, strong: Tensor, weak: Tensor
    ) -> dict[str, Loss]:
        seen = student(student_mels, embeddings)
        with torch.no_grad():
            taught = teacher(teacher_mels, embeddings)
        loss_strong, loss_weak = label_loss(seen, (strong, weak), step.sizes, learning)
        gap_strong, gap_weak = consistency_loss(seen, taught)
        consistency = sed.consistency * ramp(step.number, schedule)
        if mode.ahead:
            update_teacher(teacher, student, step.number + 1, sed.ema, not mode.training_mode)
        return {
            "strong": Loss(loss_strong, groups=slice(1)),
            "weak": Loss(loss_weak, groups=learning),
            "consistency_strong": Loss(gap_strong, consistency),
            "consistency_weak": Loss(gap_weak, consistency),
        }

    def after(step: int) -> None:
        if not mode.ahead:
            update_teacher(teacher, student, step, sed.ema, not mode.training_mode)
        if best:
            best.look(step)

    history = descend(
        name, student, draw, losses, optimiser, schedule, sed.batch.sizes, run.folder, run.seed,
        after=after, beside={"teacher": teacher} | ({"best": best} if best else {}),
    )  # fmt: skip
    student.load_state_dict(best.weights if best else teacher.state_dict())
    keep(*files(run, name), student.state_dict(), history, classes=detector.classes)
    return history


def files(run: Run, name: str) -> tuple[Path, Path]:
    """Of the detector `name`: its weights, and the history of its training."""
    return run.folder / f"{name}.safetensors", run.folder / f"history_{name}.csv"
