"""What a run is: data, sizes, schedule, seeds. One typed object, one YAML file per profile."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from nrsed_lib.errors import ProfileError
from nrsed_lib.paths import DATA
from nrsed_lib.series import plugin

PROFILES = Path(__file__).parent / "profiles"

# Names that stand for a whole vocabulary in `data.noise_classes`: the table that lists it, in its column `class`.
VOCABULARIES = {"AudioSet-Strong": DATA / "vocabulary" / "audioset_strong.csv"}

Probability = Annotated[float, Field(ge=0, le=1)]
SnrRange = tuple[float, float]


class Section(BaseModel):
    """Settings are frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """What is heard: where clips come from, how many of each, and in which noise they are tested."""

    source: Literal["synth", "recordings", "desed"]
    classes: list[str] = Field(min_length=1)  # target events, in DESED's spelling
    noise_classes: list[str] = Field(min_length=1)  # U_gamma, what the LLM chooses from; AudioSet-Strong: all of it
    sample_rate: PositiveInt = 16_000  # Hz
    clip_seconds: PositiveFloat = 10.0
    nb_strong: PositiveInt
    nb_weak: PositiveInt
    nb_unlabelled: PositiveInt
    nb_validation: PositiveInt
    nb_test: PositiveInt
    nb_draws_per_class: PositiveInt = 24  # training draws of a synthesised target class
    nb_noise_draws_per_class: PositiveInt = 6  # training draws of a synthesised noise class
    max_events_per_clip: PositiveInt = 4
    snrs_db: list[float] = [10.0, 5.0, 0.0, -5.0]  # test conditions after "clean", easy to hard
    seed: int = 0  # of the data set; the training seeds are `seeds`

    @property
    def nb_samples(self) -> int:
        return round(self.sample_rate * self.clip_seconds)

    @property
    def conditions(self) -> dict[str, float | None]:
        """Condition name -> SNR in dB (None: no noise), in the order of Table I."""
        return {"clean": None} | {f"{snr:g}dB": snr for snr in self.snrs_db}

    @field_validator("noise_classes")
    @classmethod
    def _whole_vocabularies(cls, names: list[str]) -> list[str]:
        return [noise for name in names for noise in (_listed(name) if name in VOCABULARIES else [name])]

    @model_validator(mode="after")
    def _coherent(self) -> Data:
        for name in ("classes", "noise_classes"):
            values = getattr(self, name)
            if twice := sorted({v for v in values if values.count(v) > 1}):
                raise ValueError(f"{name} lists {twice} more than once; list each class once")
        both = sorted(set(self.classes) & set(self.noise_classes))
        if both and self.source != "desed":  # of AudioSet's own classes the LLM chooses none that a clip has
            raise ValueError(f"noise_classes {both} are target classes too; remove them")
        if any(a <= b for a, b in pairwise(self.snrs_db)):
            raise ValueError(f"snrs_db {self.snrs_db} must fall from easy to hard, e.g. [10, 5, 0, -5]")
        return self


def _listed(vocabulary: str) -> list[str]:
    with VOCABULARIES[vocabulary].open(newline="") as file:
        return [row["class"] for row in csv.DictReader(file)]


class Llm(Section):
    """Who chooses the noise. `replay` uses recorded answers and needs no key."""

    mode: Literal["replay", "live"] = "replay"
    answers: str  # file under data/answers/
    model: str = "gpt-4o"  # for live runs
    timeout_s: PositiveFloat = 60.0
    max_retries: int = Field(default=4, ge=0)  # 429, 5xx, time-outs: with back-off
    max_repairs: int = Field(default=3, ge=0)  # asking again after an answer that breaks a rule


class Mel(Section):
    n_fft: PositiveInt = 2048
    hop: PositiveInt = 256
    nb_mels: PositiveInt = 128
    f_min: float = Field(default=0.0, ge=0)
    f_max: PositiveFloat = 8000.0


class Crnn(Section):
    """Published sizes by default: seven gated conv blocks, BGRU 2 x 128."""

    nb_filters: list[PositiveInt] = [16, 32, 64, 128, 128, 128, 128]
    pooling: list[tuple[PositiveInt, PositiveInt]] = [(2, 2), (2, 2), (1, 2), (1, 2), (1, 2), (1, 2), (1, 2)]
    nb_rnn_cells: PositiveInt = 128
    nb_rnn_layers: PositiveInt = 2
    dropout: Probability = 0.5
    clip_pooling: Literal["attention", "linear"] = "attention"  # how frames become a clip's probability

    @model_validator(mode="after")
    def _coherent(self) -> Crnn:
        if len(self.nb_filters) != len(self.pooling):
            raise ValueError(
                f"{len(self.nb_filters)} nb_filters but {len(self.pooling)} pooling entries; one of each a block"
            )
        return self


