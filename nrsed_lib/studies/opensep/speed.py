"""What each separator costs: parameters, operations and time, side by side in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.lass.separator import Separator
from nrsed_lib.lass.sizes import count_gflop
from nrsed_lib.profile import Lass, LassTrain, Profile
from nrsed_lib.store import write_table
from nrsed_lib.studies.opensep.methods import BUILD, Method, Setup
from nrsed_lib.studies.opensep.variants import METHODS
from nrsed_lib.studies.settings import CaptionerTrain, OpenSep, studies_of
from nrsed_lib.training import device

PUBLISHED = {  # networks of the publications, with random weights: layers and width of the DPRNN
    "ResUNet30": (0, 0),
    "ResUNet30-DP, 2 layers of 128": (2, 128),
    "ResUNet30-DP, 6 layers of 256": (6, 256),
}
SCHEDULE: dict[str, Any] = {"steps": 1, "warmup_steps": 0, "batch": 1, "seconds": 10.0}  # no matter here
SECONDS = 1.0  # of the mixture that is timed
SENTENCE = " ".join(f"word{i}" for i in range(50))  # as long as a sentence of acoustic knowledge


class Separation(NamedTuple):
    """network: of which the parameters count; separate: mixtures (1, nb_samples) -> sounds."""

    name: str
    size: str
    network: nn.Module
    separate: Callable[[Tensor], Tensor]


def speeds(run: Run, turns: int = 2) -> pd.DataFrame:
    """One row a network; also `results/<profile>/separator_speed.csv`.

    Columns: separator; size ("<profile>" or "published"); parameters / M, without those that read texts; sounds a
    pass; GFLOP / s of audio (a multiply-add is two; without recurrences and Fourier transforms) and real-time factor
    (seconds of work a second of audio: the median of `turns` passes of one mixture, all networks turn by turn).
    """
    nb_samples = round(SECONDS * run.profile.data.sample_rate)
    audio = 0.1 * torch.randn(1, nb_samples, generator=torch.Generator().manual_seed(0)).to(device())
    entries = list(separations(run.profile))
    with torch.inference_mode():
        nb_sounds = [entry.separate(audio).numel() // nb_samples for entry in entries]  # this pass warms up
        bar = tqdm(range(turns), desc="speed of separators", mininterval=1.0)
        seconds = [[_seconds(entry, audio) for entry in entries] for _ in bar]
    rows = []
    for entry, nb, *taken in zip(entries, nb_sounds, *seconds, strict=True):
        size = sum(p.numel() for name, p in entry.network.named_parameters() if "text." not in name)
        # with gradients on, because attention without them is not counted
        gflop = count_gflop(entry.network, partial(entry.separate, audio))
        rows.append((entry.name, entry.size, size / 1e6, nb, gflop / SECONDS, statistics.median(taken) / SECONDS))
    costs = ["parameters / M", "sounds a pass", "GFLOP / s of audio", "real-time factor"]
    table = pd.DataFrame(rows, columns=["separator", "size", *costs])
    write_table(run.tables / "separator_speed.csv", table)
    return table


def _seconds(entry: Separation, audio: Tensor) -> float:
    start = time.perf_counter()
    entry.separate(audio)
    if audio.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def separations(profile: Profile) -> Iterator[Separation]:
    """Every method at the profile's size, then what is published."""
    setup = Setup(studies_of(profile).opensep, profile.lass, [*profile.data.classes, *profile.data.noise_classes])
    for key in METHODS:
        yield _method(key, BUILD[key](setup), profile.name)
    for name, (layers, hidden) in PUBLISHED.items():
        lass = Lass(dprnn_layers=layers, dprnn_hidden=hidden or 128, train=LassTrain(**SCHEDULE))
        separator = Separator(lass, text=nn.Identity()).to(device()).eval()
        condition = torch.zeros(1, separator.net.film.condition_size, device=device())
        yield Separation(name, "published", separator, partial(separator, conditions=condition))
    yield _method("opensep", published_opensep(), "published")


def _method(key: str, method: Method, size: str) -> Separation:
    method = method.to(device()).eval()
    asked = torch.zeros(1, 1, dtype=torch.long, device=device())
    text = [SENTENCE if key == "opensep" else "a sound"]
    return Separation(METHODS[key], size, method, partial(method.separate, classes=asked, texts=text))


def published_opensep() -> Method:
    """OpenSep at the sizes of its paper, with random weights, and a reader of words in place of RoBERTa."""
    settings = OpenSep(**SCHEDULE, captioner=CaptionerTrain(steps=1, warmup_steps=0))
    return BUILD["opensep"](Setup(settings, Lass(train=LassTrain(**SCHEDULE)), []))
