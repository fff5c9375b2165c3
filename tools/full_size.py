"""`make bench`, second part: what the paper's own sizes cost on this machine, on tensors of the true shapes.

Writes results/bench/full_size.csv and full_size.md: a row for each kind of work, beside the rate at which this
machine multiplies matrices, measured in the same run; and what follows for the paper's schedule and for a million
clips. Weights are random and sounds are noise: the time depends on neither.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import psutil
import torch
import typer
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import FULL_SCALE, Clips, Sources
from nrsed_lib.data.desed.prepare import shard_folder
from nrsed_lib.evaluate.psds import psds
from nrsed_lib.lass.separator import Separator
from nrsed_lib.paths import ROOT
from nrsed_lib.profile import Lass, Profile, load_profile
from nrsed_lib.run.provenance import commit, kind, machine
from nrsed_lib.sed.crnn import CRNN
from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.encoders.beats import Beats, BeatsEncoder
from nrsed_lib.sed.finetuning import RECIPES, NoisyEar
from nrsed_lib.sed.mean_teacher import train_student
from nrsed_lib.sed.noise import NoiseBank
from nrsed_lib.sed.training_set import TrainingSet
from nrsed_lib.store import atomic, write_table
from nrsed_lib.training import device, has_bfloat16
from tools import reading
from tools.bench import bursts

BENCH = ROOT / "results" / "bench"
QUERY = "query on 10 s"
NB_EVENTS = (1, 3)  # of a clip of the synthetic ground truth
SHARD_CLIPS = 960  # ten batches, 307 MB
QUERIES_PER_CLIP = 10  # separated at most once each for all systems: #3 asks for every class


def sync() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(work: Callable[[], Any], turns: int) -> float:
    """Median of `turns`, after one that is not measured."""
    spent = []
    for turn in range(turns + 1):
        sync()
        start = time.perf_counter()
        work()
        sync()
        if turn:
            spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def matrix_rate(dtype: torch.dtype) -> float:
    """FLOP a second of a square product, the limit that networks are compared with."""
    size = 8192 if torch.cuda.is_available() else 2048
    a = torch.randn(size, size, device=device(), dtype=dtype)
    return 2 * size**3 / seconds(lambda: a @ a, 10)


def row(what: str, unit: str, nb: int, spent: float, gflop: float | None = None, limit: float | None = None) -> dict:
    """spent: seconds for `nb` units. gflop: of one. limit: FLOP a second of the matrix product in the same type."""
    rate = nb / spent
    share = rate * gflop * 1e9 / limit if gflop and limit else None
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else psutil.Process().memory_info().rss
    return {"what": what, "unit": unit, "per_second": rate, "seconds": spent / nb, "gflop": gflop,
            "share_of_limit": share, "memory_mb": peak // 2**20}  # fmt: skip


@torch.inference_mode()
def forward(network: Callable[..., Tensor], *inputs: Tensor, turns: int) -> float:
    """Seconds of a forward pass."""
    return seconds(lambda: network(*inputs), turns)


@torch.inference_mode()
def flop(network: Callable[..., Tensor], *inputs: Tensor) -> float:
    """FLOP of the matrix products and convolutions of a forward pass in float32; recurrent layers are not counted."""
    with FlopCounterMode(display=False) as counter:
        network(*inputs)
    return counter.get_total_flops()


def separation(settings: Lass, limits: dict[torch.dtype, float], batch: int, turns: int) -> list[dict[str, Any]]:
    """ResUNet30 and AudioSep-DP in both precisions, and ResUNet30 in the published layout, one query at a time."""
    rows, mixtures = [], 0.1 * torch.randn(batch, 160_000, device=device())
    deep = f"ResUNet30 with DPRNN {settings.dprnn_layers}x{settings.dprnn_hidden}"
    for name, nb_layers in (("ResUNet30", 0), (deep, settings.dprnn_layers)):
        change = {"dprnn_layers": nb_layers, "text": "learned", "weights": None, "bfloat16": False}
        separator = Separator(settings.model_copy(update=change)).eval()
        separator.to(device())
        queries = separator.embed(["dog"]).detach().expand(batch, -1)
        gflop = flop(separator, mixtures[:1], queries[:1]) / 1e9
        for dtype, low in ((torch.float32, False), (torch.bfloat16, True)):
            separator.low_precision = low
            for nb in sorted({1, batch}):
                spent = forward(separator, mixtures[:nb], queries[:nb], turns=turns)
                what = f"{name}, {str(dtype).removeprefix('torch.')}, {nb} at a time"
                rows.append(row(what, QUERY, nb, spent, gflop, limits[dtype]))
        if not nb_layers:
            separator.low_precision = False
            separator.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # missing from the stubs
            spent = forward(separator, mixtures[:1], queries[:1], turns=turns)
            what = f"{name}, float32, 1 at a time, published layout"
            rows.append(row(what, QUERY, 1, spent, gflop, limits[torch.float32]))
    return rows


def embedding(limits: dict[torch.dtype, float], batch: int, turns: int) -> list[dict[str, Any]]:
    encoder = BeatsEncoder(16_000, Beats().eval()).to(device())
    rows, clips = [], 0.1 * torch.randn(batch, 160_000, device=device())
    gflop = flop(encoder, clips[:1]) / 1e9
    for dtype, low in ((torch.float32, False), (torch.bfloat16, True)):
        encoder.low_precision = low
        spent = forward(encoder, clips, turns=turns)
        what = f"BEATs, {str(dtype).removeprefix('torch.')}"
        rows.append(row(what, "clip of 10 s", batch, spent, gflop, limits[dtype]))
    return rows


def full_size_detector(profile: Profile) -> Detector:
    """The detector of the profile with random weights in its encoder."""
    bare = profile.model_copy(update={"sed": profile.sed.model_copy(update={"encoder": "none"})})
    detector = Detector(bare)
    detector.encoder = BeatsEncoder(profile.data.sample_rate, Beats().eval(), profile.sed.bfloat16)
    detector.crnn = CRNN(len(detector.classes), **profile.sed.crnn.model_dump(), embedding_size=BeatsEncoder.size)
    return detector.to(device())


def training(profile: Profile, folder: Path, steps: int) -> list[dict[str, Any]]:
    """A step of stage 1, embeddings looked up, and of stage 2, clips in fresh noise and embedded in the step."""
    os.environ["NRSED_RESULTS"] = str(folder)
    data, batch = profile.data, profile.sed.batch.model_dump()
    nb, nb_noises = sum(batch.values()), 60
    detector = full_size_detector(profile)
    noise = bursts(nb_noises, profile, 3)
    labels = [data.noise_classes[i % len(data.noise_classes)] for i in range(nb_noises)]
    lengths = torch.full((nb_noises,), data.nb_samples)
    names = [f"n{i}" for i in range(nb_noises)]
    bank = NoiseBank.of(
        Sources(names, labels, ["noise"] * nb_noises, noise, lengths, data.sample_rate), data.noise_classes, device()
    )
    clips = TrainingSet(
        bursts(nb, profile, 2).to(device()),
        torch.zeros(nb, len(data.classes), detector.nb_frames, device=device()),
        torch.zeros(nb, len(data.classes), device=device()),
        [frozenset[str]()] * (batch["strong"] + batch["weak"]),
        (batch["strong"], batch["weak"], batch["unlabelled"]),
    )
    ear = NoisyEar(clips, bank, bank.allowed([data.noise_classes] * nb), RECIPES["no_curriculum"], profile.sed.finetune)
    kept = torch.randn(nb, BeatsEncoder.size, detector.nb_frames, device=device(), dtype=torch.float16)

    def looked_up(index: Tensor, *_: Any) -> Features:
        return Features(detector.mel(clips.audio[index] * (1 / FULL_SCALE)), kept[index].float())

    def in_noise(index: Tensor, step: int) -> Features:
        return detector.features(ear.hear(index, step).mixtures)

    rows = []
    for stage, name, hear in (("03", "stage 1", looked_up), ("04", "stage 2, noise and BEATs in the step", in_noise)):
        began: list[float] = []

        def timed(*inputs: Any, hear: Callable = hear, began: list[float] = began) -> Features:
            sync()
            began.append(time.perf_counter())
            return hear(*inputs)

        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        schedule = profile.sed.train.model_copy(update={"steps": steps, "warmup_steps": 0})
        train_student(Run(profile, stage, 0), "full_size", detector, timed, clips, schedule)
        spent = statistics.median(np.diff(began)[1:])
        rows.append(row(f"training step of {name}", f"clip of 10 s, {nb} a step", nb, float(spent)))
    return rows


def shards(profile: Profile, nb_clips: int, turns: int) -> list[dict[str, Any]]:
    """Reading clips of a shard in batches of a training, on the disk where shards are kept."""
    folder, batch = shard_folder(profile.data), sum(profile.sed.batch.model_dump().values())
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        measured = list(reading.measure(Path(name), nb_clips, profile.data.nb_samples, batch, turns))
    return [
        row(f"reading a shard {how}", f"clip of 10 s, {batch} at a time", nb_clips, spent) for how, spent in measured
    ]


def scoring(profile: Profile, turns: int = 1) -> dict[str, Any]:
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
    return row("PSDS1 and PSDS2", f"system on {data.nb_test} clips", 1, seconds(lambda: psds(scores, clips), turns))


def consequences(table: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """What the rates mean: hours of the paper's schedule, of its tests, and of a million clips."""
    rate = table.set_index("what")["per_second"]
    best = {kind: rate[[w for w in rate.index if w.startswith(kind)]].max() for kind in ("ResUNet30 with", "BEATs")}
    per_step = sum(profile.sed.batch.model_dump().values())
    nb_conditions, nb_clips = len(profile.data.conditions), profile.data.nb_test
    pairs = nb_conditions * nb_clips * QUERIES_PER_CLIP
    first, second = (rate[w] for w in rate.index if w.startswith("training step"))
    train, tune = profile.sed.train.steps, profile.sed.finetune.steps
    rows = [
        ("stage 1", train * per_step / first, f"{train} steps of {per_step} clips"),
        ("stage 2, one model", tune * per_step / second, f"{tune} steps of {per_step} clips"),
        ("separation, 7 systems x 5 conditions", pairs / best["ResUNet30 with"], f"{pairs} queries, none twice"),
        ("scoring, 7 systems x 5 conditions", 35 / rate["PSDS1 and PSDS2"], "one after another"),
        ("embeddings of a million clips", 1e6 / best["BEATs"], "10 s each"),
        ("separation of a million clips", 2e6 / best["ResUNet30 with"], "10 s each, two queries a clip"),
    ]
    return pd.DataFrame([(what, s / 3600, basis) for what, s, basis in rows], columns=["what", "hours", "counted"])


