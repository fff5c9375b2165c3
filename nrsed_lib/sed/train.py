"""Stage 1: g_θ learns from clean clips."""

from __future__ import annotations

import pandas as pd
import torch
from tqdm import tqdm

from nrsed_lib.data.clips import FULL_SCALE
from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.mean_teacher import learn, learned
from nrsed_lib.sed.training_set import TrainingSet
from nrsed_lib.store import Run
from nrsed_lib.training import device


def train(run: Run) -> pd.DataFrame:
    """Stage 03: leave `theta.safetensors` and return its history, one row a step.

    Clean clips sound the same at every step, so their features are computed once.
    """
    if (history := learned(run, "theta")) is not None:
        return history
    torch.manual_seed(run.seed)
    detector = Detector(run.profile).to(device())
    clips = TrainingSet.load(run, detector.nb_frames, device())
    features = all_features(detector, clips.audio)
    return learn(run, "theta", detector, lambda index, *_: features.rows(index), clips, run.profile.sed.train)


def all_features(detector: Detector, audio: torch.Tensor, batch: int = 20) -> Features:
    """Features of every clip. audio: (nb_clips, nb_samples) int16."""
    parts = tqdm(audio.split(batch), desc="features", mininterval=1.0, leave=False)
    mels, embeddings = zip(*(detector.features(part.float() / FULL_SCALE) for part in parts), strict=True)
    return Features(torch.cat(mels), None if embeddings[0] is None else torch.cat(embeddings))
