"""`make bench`: our ways beside the published ones, in one process, turn by turn, with the same networks.

Writes results/bench/bench.csv and bench.md. Sounds are noise bursts made here: the time does not depend on
what is heard. Weights are random: nor does it depend on what was learned.
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
import soundfile
import torch
import typer
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.activity import active_power
from nrsed_lib.data.clips import FULL_SCALE, Sources
from nrsed_lib.data.mixing import mix_at_snr
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.lass.remix import remix, separate
from nrsed_lib.lass.separator import Separator
from nrsed_lib.paths import ROOT
from nrsed_lib.profile import Profile, load_profile
from nrsed_lib.run.provenance import commit, machine
from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.finetuning import RECIPES, NoisyEar, snr_range
from nrsed_lib.sed.mean_teacher import train_student
from nrsed_lib.sed.noise import NoiseBank
from nrsed_lib.sed.training_set import TrainingSet
from nrsed_lib.store import atomic, write_table
from nrsed_lib.training import device

GOALS = {"separate and remix": 2.0, "training step": 3.0, "mixing": 10.0}


def in_turn(ours: Callable[[], Any], theirs: Callable[[], Any], turns: int, name: str) -> tuple[float, float]:
    """Median seconds of each, run alternately after one unmeasured turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in tqdm(range(turns + 1), desc=name):
        for way, kept in zip((ours, theirs), seconds, strict=True):
            start = time.perf_counter()
            way()
            if turn:
                kept.append(time.perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


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


def separate_and_remix(profile: Profile, folder: Path, nb_clips: int = 8, turns: int = 5) -> dict[str, Any]:
    """Ours: pairs in batches, texts once, one transform a clip. Theirs: for each clip read its WAV, encode all
    the texts, one forward a query, write each track, read the tracks back, write the remix and read it."""
    separator = Separator(profile.lass).to(device()).eval()
    texts = [query_text(name) for name in profile.data.classes]
    audio = bursts(nb_clips, profile, 0)
    asked = torch.rand(nb_clips, len(texts), generator=torch.Generator().manual_seed(1)) < 3 / len(texts)
    wavs = write_wavs(folder / "mixtures", audio, profile)

    def ours() -> Tensor:
        mixtures, pairs = audio.to(device()).float() / FULL_SCALE, asked.nonzero().to(device())
        return remix(
            separate(separator, mixtures, pairs, separator.embed(texts), profile.evaluate.batch), pairs, mixtures
        )

    @torch.inference_mode()
    def theirs() -> Tensor:
        remixes = []
        for path, queries in zip(wavs, asked, strict=True):
            mixture, rate = soundfile.read(path, dtype="float32")
            tracks = []
            for query in queries.nonzero().flatten().tolist():
                condition = separator.embed(texts)[[query]]
                track = separator(torch.from_numpy(mixture)[None].to(device()), condition)[0].cpu().numpy()
                tracks.append(folder / f"track-{query}.wav")
                soundfile.write(tracks[-1], track, rate, subtype="FLOAT")
            mean = np.mean([soundfile.read(t, dtype="float32")[0] for t in tracks], axis=0) if tracks else mixture
            soundfile.write(folder / "remix.wav", mean, rate, subtype="FLOAT")
            remixes.append(torch.from_numpy(soundfile.read(folder / "remix.wav", dtype="float32")[0]))
        return torch.stack(remixes)

    with torch.inference_mode():
        gap = (ours().cpu() - theirs()).abs().max().item()
    mine, other = in_turn(ours, theirs, turns, "separate and remix")
    return {"what": "separate and remix", "unit": f"{int(asked.sum())} queries on {nb_clips} clips", "ours_s": mine,
            "theirs_s": other, "agree_to": gap}  # fmt: skip


def training_step(profile: Profile, folder: Path, steps: int = 24) -> dict[str, Any]:
    """One fine-tuning step, every second one fed by a loader that takes one clip at a time: read the clip, read
    its noises, lay them out, mix, transform; then collate. The networks and the step itself are the same."""
    os.environ["NRSED_RESULTS"] = str(folder)
    schedule = profile.sed.finetune.model_copy(update={"steps": steps})
    nb, nb_noises, data = 48, 30, profile.data
    detector = Detector(profile).to(device())
    audio, noise = bursts(nb, profile, 2), bursts(nb_noises, profile, 3)
    labels = [data.noise_classes[i % len(data.noise_classes)] for i in range(nb_noises)]
    lengths = torch.full((nb_noises,), data.nb_samples)
    sources = Sources(
        [f"n{i}" for i in range(nb_noises)], labels, ["noise"] * nb_noises, noise, lengths, data.sample_rate
    )
    bank = NoiseBank.of(sources, data.noise_classes, device())
    third = nb // 3
    no_labels: list[frozenset[str]] = [frozenset[str]()] * 2 * third
    clips = TrainingSet(
        audio.to(device()), torch.zeros(nb, len(data.classes), detector.nb_frames, device=device()),
        torch.zeros(nb, len(data.classes), device=device()), no_labels, (third, third, third),
    )  # fmt: skip
    allowed = bank.allowed([data.noise_classes] * nb)
    ear = NoisyEar(clips, bank, allowed, RECIPES["no_curriculum"], schedule)
    wavs, noise_wavs = write_wavs(folder / "clips", audio, profile), write_wavs(folder / "noises", noise, profile)

    def one_at_a_time(index: Tensor, step: int) -> Features:
        rows = []
        for clip in index.tolist():
            clean = torch.from_numpy(soundfile.read(wavs[clip], dtype="float32")[0])[None].to(device())
            numbers, present = bank.draw(allowed[[clip]])
            read = [soundfile.read(noise_wavs[n], dtype="int16")[0] for n in numbers[0].tolist()]
            alone = NoiseBank(
                torch.from_numpy(np.stack(read)).to(device()), bank.lengths[numbers[0]], bank.members, bank.classes,
                bank.sample_rate,
            )  # fmt: skip
            track = alone.tracks(torch.arange(len(read), device=device())[None], present, clean.shape[1])
            low, high = snr_range(schedule, ear.recipe, step) or (0.0, 0.0)
            snr = low + (high - low) * torch.rand(1, device=device())
            rows.append(detector.features(mix_at_snr(clean, track, snr)[0]))
        embeddings = [r.embeddings for r in rows if r.embeddings is not None]
        return Features(torch.cat([r.mels for r in rows]), torch.cat(embeddings) if embeddings else None)

    began: list[float] = []

    def hear(index: Tensor, step: int) -> Features:
        began.append(time.perf_counter())
        return one_at_a_time(index, step) if step % 2 else detector.features(ear.hear(index, step).mixtures)

    train_student(Run(profile, "04", 0), "bench", detector, hear, clips, schedule)
    spent = np.diff(began)[2:]  # the first turn warms up
    batch = sum(profile.sed.batch.model_dump().values())
    return {"what": "training step", "unit": f"{batch} clips", "ours_s": statistics.median(spent[0::2]),
            "theirs_s": statistics.median(spent[1::2]), "agree_to": None}  # fmt: skip


def mixing(profile: Profile, folder: Path, nb: int = 48, turns: int = 5) -> dict[str, Any]:
    """A batch at one SNR each. Theirs: read clip and noise, mix them in numpy, write the noisy copy and read it
    back for the step, as data sets with a copy for each SNR do."""
    clips, noises = bursts(nb, profile, 4), bursts(nb, profile, 5)
    wavs, noise_wavs = write_wavs(folder / "clean", clips, profile), write_wavs(folder / "noise", noises, profile)
    snrs = torch.linspace(-10, 10, nb)
    on_device, noise_on_device = clips.to(device()), noises.to(device())

    def ours() -> Tensor:
        return mix_at_snr(on_device * (1 / FULL_SCALE), noise_on_device * (1 / FULL_SCALE), snrs.to(device()))[0]

    def theirs() -> Tensor:
        rows = []
        for clip, noise, snr in zip(wavs, noise_wavs, snrs.tolist(), strict=True):
            a, rate = soundfile.read(clip, dtype="float32")
            b, _ = soundfile.read(noise, dtype="float32")
            powers = [active_power(torch.from_numpy(x)[None]).item() for x in (a, b)]
            mixed = a + b * (powers[0] / powers[1] * 10 ** (-snr / 10)) ** 0.5
            soundfile.write(folder / "mixed.wav", mixed, rate, subtype="FLOAT")
            rows.append(torch.from_numpy(soundfile.read(folder / "mixed.wav", dtype="float32")[0]))
        return torch.stack(rows)

    gap = (ours().cpu() - theirs()).abs().max().item()
    mine, other = in_turn(ours, theirs, turns, "mixing")
    return {"what": "mixing", "unit": f"{nb} clips", "ours_s": mine, "theirs_s": other, "agree_to": gap}


def main(profile: Annotated[str, typer.Option(help="whose networks and batches")] = "mini") -> None:
    """Measure all three and write the table."""
    chosen = load_profile(profile)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [separate_and_remix(chosen, folder), training_step(chosen, folder), mixing(chosen, folder)]
    table = pd.DataFrame(rows)
    table["ratio"] = table["theirs_s"] / table["ours_s"]
    table["goal"] = table["what"].map(GOALS)
    out = ROOT / "results" / "bench"
    write_table(out / "bench.csv", table)
    lines = ["| what | on | ours | the published way | ratio | goal |", "|---|---|---|---|---|---|"] + [
        f"| {r.what} | {r.unit} | {r.ours_s:.3f} s | {r.theirs_s:.3f} s | {r.ratio:.1f} | {r.goal:g} |"
        for r in table.itertuples()
    ]
    here = machine()
    where = f"{here['gpu'] or here['cpu']}, {here['cores']} cores, {torch.get_num_threads()} threads"
    text = (
        f"`make bench`, networks of profile `{profile}`, side by side in one run on {datetime.now(UTC):%Y-%m-%d} "
        f"at commit {commit()}: {where}.\n\n" + "\n".join(lines) + "\n"
    )
    with atomic(out / "bench.md") as temporary:
        temporary.write_text(text)
    print(text)


if __name__ == "__main__":
    typer.run(main)