def report(table: pd.DataFrame, hours: pd.DataFrame, limits: dict[torch.dtype, float]) -> str:
    where = f"{kind(machine())}, {torch.get_num_threads()} threads"
    rates = ", ".join(f"{v / 1e12:.2f} TFLOP/s in {str(k).removeprefix('torch.')}" for k, v in limits.items())
    lines = [
        f"The paper's own sizes, random weights, in one run on {datetime.now(UTC):%Y-%m-%d} at commit {commit()}: "
        f"{where}. Matrix products reach {rates}.",
        "",
        "| what | unit | units a second | seconds a unit | GFLOP a unit | share of the matrix rate |",
        "|---|---|---|---|---|---|",
    ]
    for r in table.to_dict("records"):
        gflop, share = (f"{r['gflop']:.0f}", f"{r['share_of_limit']:.0%}") if pd.notna(r["gflop"]) else ("", "")
        lines.append(f"| {r['what']} | {r['unit']} | {r['per_second']:.3g} | {r['seconds']:.3g} | {gflop} | {share} |")
    lines += ["", "| what follows | hours | counted |", "|---|---|---|"]
    lines += [f"| {r['what']} | {r['hours']:.3g} | {r['counted']} |" for r in hours.to_dict("records")]
    return "\n".join(lines) + "\n"


