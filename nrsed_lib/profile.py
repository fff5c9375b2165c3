"""What a run is: data, sizes, schedule, seeds. One typed object, one YAML file per profile.

`load_profile` is the only door. What is said there of a setting comes from three places: its type, the `checks` of its
section, and those of the rooms that use it (`series.LIMITS`), which know their plug-ins.
"""

from __future__ import annotations

import copy
import csv
import importlib
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SerializeAsAny, ValidationError, create_model

from nrsed_lib.errors import ProfileError
from nrsed_lib.paths import DATA
from nrsed_lib.series import LIMITS, plugin
from nrsed_lib.settings import kinds, plain_yaml
from nrsed_lib.settings.kinds import SnrRange, condition, short
from nrsed_lib.settings.section import Check, Section, line, sections, wrong

PROFILES = Path(__file__).parent / "profiles"
MOST_SAID = 20  # faults of a profile

# Names that stand for a whole vocabulary in `data.noise_classes`: the table that lists it, in its column `class`.
VOCABULARIES = {"AudioSet-Strong": DATA / "vocabulary" / "audioset_strong.csv"}


def rows(path: Path) -> list[dict[str, str]]:
    """Of a committed table, by column."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _whole_vocabularies(names: list[str]) -> list[str]:
    whole = {name: [row["class"] for row in rows(VOCABULARIES[name])] for name in {*names} & {*VOCABULARIES}}
    return [noise for name in names for noise in whole.get(name, [name])]


class Data(Section):
    """What is heard: where clips come from, how many of each, and in which noise they are tested."""

    source: Literal["synth", "recordings", "desed"]
    classes: Annotated[kinds.Lines, kinds.Distinct]  # target events, in DESED's spelling
    # U_gamma, what the LLM chooses from; AudioSet-Strong: all of it
    noise_classes: Annotated[kinds.Lines, AfterValidator(_whole_vocabularies), kinds.Distinct]
    sample_rate: kinds.Rate = 16_000
    clip_seconds: kinds.Seconds = 10.0
    nb_strong: kinds.Count
    nb_weak: kinds.Count
    nb_unlabelled: kinds.Count
    nb_validation: kinds.Count
    nb_test: kinds.Count
    nb_empty: kinds.Count = 100  # clips in which no target is heard; DESED has none
    nb_draws_per_class: kinds.Count = 24  # training draws of a synthesised target class
    nb_noise_draws_per_class: kinds.Count = 6  # training draws of a synthesised noise class
    max_events_per_clip: Annotated[int, Field(ge=1, le=50)] = 4
    snrs_db: kinds.Conditions = [10.0, 5.0, 0.0, -5.0]  # test conditions after "clean", easy to hard

    @property
    def nb_samples(self) -> int:
        return round(self.sample_rate * self.clip_seconds)

    @property
    def conditions(self) -> dict[str, float | None]:
        """Condition name -> SNR in dB (None: no noise), in the order of Table I."""
        return {"clean": None} | {condition(snr): snr for snr in self.snrs_db}

    def checks(self) -> Iterator[Check]:
        both = sorted(set(self.classes) & set(self.noise_classes))
        alike = both and self.source != "desed"  # of AudioSet's own classes the LLM chooses none that a clip has
        yield alike, "noise_classes", f"{both} are target classes too", "remove them"
        rest, near = (
            self.sample_rate * self.clip_seconds - self.nb_samples,
            f"e.g. {self.nb_samples / self.sample_rate:g}",
        )
        yield abs(rest) > 1e-6, "clip_seconds", f"is no whole number of samples at {self.sample_rate} Hz", near


class Llm(Section):
    """Who chooses the noise. `replay` uses recorded answers and needs no key."""

    mode: Literal["replay", "live"] = "replay"
    answers: kinds.FileName  # under data/answers/
    model: kinds.Line = "gpt-4o"  # for live runs
    timeout_s: kinds.Patience = 60.0
    max_retries: kinds.Tries = 4  # 429, 5xx, time-outs: with back-off
    max_repairs: kinds.Tries = 3  # asking again after an answer that breaks a rule

    def checks(self) -> Iterator[Check]:
        lost = self.mode == "replay" and not (DATA / "answers" / self.answers).is_file()
        yield lost, "answers", f"does not exist in {DATA / 'answers'}", "name one that does, or set llm.mode to live"


class Mel(Section):
    n_fft: kinds.Window = 2048
    hop: kinds.Size = 256
    nb_mels: kinds.Size = 128
    f_min: kinds.Hertz = 0.0
    f_max: kinds.Hertz = 8000.0

    def checks(self) -> Iterator[Check]:
        yield self.hop > self.n_fft, "hop", "leaves samples between the windows unheard", f"at most n_fft, {self.n_fft}"
        yield self.f_min >= self.f_max, "f_min", f"is not below f_max, {self.f_max:g} Hz", "e.g. 0"


class Crnn(Section):
    """Published sizes by default: seven gated conv blocks, BGRU 2 x 128."""

    nb_filters: kinds.Sizes = [16, 32, 64, 128, 128, 128, 128]
    pooling: list[kinds.Pair] = [(2, 2), (2, 2), *[(1, 2)] * 5]
    nb_rnn_cells: kinds.Size = 128
    nb_rnn_layers: Annotated[kinds.Depth, Field(ge=1)] = 2
    dropout: kinds.Part = 0.5
    clip_pooling: Literal["attention", "linear"] = "attention"  # how frames become a clip's probability
    dropout_before_pooling: bool = False  # as released: four times as many numbers to draw
    batchnorm_momentum: kinds.Share = 0.1  # released: 0.99, which keeps little but the last batch

    def checks(self) -> Iterator[Check]:
        sizes, nb = len(self.pooling), len(self.nb_filters)
        yield sizes != nb, "pooling", f"has {sizes} entries for {nb} nb_filters", "one of each a block"


class Batch(Section):
    strong: kinds.Size
    weak: kinds.Size
    unlabelled: kinds.Size

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Clips of each kind, in the order in which they are in a batch."""
        return self.strong, self.weak, self.unlabelled


