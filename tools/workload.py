"""What is measured, and the clocks: noise bursts instead of sounds, random weights instead of learned ones."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import soundfile
import torch
from torch import Tensor

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import Sources
from nrsed_lib.profile import Profile
from nrsed_lib.sed.detector import Detector
from nrsed_lib.sed.mean_teacher import train_student
from nrsed_lib.sed.noise import NoiseBank
from nrsed_lib.sed.training_set import TrainingSet
from nrsed_lib.training import device


def seconds(*ways: Callable[[], Any], turns: int) -> list[float]:
    """Median of each way, taken by turns, after a turn that is not measured."""
    spent = np.zeros((turns + 1, len(ways)))
    for turn in range(turns + 1):
        for number, way in enumerate(ways):
            start = now()
            way()
            spent[turn, number] = now() - start
    return [statistics.median(of) for of in spent[1:].T.tolist()]


def now() -> float:
    """Seconds, when the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def bursts(nb: int, profile: Profile, seed: int) -> Tensor:
    """Noise that sounds half of the time, (nb, nb_samples) int16."""
    generator = torch.Generator().manual_seed(seed)
    time_axis = torch.arange(profile.data.nb_samples) / profile.data.sample_rate
    onset = 5 * torch.rand(nb, 1, generator=generator)
    sounding = (time_axis > onset) & (time_axis < onset + 5)
    return (3000 * torch.randn(nb, profile.data.nb_samples, generator=generator) * sounding).short()


def write_wavs(folder: Path, audio: Tensor, profile: Profile) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{i}.wav" for i in range(len(audio))]
    for path, wave in zip(paths, audio, strict=True):
        soundfile.write(path, wave.numpy(), profile.data.sample_rate)
    return paths


def training_data(
    profile: Profile, detector: Detector, sizes: tuple[int, int, int], nb_noises: int
) -> tuple[TrainingSet, NoiseBank]:
    """Clips without labels, strong, weak and unlabelled ones, and noises of all classes, on the device."""
    data, nb = profile.data, sum(sizes)
    labels = [data.noise_classes[i % len(data.noise_classes)] for i in range(nb_noises)]
    lengths = torch.full((nb_noises,), data.nb_samples)
    names = [f"n{i}" for i in range(nb_noises)]
    noises = Sources(names, labels, ["noise"] * nb_noises, bursts(nb_noises, profile, 3), lengths, data.sample_rate)
    clips = TrainingSet(
        bursts(nb, profile, 2).to(device()),
        torch.zeros(nb, len(data.classes), detector.nb_frames, device=device()),
        torch.zeros(nb, len(data.classes), device=device()),
        [frozenset[str]()] * (sizes[0] + sizes[1]),
        sizes,
    )
    return clips, NoiseBank.of(noises, data.noise_classes, device())


def step_seconds(profile: Profile, detector: Detector, hear: Callable, clips: TrainingSet, steps: int) -> list[float]:
    """Of each of `steps` steps of the training itself but the last; hear(index, step) gives its features."""
    began: list[float] = []

    def timed(index: Tensor, step: int) -> Any:
        began.append(now())
        return hear(index, step)

    schedule = profile.sed.train.model_copy(update={"steps": steps, "warmup_steps": 0})
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {"NRSED_RESULTS": folder}):
        train_student(Run(profile, "04", 0), "bench", detector, timed, clips, schedule)
    return np.diff(began).tolist()
