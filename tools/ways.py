"""Our ways beside the published ones, side by side in one run: the same networks, batches and sounds, turn by turn."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from nrsed_lib.data.activity import active_power
from nrsed_lib.data.clips import FULL_SCALE
from nrsed_lib.data.mixing import mix_at_snr
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.lass.remix import remix, separate
from nrsed_lib.lass.separator import Separator
from nrsed_lib.profile import Profile
from nrsed_lib.sed.detector import Detector, Features
from nrsed_lib.sed.finetuning import RECIPES, NoisyEar, stage_at
from nrsed_lib.sed.noise import NoiseBank
from nrsed_lib.training import device
from tools.measuring import Measurement
from tools.workload import bursts, seconds, step_seconds, training_data, write_wavs

GOALS = {"remix": 2.0, "training_step": 3.0, "mixing": 10.0}  # times as fast


def compared(name: str, on: str, seconds: Sequence[float], gap: float | None = None) -> Iterator[Measurement]:
    """seconds: ours and the published way's. gap: the largest difference of what the two ways compute."""
    ours, published = seconds
    found = {"ours": ours, "published": published, "ratio": published / ours, "goal": GOALS[name]}
    for quantity, value in (found | ({} if gap is None else {"gap": gap})).items():
        yield Measurement(f"ways.{name}.{quantity}", value, "s" if quantity in ("ours", "published") else "", on)


def separate_and_remix(profile: Profile, turns: int, nb_clips: int = 8) -> Iterator[Measurement]:
    """Ours: pairs in batches, texts once, one transform a clip. Theirs: for each clip read its WAV, encode all
    the texts, one forward a query, write each track, read the tracks back, write the remix and read it."""
    separator = Separator(profile.lass).to(device()).eval()
    texts = [query_text(name) for name in profile.data.classes]
    audio = bursts(nb_clips, profile, 0)
    asked = torch.rand(nb_clips, len(texts), generator=torch.Generator().manual_seed(1)) < 3 / len(texts)

    def ours() -> Tensor:
        mixtures, pairs = audio.to(device()).float() / FULL_SCALE, asked.nonzero().to(device())
        tracks = separate(separator, mixtures, pairs, separator.embed(texts), profile.evaluate.batch)
        return remix(tracks, pairs, mixtures)

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

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wavs = write_wavs(folder / "mixtures", audio, profile)
        with torch.inference_mode():
            gap = (ours().cpu() - theirs()).abs().max().item()
        spent = seconds(ours, theirs, turns=turns)
    yield from compared("remix", f"{int(asked.sum())} queries on {nb_clips} clips", spent, gap)


def training_step(profile: Profile, turns: int) -> Iterator[Measurement]:
    """One fine-tuning step, every second one fed by a loader that takes one clip at a time: read the clip, read
    its noises, lay them out, mix, transform; then collate. The networks and the step itself are the same."""
    nb, schedule = 48, profile.sed.finetune
    detector = Detector(profile).to(device())
    clips, bank = training_data(profile, detector, (nb // 3, nb // 3, nb // 3), 30)
    allowed = bank.allowed([profile.data.noise_classes] * nb)
    ear = NoisyEar(clips, bank, allowed, RECIPES["no_curriculum"], schedule)

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
            low, high = stage_at(schedule, ear.recipe, step).snr_db or (0.0, 0.0)
            snr = low + (high - low) * torch.rand(1, device=device())
            rows.append(detector.features(mix_at_snr(clean, track, snr)[0]))
        embeddings = [r.embeddings for r in rows if r.embeddings is not None]
        return Features(torch.cat([r.mels for r in rows]), torch.cat(embeddings) if embeddings else None)

    def hear(index: Tensor, step: int) -> Features:
        return one_at_a_time(index, step) if step % 2 else detector.features(ear.hear(index, step).mixtures)

    with tempfile.TemporaryDirectory() as name:
        wavs = write_wavs(Path(name) / "clips", bursts(nb, profile, 2), profile)
        noise_wavs = write_wavs(Path(name) / "noises", bursts(30, profile, 3), profile)
        spent = step_seconds(profile, detector, hear, clips, 4 + 4 * turns)[2:]  # the first turn warms up
    batch = sum(profile.sed.batch.model_dump().values())
    turn_about = [statistics.median(spent[k::2]) for k in (0, 1)]
    yield from compared("training_step", f"{batch} clips", turn_about)


def mixing(profile: Profile, turns: int, nb: int = 48) -> Iterator[Measurement]:
    """A batch at one SNR each. Theirs: read clip and noise, mix them in numpy, write the noisy copy and read it
    back for the step, as data sets with a copy for each SNR do."""
    clips, noises = bursts(nb, profile, 4), bursts(nb, profile, 5)
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

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wavs, noise_wavs = write_wavs(folder / "clean", clips, profile), write_wavs(folder / "noise", noises, profile)
        gap = (ours().cpu() - theirs()).abs().max().item()
        spent = seconds(ours, theirs, turns=turns)
    yield from compared("mixing", f"{nb} clips", spent, gap)
