"""What the paper's own sizes cost on this machine, on tensors of the true shapes, beside the rate at which it
multiplies matrices, measured in the same run."""

from __future__ import annotations

import functools
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch
from torch import Tensor

from nrsed_lib.data.clips import FULL_SCALE, Clips
from nrsed_lib.data.desed.prepare import shard_folder
from nrsed_lib.evaluate.psds import psds
from nrsed_lib.lass.separator import Separator
from nrsed_lib.lass.sizes import count_gflop
from nrsed_lib.profile import Profile
from nrsed_lib.sed.crnn import CRNN
from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.encoders.beats import Beats, BeatsEncoder
from nrsed_lib.sed.finetuning import RECIPES, NoisyEar
from nrsed_lib.training import device, has_bfloat16
from tools import reading
from tools.measuring import Measurement
from tools.workload import seconds, step_seconds, training_data

PRECISIONS = (torch.float32, torch.bfloat16)
NB_EVENTS = (1, 3)  # of a clip of the synthetic ground truth
SHARD_CLIPS = 960  # ten batches, 307 MB


@functools.cache
def matrix_rate(dtype: torch.dtype) -> float:
    """FLOP a second of a square product, the limit that networks are compared with. Without hardware for bfloat16
    networks use float32."""
    if dtype == torch.bfloat16 and not has_bfloat16(torch.empty(0, device=device())):
        return matrix_rate(torch.float32)
    size = 8192 if torch.cuda.is_available() else 2048
    a = torch.randn(size, size, device=device(), dtype=dtype)
    return 2 * size**3 / seconds(lambda: a @ a, turns=10)[0]


def cost(
    name: str, on: str, spent: float, gflop: float | None = None, limit: float | None = None
) -> Iterator[Measurement]:
    """spent: seconds a unit. gflop: of one. limit: FLOP a second of the matrix product in the same type."""
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else psutil.Process().memory_info().rss
    found = {"time": (spent, "s"), "memory": (peak / 2**20, "MB")}
    if gflop and limit:
        found |= {"work": (gflop, "GFLOP"), "share_of_limit": (gflop * 1e9 / spent / limit, "")}
    for quantity, (value, unit) in found.items():
        yield Measurement(f"sizes.{name}.{quantity}", value, unit, on)


def matrices(profile: Profile, turns: int) -> Iterator[Measurement]:
    for dtype in PRECISIONS:
        rate = matrix_rate(dtype) / 1e12
        yield Measurement(f"sizes.matrix.{word(dtype)}.rate", rate, "TFLOP/s", "a square product")


def word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def separator(dprnn: bool, profile: Profile, turns: int) -> Iterator[Measurement]:
    """ResUNet30 or AudioSep-DP in both precisions; ResUNet30 in the published layout too, one query at a time."""
    name, batch = ("resunet30_dprnn" if dprnn else "resunet30"), 16 if torch.cuda.is_available() else 2
    layers = profile.lass.dprnn_layers if dprnn else 0
    change = {"dprnn_layers": layers, "text": "learned", "weights": None, "bfloat16": False}
    network = Separator(profile.lass.model_copy(update=change)).eval().to(device())
    mixtures = 0.1 * torch.randn(batch, 160_000, device=device())
    ways = [(dtype, nb, "") for dtype in PRECISIONS for nb in (1, batch)]
    ways += [] if dprnn else [(torch.float32, 1, ".published_layout")]
    spent = {}
    with torch.inference_mode():
        queries = network.embed(["dog"]).expand(batch, -1)
        for dtype, nb, layout in ways:
            network.low_precision = dtype == torch.bfloat16
            if layout:
                network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # not in the stubs
            work = functools.partial(network, mixtures[:nb], queries[:nb])
            spent[dtype, nb, layout] = seconds(work, turns=turns)[0] / nb
        gflop = count_gflop(network, lambda: network(mixtures[:1], queries[:1]))
    for (dtype, nb, layout), took in spent.items():
        on = f"a query on 10 s, {nb} at a time" + (f"; DPRNN {layers} x {profile.lass.dprnn_hidden}" if dprnn else "")
        yield from cost(f"{name}.{word(dtype)}.batch{nb}{layout}", on, took, gflop, matrix_rate(dtype))


