"""Mean-teacher learning (Tarvainen and Valpola 2017) with the losses of the paper.

The student learns from labels (Eq. 2) and from agreeing with the teacher on every clip; the teacher is
the student's exponential moving average, and it is the teacher that detects afterwards.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nrsed_lib import sharding
from nrsed_lib.artefacts import Run
from nrsed_lib.profile import Batch, Schedule
from nrsed_lib.sed import augment
from nrsed_lib.sed.detector import Detector, Features, save_detector
from nrsed_lib.sed.mel import scale
from nrsed_lib.sed.training_set import TrainingSet
from nrsed_lib.store import write_table
from nrsed_lib.training import Stateful, fit, warmup

MASK_SECONDS = 0.5  # longest gap in the student's spectrogram
MASK_BANDS = 1 / 8  # widest, as a share of the bands

Hear = Callable[[Tensor, int, torch.Generator], Features]  # clip numbers, step, generator -> features
Scores = tuple[Tensor, Tensor]  # strong (B, nb_classes, nb_frames), weak (B, nb_classes)


def label_loss(scores: Scores, labels: Scores, batch: Batch) -> tuple[Tensor, Tensor]:
    """Eq. 2: binary cross entropy of frame-wise and clip-wise predictions, (), ().

    Frames count for the strong clips; clips for the strong and the weak ones. The batch is in the
    order strong, weak, unlabelled.
    """
    nb_strong, nb_labelled = batch.strong, batch.strong + batch.weak
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


def learn(run: Run, name: str, detector: Detector, hear: Hear, clips: TrainingSet, schedule: Schedule) -> pd.DataFrame:
    """Train `detector`, leave its teacher in `<name>.safetensors`, `history_<name>.csv` and return the latter.

    hear(index, step, generator) gives the features of the drawn clips: from a cache, or with noise. Of
    several processes (`sharding.py`) each augments the whole batch and learns from its share.
    Returns one row a step: the four losses, the rate and the weight of consistency.
    """
    sed, mel_seconds = run.profile.sed, run.profile.sed.mel.hop / run.profile.data.sample_rate
    frame_seconds, embedding_seconds = detector.frame_seconds, detector.embedding_seconds
    sizes = [sed.batch.strong, sed.batch.weak, sed.batch.unlabelled]
    share = sharding.Share(tuple(sizes))
    own = Batch(**dict(zip(Batch.model_fields, share.own, strict=True)))
    teacher = copy.deepcopy(detector.crnn).requires_grad_(False).eval()
    student = sharding.as_one(detector.crnn, share).train()
    optimiser = torch.optim.Adam(student.parameters(), lr=schedule.lr)

    def step(i: int, generator: torch.Generator) -> dict[str, Tensor | float]:
        index = clips.draw(sed.batch, generator)
        features, strong = augment.shift(
            hear(index, i, generator), clips.strong[index], frame_seconds, mel_seconds, embedding_seconds
        )
        features, strong, weak = augment.mixup(features, strong, clips.weak[index], sizes)
        mels = scale(features.mels)
        masked = augment.mask(mels, 2, round(MASK_SECONDS / mel_seconds), nb_masks=2)
        masked = augment.mask(masked, 1, round(MASK_BANDS * mels.shape[1]))
        masked, mels, strong, weak = (share.of(x) for x in (masked, mels, strong, weak))
        embeddings = None if features.embeddings is None else share.of(features.embeddings)
        seen = student(masked, embeddings)
        with torch.no_grad():
            taught = teacher(mels, embeddings)
        ramp = warmup(i, schedule.warmup_steps)
        means = (*label_loss(seen, (strong, weak), own), *consistency_loss(seen, taught))
        loss_strong, loss_weak, gap_strong, gap_weak = (
            share.weight(nb_groups) * mean for nb_groups, mean in zip((1, 2, 3, 3), means, strict=True)
        )
        loss = loss_strong + loss_weak + sed.consistency * ramp * (gap_strong + gap_weak)
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr * ramp
        optimiser.zero_grad()
        loss.backward()
        sharding.add_gradients(student)
        optimiser.step()
        update_teacher(teacher, student, i, sed.ema)
        measured = {
            "loss": loss.detach(),
            "strong": loss_strong.detach(),
            "weak": loss_weak.detach(),
            "consistency_strong": gap_strong.detach(),
            "consistency_weak": gap_weak.detach(),
        }
        return sharding.add(measured) | {"lr": schedule.lr * ramp, "consistency_weight": sed.consistency * ramp}

    state: dict[str, Stateful] = {"student": student, "teacher": teacher, "optimiser": optimiser}
    rows = fit(name, step, state, schedule.steps, run.folder, run.seed)
    detector.crnn.load_state_dict(teacher.state_dict())
    if sharding.is_first():
        write_table(run.folder / f"history_{name}.csv", rows)
        save_detector(run.folder / f"{name}.safetensors", detector)  # last: when it is there, all is done
    sharding.wait()
    return rows


def learned(run: Run, name: str) -> pd.DataFrame | None:
    """The history of what `learn` has finished in this run; None: not yet."""
    done = (run.folder / f"{name}.safetensors").exists()
    return pd.read_csv(run.folder / f"history_{name}.csv") if done else None
