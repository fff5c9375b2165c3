"""Labelled clips and frame scores for the tests: small, drawn from a seed, no audio."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from nrsed_lib.evaluate.psds import Labels, score_tables
from nrsed_lib.evaluate.roc import MAX_EFPR, SCENARIOS

with warnings.catch_warnings():  # a dependency of the library imports pkg_resources
    warnings.simplefilter("ignore")
    from sed_scores_eval.intersection_based import psds

SECONDS = 10.0


def draw_labels(nb_clips: int, nb_classes: int, seed: int = 0) -> Labels:
    """One or two events a clip, of different classes; class 0 lasts for most of the clip."""
    rng = np.random.default_rng(seed)
    names = [f"clip{i:03d}.wav" for i in range(nb_clips)]
    classes = tuple(f"Class_{c}" for c in range(nb_classes))
    truth = {}
    for name in names:
        chosen = rng.choice(nb_classes, rng.integers(1, 3), replace=False)
        onsets, lengths = rng.uniform(0, 3, len(chosen)), np.where(chosen == 0, 6.5, rng.uniform(0.5, 4, len(chosen)))
        truth[name] = [(float(a), float(a + b), classes[c]) for a, b, c in zip(onsets, lengths, chosen, strict=True)]
    return Labels(names, classes, SECONDS, dict.fromkeys(names, SECONDS), truth)


def activity(labels: Labels, nb_frames: int) -> Tensor:
    """(nb_clips, nb_classes, nb_frames): 1 in the frames whose middle lies in an event."""
    middle = (torch.arange(nb_frames) + 0.5) * SECONDS / nb_frames
    frames = torch.zeros(len(labels.names), len(labels.classes), nb_frames)
    for i, name in enumerate(labels.names):
        for onset, offset, label in labels.ground_truth[name]:
            frames[i, labels.classes.index(label)] += ((middle >= onset) & (middle < offset)).float()
    return frames.clamp(max=1)


def draw_scores(labels: Labels, quality: float, nb_frames: int = 40, seed: int = 0) -> Tensor:
    """Frame scores in (0, 1) that know the truth the better the higher `quality` is; float16, with ties."""
    generator = torch.Generator().manual_seed(seed)
    active = activity(labels, nb_frames)
    noise = torch.randn(active.shape, generator=generator)
    smooth = torch.nn.functional.avg_pool1d(noise, 5, stride=1, padding=2) * 2
    return torch.sigmoid(quality * active + smooth - quality / 2).half()


def library_psds(frame_scores: Tensor, labels: Labels) -> dict[str, float]:
    """PSDS of both scenarios as sed_scores_eval computes it, area and all: the reference."""
    tables = score_tables(frame_scores, labels)
    return {
        name: float(psds(tables, labels.ground_truth, labels.durations, **how, max_efpr=MAX_EFPR)[0])
        for name, how in SCENARIOS.items()
    }
