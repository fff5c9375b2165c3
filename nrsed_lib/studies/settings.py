"""The settings of the separation studies (notebooks 09 to 12): the section `studies` of a profile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, cast, get_args

from pydantic import Field

from nrsed_lib.errors import ProfileError
from nrsed_lib.profile import Check, LassTrain, Profile, Schedule, Section, SnrRange, kinds

NB_TEXTS = 5  # that are written for each class and prompt, and shown as examples

Written = Annotated[int, Field(ge=1, le=NB_TEXTS)]
Prompt = Literal["paraphrase", "tags", "detailed", "viewpoints", "chain_of_thought"]  # of data/captions/prompts.yaml


class Task9(LassTrain):
    """Notebook 09: training as the baseline of DCASE 2024 task 9 does it, and what it is measured on."""

    sounds: Literal["own", "development"] = "own"  # the profile's training sounds, or the task's: FSD50K and Clotho
    official_list: bool = False  # measured on the challenge's own validation list instead of the profile's
    snr_db: SnrRange = (-10.0, 10.0)  # the loudness ratio of the two sources of a training mixture
    nb_validation: kinds.Count = 120  # mixtures of the synthetic validation list
    validation_snr_db: SnrRange = (-15.0, 15.0)


class Captions(LassTrain):
    """Notebook 10: the same training with captions that a language model has added."""

    prompts: Annotated[list[Prompt], Field(min_length=1), kinds.Distinct] = [*get_args(Prompt)]
    numbers: Annotated[list[kinds.Tries], kinds.Distinct] = [0, 1, 3, 5]  # captions added to each sentence
    compared_at: Written = 3  # the number at which prompts are compared

    def checks(self) -> Iterator[Check]:
        yield from super().checks()
        most = NB_TEXTS * len(self.prompts)
        missing = not {0, self.compared_at} <= {*self.numbers}
        yield missing, "numbers", f"lacks 0 or compared_at, {self.compared_at}", "add them"
        yield max(self.numbers, default=0) > most, "numbers", f"has more than {most} texts of these prompts", "lower it"


class CaptionerTrain(Schedule):
    """How notebook 11's captioner learns from mixtures."""

    batch: kinds.Size = 24
    seconds: kinds.Seconds = 5.0  # of each mixture
    nb_mixtures: kinds.Count | None = None  # so many are prepared and heard again and again; None: new ones each step
    seed: kinds.Seed = 0  # one captioner for all seeds


class OpenSep(LassTrain):
    """Notebook 11: the network of OpenSep and its baselines. Published sizes by default."""

    n_fft: kinds.Window = 1022
    hop: kinds.Size = 256
    nb_bands: Annotated[kinds.Size, Field(ge=2)] | None = None
    nb_channels: kinds.Sizes = [32, 64, 128, 256, 512, 512, 512]  # of the encoder's stages
    nb_attended: kinds.Size = 4  # of the deepest skips have self- and cross-attention
    nb_heads: kinds.Size = 8
    text: Literal["learned", "roberta"] = "learned"  # what reads the texts
    condition_size: kinds.Size = 768  # of a token
    bfloat16: bool = False  # the networks' products, where the processor has them; spectra stay float32
    shots: Annotated[list[Written], kinds.Distinct] = [1, 2, 3, 5]  # examples shown to the knowledge parser
    captioner: CaptionerTrain


class Studies(Section):
    """The separation studies (notebooks 09 to 12)."""

    seeds: kinds.Seeds = [0]  # of their trainings
    nb_mixtures: kinds.Count = 100  # held-out mixtures that a row of a table is measured on
    task9: Task9
    captions: Captions
    opensep: OpenSep


def studies_of(profile: Profile) -> Studies:
    """The studies' settings. Raises ProfileError where a profile has none."""
    if profile.studies is None:
        raise ProfileError(f"profile {profile.name} has no section `studies`, which notebooks 09 to 12 need; add one")
    return cast(Studies, profile.studies)
