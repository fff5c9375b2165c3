"""Mean-teacher learning (Tarvainen and Valpola 2017) with the losses of the paper.

The student learns from labels (Eq. 2) and from agreeing with the teacher on every clip; the teacher is
the student's exponential moving average, and it is the teacher that detects afterwards.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nrsed_lib.artefacts import Run
from nrsed_lib.profile import Schedule
from nrsed_lib.sed import augment
from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.training_set import TrainingSet
from nrsed_lib.training import Loss, Optimiser, Step, descend, keep, warmup

OPTIMISER = Optimiser(torch.optim.Adam, warmup)  # section III-C

Hear = Callable[[Tensor, int], Features]  # clip numbers (B,) and step -> features
Scores = tuple[Tensor, Tensor]  # strong (B, nb_classes, nb_frames), weak (B, nb_classes)


def label_loss(scores: Scores, labels: Scores, sizes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Eq. 2: binary cross entropy of frame-wise and clip-wise predictions, (), ().

    Frames count for the strong clips; clips for the strong and the weak ones. sizes: numbers of strong, weak and
    unlabelled clips, in whose order the batch is.
    """
    nb_strong, nb_labelled = sizes[0], sizes[0] + sizes[1]
    return (
        F.binary_cross_entropy(scores[0][:nb_strong], labels[0][:nb_strong]),
        F.binary_cross_entropy(scores[1][:nb_labelled], labels[1][:nb_labelled]),
    )


def consistency_loss(student: Scores, teacher: Scores) -> tuple[Tensor, Tensor]:
    """Mean squared difference of frame-wise and of clip-wise predictions, of every clip, (), ()."""
    return F.mse_loss(student[0], teacher[0]), F.mse_loss(student[1], teacher[1])


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, step: int, ema: float) -> None:
    """teacher ← a · teacher + (1 - a) · student, a = min(1 - 1 / (step + 1), ema).

    Parameters and batch-norm statistics alike, so that the teacher is at every step the network that
    would be kept, in evaluation mode. The early a makes it the plain mean of the first students.
    """
    keep = min(1 - 1 / (step + 1), ema)
    for old, new in zip(teacher.state_dict().values(), student.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - keep)


def train_student(
    run: Run, name: str, detector: Detector, hear: Hear, clips: TrainingSet, schedule: Schedule
) -> pd.DataFrame:
    """Train `detector`; leave its teacher in `<name>.safetensors`, and `history_<name>.csv`, which is returned.

    hear(index, step) gives the features of the drawn clips: from a cache, or with noise. Returns one row a step: the
    four terms of the loss, their weighted sum, and the rate.
    """
    sed, student = run.profile.sed, detector.crnn
    teacher = copy.deepcopy(student).requires_grad_(False).eval()

    def draw(step: Step) -> tuple[Tensor | None, ...]:
        index = clips.draw(sed.batch, step.generator)
        features = hear(index, step.number)
        return augment.augment(features, clips.strong[index], clips.weak[index], step.sizes, detector)

    def losses(
        step: Step, masked: Tensor, mels: Tensor, embeddings: Tensor | None, strong: Tensor, weak: Tensor
    ) -> dict[str, Loss]:
        seen = student(masked, embeddings)
        with torch.no_grad():
            taught = teacher(mels, embeddings)
        loss_strong, loss_weak = label_loss(seen, (strong, weak), step.sizes)
        gap_strong, gap_weak = consistency_loss(seen, taught)
        consistency = sed.consistency * warmup(step.number, schedule)
        return {
            "strong": Loss(loss_strong, groups=1),
            "weak": Loss(loss_weak, groups=2),
            "consistency_strong": Loss(gap_strong, consistency),
            "consistency_weak": Loss(gap_weak, consistency),
        }

    history = descend(
        name, student, draw, losses, OPTIMISER, schedule, sed.batch.sizes, run.folder, run.seed,
        after=lambda i: update_teacher(teacher, student, i, sed.ema), beside={"teacher": teacher},
    )  # fmt: skip
    student.load_state_dict(teacher.state_dict())
    keep(*files(run, name), student.state_dict(), history, classes=detector.classes)
    return history


def files(run: Run, name: str) -> tuple[Path, Path]:
    """Of the detector `name`: its weights, and the history of its training."""
    return run.folder / f"{name}.safetensors", run.folder / f"history_{name}.csv"