def measured_here() -> pd.DataFrame | None:
    """The table of `make bench`, if it was measured on this kind of machine."""
    table, text = BENCH / "full_size.csv", BENCH / "full_size.md"
    here = machine()
    said = f": {here['gpu']}," if here["gpu"] else f": {kind(here)},"  # on a GPU the host's cores do not matter
    known = table.exists() and text.exists() and said in text.read_text().partition("\n")[0]
    return pd.read_csv(table) if known else None


def main(
    profile: Annotated[str, typer.Option(help="whose networks and batches")] = "paper",
    turns: Annotated[int, typer.Option(help="measured repetitions; 0: 3 on a CPU, 20 on a GPU")] = 0,
) -> None:
    """Measure each kind of work at full size and write the tables."""
    chosen, gpu = load_profile(profile), torch.cuda.is_available()
    turns = turns or (20 if gpu else 3)
    has = has_bfloat16(torch.empty(0, device=device()))
    limits = {dtype: matrix_rate(dtype) for dtype in ([torch.float32, torch.bfloat16] if has else [torch.float32])}
    limits.setdefault(torch.bfloat16, limits[torch.float32])  # without hardware for it the networks use float32
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        parts: list[Callable[[], list[dict[str, Any]]]] = [
            lambda: separation(chosen.lass, limits, 16 if gpu else 2, turns),
            lambda: embedding(limits, 32 if gpu else 2, turns),
            lambda: training(chosen, Path(folder), 2 + turns),
            lambda: shards(chosen, SHARD_CLIPS, turns),
            lambda: [scoring(chosen)],
        ]
        for part in tqdm(parts, desc="full size"):
            rows += part()
    table = pd.DataFrame(rows)
    hours = consequences(table, chosen)
    write_table(BENCH / "full_size.csv", table)
    text = report(table, hours, limits)
    with atomic(BENCH / "full_size.md") as temporary:
        temporary.write_text(text)
    print(text)


if __name__ == "__main__":
    typer.run(main)
