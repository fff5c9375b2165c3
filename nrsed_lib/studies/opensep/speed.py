"""What each separator costs: parameters, operations and time, side by side in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

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


@dataclass(frozen=True)
class Separation:
    """network: of which the parameters count; sounds: that a pass gives; separate: (1, nb_samples) -> sounds."""

    name: str
    size: str
    network: nn.Module
    sounds: int
    separate: Callable[[Tensor], Tensor]


def speeds(run: Run, turns: int = 2) -> pd.DataFrame:
    """One row a network; also `results/<profile>/separator_speed.csv`.

    Columns: separator; size ("<profile>" or "published"); parameters / M, without those that read texts; sounds a
    pass; GFLOP / s of audio (a multiply-add is two; without recurrences and Fourier transforms) and real-time factor
    (seconds of work a second of audio: the median of `turns` passes of one mixture, all networks turn by turn).
    """
    nb_samples = round(SECONDS * run.profile.data.sample_rate)
    audio = 0.1 * torch.randn(1, nb_samples, generator=torch.Generator().manual_seed(0)).to(device())
    entries = [*_of_profile(run.profile), *_published()]
    seconds: dict[str, list[float]] = {entry.name + entry.size: [] for entry in entries}
    with torch.inference_mode():
        for turn in tqdm(range(turns + 1), desc="speed of separators", mininterval=1.0):
            for entry in entries:
                start = time.perf_counter()
                entry.separate(audio)
                if audio.is_cuda:
                    torch.cuda.synchronize()
                if turn:  # the first one warms up
                    seconds[entry.name + entry.size].append(time.perf_counter() - start)
    rows = [
        {
            "separator": entry.name,
            "size": entry.size,
            "parameters / M": sum(p.numel() for name, p in entry.network.named_parameters() if "text." not in name)
            / 1e6,
            "sounds a pass": entry.sounds,
            # with gradients on, because attention without them is not counted
            "GFLOP / s of audio": count_gflop(entry.network, partial(entry.separate, audio)) / SECONDS,
            "real-time factor": statistics.median(seconds[entry.name + entry.size]) / SECONDS,
        }
        for entry in entries
    ]
    table = pd.DataFrame(rows)
    write_table(run.tables / "separator_speed.csv", table)
    return table


def _of_profile(profile: Profile) -> list[Separation]:
    setup = Setup(studies_of(profile).opensep, profile.lass, [*profile.data.classes, *profile.data.noise_classes])
    return [_method(key, BUILD[key](setup), profile.name) for key in METHODS]


def _method(key: str, method: Method, size: str) -> Separation:
    method = method.to(device()).eval()
    asked = torch.zeros(1, 1, dtype=torch.long, device=device())
    text = [SENTENCE if key == "opensep" else "a sound"]
    sounds = method.separate(torch.zeros(1, 16_000, device=device()), asked, text).shape[1]
    return Separation(METHODS[key], size, method, sounds, lambda x: method.separate(x, asked, text))


def _published() -> list[Separation]:
    found = []
    for name, (layers, hidden) in PUBLISHED.items():
        lass = Lass(dprnn_layers=layers, dprnn_hidden=hidden or 128, train=LassTrain(**SCHEDULE))
        found.append(_asked_by_vector(name, Separator(lass, text=nn.Identity()).to(device()).eval()))
    return [*found, _method("opensep", published_opensep(), "published")]


def published_opensep() -> Method:
    """OpenSep at the sizes of its paper, with random weights, and a reader of words in place of RoBERTa."""
    settings = OpenSep(**SCHEDULE, captioner=CaptionerTrain(steps=1, warmup_steps=0))
    return BUILD["opensep"](Setup(settings, Lass(train=LassTrain(**SCHEDULE)), []))


def _asked_by_vector(name: str, separator: Separator) -> Separation:
    condition = torch.zeros(1, separator.net.film.condition_size, device=device())
    return Separation(name, "published", separator, 1, lambda x: separator(x, condition))