class Schedule(Section):
    steps: kinds.Count
    warmup_steps: Annotated[int, Field(ge=0)]  # exponential ramp of the rate and of the consistency weight
    lr: kinds.Share = 1e-3

    def checks(self) -> Iterator[Check]:
        most = f"at most {self.steps}"
        yield self.warmup_steps > self.steps, "warmup_steps", f"are not over after {self.steps} steps", most


class CurriculumStage(Section):
    """A share of the fine-tuning steps and what is heard in it: clean clips, noise at SNRs of a range, or parts.

    parts_db: the clips are dealt by lot into as many equal parts, each of which has its SNR (None: clean).
    """

    share: kinds.Share
    snr_db: SnrRange | None = None
    parts_db: Annotated[list[kinds.Decibels | None], Field(min_length=1, max_length=100)] | None = None

    @property
    def lowest_db(self) -> float:
        """The lowest SNR; inf: clean."""
        return min([db for db in self.parts_db or self.snr_db or () if db is not None], default=math.inf)

    @property
    def share_in_noise(self) -> float:
        """Of the clips that may hear noise (`Finetune.noisy`)."""
        parts = self.parts_db or [self.snr_db and self.snr_db[0]]
        return sum(db is not None for db in parts) / len(parts)

    def __str__(self) -> str:
        if self.parts_db:
            return ", ".join("clean" if db is None else f"{db:g} dB" for db in self.parts_db)
        return "{:g} … {:g} dB".format(*self.snr_db) if self.snr_db else "clean"


class Finetune(Schedule):
    snr_db: SnrRange = (-10.0, 10.0)  # without a curriculum: uniform in this range
    noisy: Literal["all", "strong"] = "all"  # which clips may hear noise: every one, or those with strong labels
    curriculum: Annotated[list[CurriculumStage], Field(min_length=1)]

    def stages(self, curriculum: bool) -> list[CurriculumStage]:
        """Of the curriculum; without: one, of all steps."""
        return self.curriculum if curriculum else [CurriculumStage(share=1.0, snr_db=self.snr_db)]

    def checks(self) -> Iterator[Check]:
        yield from super().checks()
        shares = [stage.share for stage in self.curriculum]
        lows = [stage.lowest_db for stage in self.curriculum]
        both = [i for i, stage in enumerate(self.curriculum) if stage.snr_db and stage.parts_db]
        unheard = any(round(share * self.steps) < 1 for share in shares)
        for bad, what, remedy in (
            (abs(sum(shares) - 1) > 1e-6, f"has shares that add up to {sum(shares):g}", "make them add up to 1"),
            (unheard, f"has a stage without any of {self.steps} steps", "give more steps or fewer stages"),
            (both, f"has both snr_db and parts_db in stage {both[:1]}", "keep one of them"),
            (
                lows != sorted(lows, reverse=True),
                f"has lowest SNRs {lows} that rise",
                "let them fall from easy to hard",
            ),
        ):
            yield bad, "curriculum", what, remedy


