"""Stage 2: g_θ becomes g_α by hearing its clips in noise (section II-B).

The fine-tuned models, three of Table I and those that a reviewer asks for, differ by a row of `RECIPES` and by nothing
else: the same start, number of steps, clips and draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from nrsed_lib import sharding
from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import FULL_SCALE
from nrsed_lib.data.mixing import mix_at_snr
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.llm.selection import CHOOSERS
from nrsed_lib.profile import Finetune, Profile, SnrRange
from nrsed_lib.sed.detector import THRESHOLD, Detector, Features, load_detector
from nrsed_lib.sed.mean_teacher import files, train_student
from nrsed_lib.sed.noise import NoiseBank, choose
from nrsed_lib.sed.training_set import Audio, TrainingSet
from nrsed_lib.series import SERIES, maker
from nrsed_lib.training import device, kept


@dataclass(frozen=True)
class FinetuneRecipe:
    """system: its row of Table I. noise: who chooses its classes (`llm.selection.CHOOSERS`). curriculum: SNR falls in
    stages."""

    system: str
    noise: str
    curriculum: bool = True


RECIPES = {
    "random": FinetuneRecipe("#5", "random"),
    "no_curriculum": FinetuneRecipe("#6", "answers", curriculum=False),
    "full": FinetuneRecipe("#7", "answers"),
    "longer": FinetuneRecipe("#1-longer", "none"),
    "smollm2": FinetuneRecipe("#7-smollm2", "smollm2"),
    "filter": FinetuneRecipe("#7-filter", "filter"),
}


def recipes(profile: Profile) -> dict[str, FinetuneRecipe]:
    """Those that a profile trains."""
    return {name: RECIPES[name] for name in SERIES[maker("full")[0]].made(profile.evaluate.reviewer_rows)}


def snr_range(settings: Finetune, recipe: FinetuneRecipe, step: int) -> SnrRange | None:
    """SNRs in dB that are heard at `step` of a fine-tuning; None: clean clips."""
    if recipe.noise == "none":
        return None
    if not recipe.curriculum:
        return settings.snr_db
    done = 0.0
    for stage in settings.curriculum:
        done += stage.share
        if step < round(done * settings.steps):
            break
    return stage.snr_db


class NoisyBatch(NamedTuple):
    """A batch in noise. mixtures: (B, nb_samples). snr_db: (B,), +inf for clean clips. noises: (B, nb_events) row
    numbers of the bank, -1 where there is none.
    """

    mixtures: Tensor
    snr_db: Tensor
    noises: Tensor


@dataclass(frozen=True)
class NoisyEar:
    """Hears clips in the noise that a recipe prescribes. allowed: (nb_clips, nb_noise_classes) bool."""

    clips: TrainingSet
    bank: NoiseBank
    allowed: Tensor
    recipe: FinetuneRecipe
    settings: Finetune

    def hear(self, index: Tensor, step: int) -> NoisyBatch:
        """The drawn clips as they sound at `step`. index: (B,) clip numbers."""
        clean = self.clips.audio[index] * (1 / FULL_SCALE)
        snrs = snr_range(self.settings, self.recipe, step)
        if snrs is None:
            return NoisyBatch(clean, torch.full_like(clean[:, 0], torch.inf), torch.full_like(index[:, None], -1))
        noises, present = self.bank.draw(self.allowed[index])
        snr_db = snrs[0] + (snrs[1] - snrs[0]) * torch.rand(len(index), device=clean.device)
        mixtures, _ = mix_at_snr(clean, self.bank.tracks(noises, present, clean.shape[1]), snr_db)
        return NoisyBatch(mixtures, snr_db, noises.where(present, -1))


def noisy_ears(run: Run, names: Sequence[str], detector: Detector) -> dict[str, NoisyEar]:
    """Of each recipe in `names` the noise for every training clip; clips and noises are shared.

    Noise is chosen by labels, which unlabelled clips do not have: they take the labels that `detector`
    (g_θ) hears in them, as a mean teacher would.
    """
    clips = TrainingSet.load(run, detector.nb_frames, device())
    bank = NoiseBank.of(load_sources(run, "train"), run.profile.data.noise_classes, device())
    label_sets = clips.label_sets + heard_label_sets(detector, clips.audio, len(clips.label_sets))
    ears = {}
    for name in names:
        selection = CHOOSERS[RECIPES[name].noise](run)
        allowed = bank.allowed([choose(labels, selection) for labels in label_sets])
        ears[name] = NoisyEar(clips, bank, allowed, RECIPES[name], run.profile.sed.finetune)
    return ears


@torch.no_grad()
def heard_label_sets(
    detector: Detector, audio: Tensor | Audio, first: int = 0, batch: int = 16
) -> list[frozenset[str]]:
    """Labels of the clips from number `first` on as the detector hears them. audio: (nb_clips, nb_samples) int16."""
    starts = tqdm(range(first, len(audio), batch), desc="labels", mininterval=1.0, leave=False)
    heard = torch.cat([detector(audio[i : i + batch].float() / FULL_SCALE)[1] > THRESHOLD for i in starts])
    return [frozenset(c for c, there in zip(detector.classes, row, strict=True) if there) for row in heard.tolist()]


def finetune(run: Run, name: str, ear: NoisyEar | None = None) -> pd.DataFrame:
    """Fine-tune g_θ by `RECIPES[name]`; leave `<name>.safetensors` and return its history.

    ear: of `noisy_ears`, where it is there already: clips and noises are gigabytes.
    """
    if (history := kept(*files(run, name))) is not None:
        return history
    detector = load_detector(run.find("theta"), run.profile)
    ear = ear or noisy_ears(run, [name], detector)[name]

    share = sharding.Share(run.profile.sed.batch.sizes)

    def hear(index: Tensor, step: int) -> Features:
        return share.each(detector.features, ear.hear(index, step).mixtures)  # mixing is cheap, an encoder is not

    return train_student(run, name, detector, hear, ear.clips, run.profile.sed.finetune)