@torch.inference_mode()
def embedding(profile: Profile, turns: int) -> Iterator[Measurement]:
    batch = 32 if torch.cuda.is_available() else 2
    encoder = BeatsEncoder(16_000, Beats().eval()).to(device())
    clips = 0.1 * torch.randn(batch, 160_000, device=device())
    gflop = count_gflop(encoder, lambda: encoder(clips[:1]))
    for dtype in PRECISIONS:
        encoder.low_precision = dtype == torch.bfloat16
        spent = seconds(lambda: encoder(clips), turns=turns)[0] / batch
        yield from cost(f"beats.{word(dtype)}", f"a clip of 10 s, {batch} at a time", spent, gflop, matrix_rate(dtype))


def full_size_detector(profile: Profile) -> Detector:
    """The detector of the profile with random weights in its encoder."""
    bare = profile.model_copy(update={"sed": profile.sed.model_copy(update={"encoder": "none"})})
    detector = Detector(bare)
    detector.encoder = BeatsEncoder(profile.data.sample_rate, Beats().eval(), profile.sed.bfloat16)
    detector.crnn = CRNN(len(detector.classes), **profile.sed.crnn.model_dump(), embedding_size=BeatsEncoder.size)
    return detector.to(device())


def training(profile: Profile, turns: int) -> Iterator[Measurement]:
    """A step of stage 1, embeddings looked up, and of stage 2, clips in fresh noise and embedded in the step."""
    sizes = (profile.sed.batch.strong, profile.sed.batch.weak, profile.sed.batch.unlabelled)
    nb, detector = sum(sizes), full_size_detector(profile)
    clips, bank = training_data(profile, detector, sizes, 60)
    allowed = bank.allowed([profile.data.noise_classes] * nb)
    everywhere = profile.sed.finetune.model_copy(update={"noisy": "all"})  # what a clip in noise takes
    ear = NoisyEar(clips, bank, allowed, RECIPES["no_curriculum"], everywhere)
    kept = torch.randn(nb, BeatsEncoder.size, detector.nb_frames, device=device(), dtype=torch.float16)

    def looked_up(index: Tensor, step: int) -> Features:
        return Features(detector.mel(clips.audio[index] * (1 / FULL_SCALE)), kept[index].float())

    def in_noise(index: Tensor, step: int) -> Features:
        return detector.features(ear.hear(index, step).mixtures)

    ways: dict[str, Callable] = {"stage1": looked_up, "stage2": in_noise}
    for name, hear in ways.items():
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        spent = statistics.median(step_seconds(profile, detector, hear, clips, 2 + turns)[1:])
        yield from cost(name, f"a clip of 10 s, {nb} a step", spent / nb)


def shards(profile: Profile, turns: int) -> Iterator[Measurement]:
    """Reading clips of a shard in batches of a training, on the disk where shards are kept."""
    folder, batch = shard_folder(profile.data), sum(profile.sed.batch.model_dump().values())
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        measured = reading.measure(Path(name), SHARD_CLIPS, profile.data.nb_samples, batch, turns)
        for how, spent in measured.items():
            yield from cost(f"shard.{how}", f"a clip of 10 s, {batch} at a time", spent / SHARD_CLIPS)


def scoring(profile: Profile, turns: int) -> Iterator[Measurement]:
    """PSDS1 and PSDS2 of one system on one condition, with random scores and events."""
    data, rng = profile.data, np.random.default_rng(0)
    names = [f"{i}.wav" for i in range(data.nb_test)]
    rows = []
    for name in names:
        for label in rng.choice(data.classes, rng.integers(NB_EVENTS[0], NB_EVENTS[1] + 1), replace=False):
            onset = rng.uniform(0, 8)
            rows.append((name, onset, onset + rng.uniform(0.3, 2), label))
    events = pd.DataFrame(rows, columns=["filename", "onset", "offset", "event_label"])
    silence = torch.zeros(1, data.nb_samples, dtype=torch.int16).expand(data.nb_test, -1)
    clips = Clips(names, silence, events, tuple(data.classes), data.sample_rate)
    scores = torch.rand(data.nb_test, len(data.classes), 156, generator=torch.Generator().manual_seed(0)) ** 4
    yield from cost(
        "psds", f"both PSDS of a system on {data.nb_test} clips", seconds(lambda: psds(scores, clips), turns=1)[0]
    )
