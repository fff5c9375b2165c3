"""The settings of the separation studies (notebooks 09 to 12): the section `studies` of a profile."""

from __future__ import annotations

from typing import Literal, cast

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from nrsed_lib.errors import ProfileError
from nrsed_lib.profile import LassTrain, Profile, Schedule, Section, SnrRange


class Task9(LassTrain):
    """Notebook 09: training as the baseline of DCASE 2024 task 9 does it, and what it is measured on."""

    sounds: Literal["own", "development"] = "own"  # the profile's training sounds, or the task's: FSD50K and Clotho
    official_list: bool = False  # measured on the challenge's own validation list instead of the profile's
    lr: PositiveFloat = 1e-3
    snr_db: SnrRange = (-10.0, 10.0)  # the loudness ratio of the two sources of a training mixture
    nb_validation: PositiveInt = 120  # mixtures of the synthetic validation list
    validation_snr_db: SnrRange = (-15.0, 15.0)


class Captions(LassTrain):
    """Notebook 10: the same training with captions that a language model has added."""

    prompts: list[str] = ["paraphrase", "tags", "detailed", "viewpoints", "chain_of_thought"]
    numbers: list[int] = [0, 1, 3, 5]  # captions added to each sentence
    compared_at: PositiveInt = 3  # the number at which prompts are compared

    @model_validator(mode="after")
    def _coherent(self) -> Captions:
        if self.compared_at not in self.numbers or 0 not in self.numbers:
            raise ValueError(f"numbers {self.numbers} must have 0 and compared_at ({self.compared_at}) in them")
        return self


class CaptionerTrain(Schedule):
    """How notebook 11's captioner learns from mixtures."""

    batch: PositiveInt = 24
    seconds: PositiveFloat = 5.0  # of each mixture
    nb_mixtures: PositiveInt | None = None  # so many are prepared and heard again and again; None: new ones each step
    seed: int = 0  # one captioner for all seeds


class OpenSep(LassTrain):
    """Notebook 11: the network of OpenSep and its baselines. Published sizes by default."""

    n_fft: PositiveInt = 1022
    hop: PositiveInt = 256
    nb_bands: PositiveInt | None = None
    nb_channels: list[PositiveInt] = [32, 64, 128, 256, 512, 512, 512]  # of the encoder's stages
    nb_attended: PositiveInt = 4  # of the deepest skips have self- and cross-attention
    nb_heads: PositiveInt = 8
    text: Literal["learned", "roberta"] = "learned"  # what reads the texts
    condition_size: PositiveInt = 768  # of a token
    bfloat16: bool = False  # the networks' products, where the processor has them; spectra stay float32
    shots: list[int] = [1, 2, 3, 5]  # examples shown to the knowledge parser
    captioner: CaptionerTrain


class Studies(Section):
    """The separation studies (notebooks 09 to 12)."""

    seeds: list[int] = Field(default=[0], min_length=1)  # of their trainings
    nb_mixtures: PositiveInt = 100  # held-out mixtures that a row of a table is measured on
    task9: Task9
    captions: Captions
    opensep: OpenSep


def studies_of(profile: Profile) -> Studies:
    """The studies' settings. Raises ProfileError where a profile has none."""
    if profile.studies is None:
        raise ProfileError(f"profile {profile.name} has no section `studies`, which notebooks 09 to 12 need; add one")
    return cast(Studies, profile.studies)
