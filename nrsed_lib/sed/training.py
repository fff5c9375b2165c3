"""Stage 1: g_θ learns from clean clips."""

from __future__ import annotations

import pandas as pd
import torch
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import FULL_SCALE
from nrsed_lib.data.prepare import load_split
from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.embeddings import KeptEmbeddings, keep_embeddings
from nrsed_lib.sed.mean_teacher import files, train_student
from nrsed_lib.sed.training_set import Audio, TrainingSet
from nrsed_lib.sed.validation import Validation
from nrsed_lib.training import device, kept


def train_detector(run: Run, name: str = "theta") -> pd.DataFrame:
    """Leave g_θ as `<name>.safetensors` and return its history, one row a step.

    Clean clips sound the same at every step, so their features are computed once: all in memory, but for
    BEATs', which would be 45 GB at the paper's scale and are kept, averaged, in a file (`sed/embeddings.py`).
    """
    if (history := kept(*files(run, name))) is not None:
        return history
    torch.manual_seed(run.seed)
    detector = Detector(run.profile).to(device())
    clips = TrainingSet.load(run, detector.nb_frames, device())
    features = clean_features(run, detector, clips.audio)
    validation = None
    if run.profile.sed.ways.kept == "as_released":
        held_out = load_split(run, "validation")
        heard = clean_features(run, detector, Audio((held_out.audio,), device()), "validation")
        validation = Validation.of(run.profile, detector, heard, held_out, features, clips)
    hear, schedule = (lambda index, _: features.rows(index)), run.profile.sed.train
    return train_student(run, name, detector, hear, clips, schedule, validation)


def clean_features(
    run: Run, detector: Detector, audio: torch.Tensor | Audio, what: str = "embeddings"
) -> Features | KeptEmbeddings:
    """Features of clips by number, for a whole training: in memory, or with BEATs' in `<what>.npy` (see above)."""
    if run.profile.sed.encoder == "beats":
        return keep_embeddings(detector, audio, run.folder / f"{what}.npy")
    return all_features(detector, audio)


def all_features(detector: Detector, audio: torch.Tensor | Audio, batch: int = 20) -> Features:
    """Features of every clip. audio: (nb_clips, nb_samples) int16."""
    starts = tqdm(range(0, len(audio), batch), desc="features", mininterval=1.0, leave=False)
    parts = (audio[start : start + batch].float() / FULL_SCALE for start in starts)
    mels, embeddings = zip(*map(detector.features, parts), strict=True)
    return Features(torch.cat(mels), None if embeddings[0] is None else torch.cat(embeddings))