Way = Literal["ours", "as_released"]


class Ways(Section):
    """Where the paper leaves open how the detector learns: as this project does it, or as the paper's released code.

    Each has a table where it is used, with a row for each of its values; PAPER.md says how they differ, and why.
    """

    scaler: Way = "ours"  # of spectrograms: sed/mel.py
    clip_loss: Way = "ours"  # whose clip-wise predictions learn from labels: sed/mean_teacher.py
    teacher: Way = "ours"  # its mode, its average and when that is taken: sed/mean_teacher.py
    warmup: Way = "ours"  # from which step it counts: training.py
    augmentation: Literal["ours", "as_released", "as_written"] = "ours"  # as written: none is: sed/augment.py
    batches: Way = "ours"  # drawn with replacement, or each clip of the smallest set once an epoch: sed/training_set.py
    kept: Way = "ours"  # the last step, or the best epoch on validation: sed/validation.py


class Sed(Section):
    """The detector and how it learns (stages 1 and 2)."""

    encoder: Literal["none", "mn04", "beats"] = "none"
    bfloat16: bool = False  # the products of BEATs, where the processor has them; what learns stays float32
    mel: Mel = Mel()
    crnn: Crnn = Crnn()
    batch: Batch
    train: Schedule
    finetune: Finetune
    ways: Ways = Ways()
    labelled_share: Annotated[float, Field(ge=0, le=1)] = 0.5  # of a frame: less has no label; 0: any touch has
    weak_share: kinds.Share = 1.0  # of the weak clips that train; the others help to choose the epoch
    ema: kinds.Part = 0.999
    consistency: kinds.Weight = 2.0  # highest weight of the mean-teacher loss
    median_frames: kinds.Size = 7

    def checks(self) -> Iterator[Check]:
        yield self.median_frames % 2 == 0, "median_frames", "is even and has no middle", "make it odd"
        chosen = self.ways.kept == "as_released"
        yield chosen and self.weak_share == 1, "weak_share", "leaves no weak clip to choose the epoch by", "e.g. 0.9"


class LassTrain(Schedule):
    batch: kinds.Size
    seconds: kinds.Seconds  # of each training mixture
    snr_db: SnrRange = (-10.0, 10.0)


class Lass(Section):
    """The separator. Published sizes by default (AudioSep's ResUNet30)."""

    n_fft: kinds.Window = 1024
    hop: kinds.Size = 160
    nb_bands: Annotated[kinds.Size, Field(ge=2)] | None = None  # None: every bin; else so many bands (lass/bands.py)
    nb_channels: Annotated[kinds.Sizes, Field(min_length=2)] = [32, 64, 128, 256, 384, 384, 384]
    dprnn_layers: kinds.Depth = 0  # 0: no DPRNN at the bottleneck
    dprnn_hidden: kinds.Size = 128
    text: Literal["learned", "clap"] = "learned"
    weights: kinds.FileName | None = None  # converted weights to take instead of training, e.g. audiosep-dp
    condition_size: kinds.Size = 512
    bfloat16: bool = False  # the network's products, where the processor has them; spectra stay float32
    train: LassTrain


class Evaluate(Section):
    nb_bootstrap: kinds.Count = 2000  # draws of test recordings
    batch: kinds.Size = 8  # (clip, query) pairs a forward pass: more leave a CPU's cache, and a GPU takes e.g. 64
    nb_separation_mixtures: kinds.Count = 120  # held-out mixtures for the SDR improvement
    reviewer_rows: bool = False  # whether the systems that a reviewer asks for are trained and tested (systems.py)


