"""Stage 2: g_θ becomes g_α by hearing its clips in noise (section II-B).

The fine-tuned models, three of Table I and those that a reviewer asks for, differ by a row of `RECIPES` and by nothing
else: the same start, number of steps, clips and draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from nrsed_lib import sharding
from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import FULL_SCALE, to_int16
from nrsed_lib.data.mixing import mix_at_snr
from nrsed_lib.data.prepare import load_sources, load_split
from nrsed_lib.llm.selection import CHOOSERS
from nrsed_lib.profile import CurriculumStage, Finetune, Profile
from nrsed_lib.sed.detector import THRESHOLD, Detector, Features, load_detector
from nrsed_lib.sed.embeddings import KeptEmbeddings, keep_embeddings
from nrsed_lib.sed.mean_teacher import files, train_student
from nrsed_lib.sed.noise import NB_EVENTS, NoiseBank, choose
from nrsed_lib.sed.training import all_features, clean_features
from nrsed_lib.sed.training_set import Audio, TrainingSet
from nrsed_lib.sed.validation import Validation
from nrsed_lib.series import SERIES, maker
from nrsed_lib.training import device, kept, step_generator


@dataclass(frozen=True)
class FinetuneRecipe:
    """system: its row of Table I. noise: who chooses its classes (`llm.selection.CHOOSERS`). curriculum: SNR falls in
    stages."""

    system: str
    noise: str
    curriculum: bool = True

    def stages(self, settings: Finetune) -> list[CurriculumStage]:
        """What is heard when; without noise: clean clips to the end."""
        return [CurriculumStage(share=1.0)] if self.noise == "none" else settings.stages(self.curriculum)


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


def stage_at(settings: Finetune, recipe: FinetuneRecipe, step: int) -> CurriculumStage:
    """What is heard at `step` of a fine-tuning."""
    done = 0.0
    for stage in recipe.stages(settings):
        done += stage.share
        if step < round(done * settings.steps):
            break
    return stage


class NoisyBatch(NamedTuple):
    """A batch, in noise. mixtures: (B, nb_samples). snr_db: (B,), +inf for clean clips. noises: (B, nb_events) row
    numbers of the bank, -1 where there is none.
    """

    mixtures: Tensor
    snr_db: Tensor
    noises: Tensor


@dataclass(frozen=True)
class NoisyEar:
    """Hears clips in the noise that a recipe prescribes. allowed: (nb_clips, nb_noise_classes) bool. seed: for lots."""

    clips: TrainingSet
    bank: NoiseBank
    allowed: Tensor
    recipe: FinetuneRecipe
    settings: Finetune
    seed: int = 0

    def hear(self, index: Tensor, step: int) -> NoisyBatch:
        """The drawn clips as they sound at `step`. index: (B,) clip numbers."""
        heard, stage = self.clips.audio[index] * (1 / FULL_SCALE), stage_at(self.settings, self.recipe, step)
        snr_db = self.levels(stage)[index]
        numbers = torch.full((len(index), NB_EVENTS[1]), -1, device=index.device)
        noisy = ~snr_db.isinf()
        if noisy.any():
            noises, present = self.bank.draw(self.allowed[index[noisy]])
            if stage.snr_db:
                low, high = stage.snr_db
                snr_db[noisy] = low + (high - low) * torch.rand(len(noises), device=index.device)
            tracks = self.bank.tracks(noises, present, heard.shape[1])
            heard[noisy], _ = mix_at_snr(heard[noisy], tracks, snr_db[noisy])
            numbers[noisy] = noises.where(present, -1)
        return NoisyBatch(heard, snr_db, numbers)

    def levels(self, stage: CurriculumStage) -> Tensor:
        """(nb_clips,) SNR of every clip in a stage, dB: inf where it is clean, NaN where each batch draws it anew.

        Parts are dealt by lot, anew for each number of them; the last takes what is left over.
        """
        nb_all = len(self.allowed)
        nb = nb_all if self.settings.noisy == "all" else self.clips.nb[0]
        levels = torch.full((nb_all,), torch.inf)
        if parts := stage.parts_db:
            lots = torch.randperm(nb, generator=step_generator(self.seed, "parts", len(parts)))
            snrs = torch.tensor([torch.inf if db is None else db for db in parts])
            levels[:nb] = snrs[(lots // max(1, nb // len(parts))).clamp_max(len(parts) - 1)]
        elif stage.snr_db:
            levels[:nb] = torch.nan
        return levels.to(self.allowed.device)


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
        ears[name] = NoisyEar(clips, bank, allowed, RECIPES[name], run.profile.sed.finetune, run.seed)
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

    sed, share, clean = run.profile.sed, sharding.Share(run.profile.sed.batch.sizes), None
    if sed.encoder == "beats":
        made = run.find("theta").with_name("embeddings.npy")  # in stage 1
        clean = keep_embeddings(detector, ear.clips.audio, made if made.exists() else run.folder / made.name)

    def hear(index: Tensor, step: int) -> Features:
        heard = ear.hear(index, step)  # mixing is cheap, an encoder is not: each process embeds its own rows
        return share.each(lambda rows: features_of(heard, rows, index, detector, clean), torch.arange(len(index)))

    validation = validate(run, name, ear, detector, clean) if sed.ways.kept == "as_released" else None
    return train_student(run, name, detector, hear, ear.clips, sed.finetune, validation)


def features_of(
    heard: NoisyBatch, rows: Tensor, index: Tensor, detector: Detector, clean: KeptEmbeddings | None
) -> Features:
    """Of some rows of a batch of the clips `index`; where embeddings are kept, those of clean clips are looked up.

    rows: (n,) → as `Detector.features` of n clips.
    """
    mixtures, noisy = heard.mixtures[rows], heard.snr_db[rows].isfinite()
    if clean is None:
        return detector.features(mixtures)
    embeddings = clean.look_up(index[rows])
    if noisy.any():
        embeddings[noisy] = cast(Tensor, detector.embeddings(mixtures[noisy]))
    return Features(detector.mel(mixtures), embeddings)


def validate(run: Run, name: str, ear: NoisyEar, detector: Detector, clean: KeptEmbeddings | None) -> Validation:
    """By clean weak clips, and by validation clips in noise of validation recordings as at the last step.

    Epochs count from the last stage on: the only one that has all levels, as released.
    """
    held_out, stages = load_split(run, "validation"), ear.recipe.stages(ear.settings)
    bank = NoiseBank.of(load_sources(run, "validation"), run.profile.data.noise_classes, device())
    selection = CHOOSERS[ear.recipe.noise](run)
    allowed = bank.allowed([choose(labels, selection) for labels in held_out.label_sets])
    clips = replace(ear.clips, audio=Audio((held_out.audio,), device()), nb=(len(held_out), 0, 0))
    there = replace(ear, clips=clips, bank=bank, allowed=allowed)
    torch.manual_seed(int(torch.randint(2**62, (), generator=step_generator(run.seed, f"{name}/validation", 0))))
    numbers = torch.arange(len(held_out), device=device())
    heard = (there.hear(some, ear.settings.steps - 1) for some in numbers.split(64))
    noisy = torch.cat([torch.from_numpy(to_int16(batch.mixtures.cpu().numpy())) for batch in heard])
    strong = clean_features(run, detector, Audio((noisy,), device()), f"validation_{name}")
    weak = clean or all_features(detector, ear.clips.audio)
    first = round(sum(stage.share for stage in stages[:-1]) * ear.settings.steps)
    return Validation.of(run.profile, detector, strong, held_out, weak, ear.clips, first)