class Batch(Section):
    strong: PositiveInt
    weak: PositiveInt
    unlabelled: PositiveInt

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Clips of each kind, in the order in which they are in a batch."""
        return self.strong, self.weak, self.unlabelled


class Schedule(Section):
    steps: PositiveInt
    warmup_steps: int = Field(ge=0)  # exponential ramp of the rate and of the consistency weight
    lr: PositiveFloat = 1e-3


class CurriculumStage(Section):
    """A share of the fine-tuning steps and what is heard in it."""

    share: PositiveFloat
    snr_db: SnrRange | None  # None: clean


class Finetune(Schedule):
    snr_db: SnrRange = (-10.0, 10.0)  # without a curriculum: uniform in this range
    curriculum: list[CurriculumStage] = Field(min_length=1)

    @model_validator(mode="after")
    def _coherent(self) -> Finetune:
        total = sum(stage.share for stage in self.curriculum)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of the curriculum add up to {total:g}; make them add up to 1")
        lows = [stage.snr_db[0] for stage in self.curriculum if stage.snr_db]
        if any(a < b for a, b in pairwise(lows)):
            raise ValueError(f"the curriculum's lowest SNRs {lows} must fall from easy to hard")
        for low, high in [self.snr_db, *(s.snr_db for s in self.curriculum if s.snr_db)]:
            if low > high:
                raise ValueError(f"snr_db ({low:g}, {high:g}) must be (low, high)")
        return self


class Sed(Section):
    """The detector and how it learns (stages 1 and 2)."""

    encoder: Literal["none", "mn04", "beats"] = "none"
    bfloat16: bool = False  # the products of BEATs, where the processor has them; what learns stays float32
    mel: Mel = Mel()
    crnn: Crnn = Crnn()
    batch: Batch
    train: Schedule
    finetune: Finetune
    ema: Probability = 0.999
    consistency: float = Field(default=2.0, ge=0)  # highest weight of the mean-teacher loss
    median_frames: PositiveInt = 7


class LassTrain(Schedule):
    batch: PositiveInt
    seconds: PositiveFloat  # of each training mixture
    snr_db: SnrRange = (-10.0, 10.0)
    seed: int = 0  # the separator is a pretrained model in the paper: one for all seeds


class Lass(Section):
    """The separator. Published sizes by default (AudioSep's ResUNet30)."""

    n_fft: PositiveInt = 1024
    hop: PositiveInt = 160
    nb_bands: PositiveInt | None = None  # None: every bin; else this many bands in and out (lass/bands.py)
    nb_channels: list[PositiveInt] = [32, 64, 128, 256, 384, 384, 384]
    dprnn_layers: int = Field(default=0, ge=0)  # 0: no DPRNN at the bottleneck
    dprnn_hidden: PositiveInt = 128
    text: Literal["learned", "clap"] = "learned"
    weights: str | None = None  # converted weights to take instead of training, e.g. audiosep-dp
    condition_size: PositiveInt = 512
    bfloat16: bool = False  # the network's products, where the processor has them; spectra stay float32
    train: LassTrain


class Evaluate(Section):
    nb_bootstrap: PositiveInt = 200
    batch: PositiveInt = 8  # (clip, query) pairs a forward pass: more leave a CPU's cache, and a GPU takes e.g. 64
    nb_separation_mixtures: PositiveInt = 120  # held-out mixtures for the SDR improvement


class Profile(Section):
    """A whole run."""

    name: str
    seeds: list[int] = Field(default=[0], min_length=1)  # of training; the tables have a row for each
    data: Data
    llm: Llm
    sed: Sed
    lass: Lass
    evaluate: Evaluate = Evaluate()
    studies: SerializeAsAny[Section] | None = None  # the separation studies' own (`studies.settings.studies_of`)
    gpu: bool = False  # whether a cluster is asked for GPUs, and for time and memory to go with them

    @model_validator(mode="after")
    def _coherent(self) -> Profile:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.name):
            raise ValueError(f"name {self.name!r} names a folder: use letters, digits, - and _")
        if self.sed.mel.f_max > self.data.sample_rate / 2:
            raise ValueError(
                f"sed.mel.f_max {self.sed.mel.f_max:g} Hz is above half the sample rate "
                f"({self.data.sample_rate / 2:g} Hz)"
            )
        return self


def load_profile(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Profile:
    """The profile `name` (mini, open, paper, smoke, or a YAML file) with dotted `overrides`.

    `{"sed.train.steps": 50}` sets one value; `{"seed": 3}` is short for `{"seeds": [3]}`.

    Raises ProfileError naming the file, key and value for an unknown profile or key, a wrong type
    or an impossible combination.
    """
    path = Path(name) if str(name).endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.yaml")))
        raise ProfileError(f"no profile {str(name)!r}: use one of {known}, or the path of a YAML file")
    try:
        raw = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ProfileError(f"{path} is not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ProfileError(f"{path} must hold a mapping, not {type(raw).__name__}")
    for key, value in dict(overrides or {}).items():
        _set(raw, *(("seeds", [value]) if key == "seed" else (key, value)))
    form = Profile
    if raw.get("studies") is not None:  # held to their own settings, which only who has studies imports
        studies: Any = (plugin("studies", "studies").Studies, ...)  # the type, and that there is no default
        form = create_model("Profile", __base__=Profile, studies=studies)
    try:
        return Profile(**dict(form.model_validate(raw)))
    except ValidationError as error:
        faults = [(".".join(map(str, e["loc"])), e["msg"], e["input"]) for e in error.errors()]
        lines = [f"  {key or 'profile'}: {message} (got {_short(value)})" for key, message, value in faults]
        raise ProfileError(f"profile {path.name} cannot be run:\n" + "\n".join(lines)) from None


def _set(raw: dict, dotted: str, value: Any) -> None:
    *parents, leaf = dotted.split(".")
    for depth, key in enumerate(parents):
        raw = raw.setdefault(key, {})
        if not isinstance(raw, dict):
            raise ProfileError(f"override {dotted!r}: {'.'.join(parents[: depth + 1])} is a value, not a section")
    raw[leaf] = value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