class Profile(Section):
    """A whole run."""

    name: kinds.FolderName
    # a seed deals everything anew: recordings, soundscapes, noise, trainings; the tables have a row for each
    seeds: kinds.Seeds = [0]
    data: Data
    llm: Llm
    sed: Sed
    lass: Lass
    evaluate: Evaluate = Evaluate()
    studies: SerializeAsAny[Section] | None = None  # the separation studies' own (`studies.settings.studies_of`)
    gpu: bool = False  # whether a cluster is asked for GPUs, and for time and memory to go with them


def load_profile(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Profile:
    """The profile `name` (mini, open, paper, smoke, or a YAML file) with dotted `overrides`.

    `{"sed.train.steps": 50}` sets one value; `{"seed": 3}` is short for `{"seeds": [3]}`.

    Raises ProfileError for an unknown profile or a file that is none, and else naming every key whose value is of a
    wrong type or out of range; or, when all are right by themselves, every one that does not go with the others.
    """
    known = sorted(p.stem for p in PROFILES.glob("*.yaml"))
    if str(name) not in known and not str(name).endswith((".yaml", ".yml")):
        raise ProfileError(f"no profile {short(name)}: use one of {', '.join(known)}, or the path of a YAML file")
    path = PROFILES / f"{name}.yaml" if str(name) in known else Path(name)
    raw = copy.deepcopy(plain_yaml.read(path))
    if not isinstance(raw, dict):
        raise ProfileError(f"{path} holds {short(raw)}, not keys; write `name: …` and the sections of a profile")
    _override(raw, {} if overrides is None else overrides)
    form = _with_studies() if raw.get("studies") is not None else Profile
    try:
        profile = Profile(**dict(form.model_validate(raw)))
    except ValidationError as error:
        nb, lines = error.error_count(), wrong(error, form)
    else:
        first = {key: said for key, *said in reversed([*_unfit(profile)])}  # of each key
        lines = (line(key, *said, reduce(getattr, key.split("."), profile)) for key, said in reversed(first.items()))
        nb = len(first)
    if nb:
        more = [f"  … and {nb - MOST_SAID} more"] if nb > MOST_SAID else []
        raise ProfileError("\n".join([f"profile {path.name} cannot be run:", *islice(lines, MOST_SAID), *more]))
    return profile


@cache
def _with_studies() -> type[Profile]:
    """A profile whose studies are held to their own settings, which only who has studies imports."""
    studies: Any = (plugin("studies", "studies").Studies, ...)  # the type, and that there is no default
    return create_model("Profile", __base__=Profile, studies=studies)


def _unfit(profile: Profile) -> Iterator[tuple[str, str, str]]:
    """What does not go together, section by section and then as the rooms see it: key, what is wrong, what to do."""
    for at, section in sections(profile):
        yield from ((f"{at}{key}", what, remedy) for bad, key, what, remedy in section.checks() if bad)
    for room in LIMITS:
        yield from (said for bad, *said in importlib.import_module(room).checks(profile) if bad)


def _override(raw: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Set dotted keys. Raises ProfileError for what is none, goes through a value, or undoes an earlier one."""
    if not isinstance(overrides, Mapping):
        raise ProfileError(f"overrides {short(overrides)} are no dotted keys; write e.g. {{'sed.train.steps': 50}}")
    done: list[str] = []
    for dotted, value in copy.deepcopy(dict(overrides)).items():
        if not isinstance(dotted, str) or not re.fullmatch(r"\w+(\.\w+)*", dotted, re.ASCII):
            raise ProfileError(f"override {short(dotted)} is no dotted key; write e.g. sed.train.steps")
        key, value = ("seeds", [value]) if dotted == "seed" else (dotted, value)
        if lost := [before for before in done if f"{before}.".startswith(f"{key}.")]:
            raise ProfileError(f"override {dotted!r} undoes {lost[0]!r}; give one of them, or {dotted!r} first")
        *parents, leaf = key.split(".")
        section = raw
        for depth, parent in enumerate(parents, 1):
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                where = ".".join(parents[:depth])
                raise ProfileError(f"override {dotted!r}: {where} is a value, not a section (got {short(section)})")
        section[leaf] = value
        done.append(key)
