"""Settings that cannot be run: said at once, each by its key, its value and what to do.

Tables of one line a case. What a setting refuses because of its type is made from the types (`KINDS`); what is wrong
for other reasons is written down: by itself (`ALONE`), beside others (`TOGETHER`), as a key (`KEYS`), in a file
(`TEXTS`), in place of one (`FILES`), as a name (`NAMES`). Loading writes nothing: what is there is left as it was.
"""

from __future__ import annotations

import functools
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from typer.testing import CliRunner

from nrsed_lib.artefacts import open_run
from nrsed_lib.data.limits import known
from nrsed_lib.errors import ProfileError
from nrsed_lib.paths import DATA
from nrsed_lib.profile import PROFILES, load_profile
from nrsed_lib.run.cli import app
from nrsed_lib.settings.kinds import short
from nrsed_lib.settings.plain_yaml import table
from nrsed_lib.settings.section import Section
from nrsed_lib.studies.settings import Prompt
from nrsed_lib.studies.texts.questions import augmentations
from nrsed_lib.studies.texts.sounds import written

NAN, INF = math.nan, math.inf
SMOKE, SMOKE_PROFILE = (PROFILES / "smoke.yaml").read_text(), load_profile("smoke")


def refused(base: str | Path, overrides: Any, *words: str) -> str:
    """What is said of it: all the words, at once and in little space."""
    began = time.process_time()
    with pytest.raises(ProfileError) as caught:
        load_profile(base, overrides)
    said = str(caught.value)
    assert [word for word in words if word not in said] == [], said
    assert len(said) < 6000 and time.process_time() - began < 2, said
    assert all(line.isprintable() for line in said.splitlines()), said
    return said


def line_of(said: str, key: str, *words: str) -> None:
    """There is one line on the key, with the value, words and a remedy."""
    (line,) = (line for line in said.splitlines() if line.startswith(f"  {key}: "))
    assert "(got " in line and "; " in line and [word for word in words if word not in line] == [], line


# What no setting of a kind may be.
KINDS = {
    int: [NAN, INF, -INF, -1, 10**20, 10**5000, 2.5, True, "7", "", None, [1], {}],
    float: [NAN, INF, -INF, -1e300, 1e300, 10**400, True, "0.5", None, [1.0], {}],
    bool: [0, 1, "yes", "", None, []],
    str: [0, True, None, "", " ", "a\nb", "a\x00b", "\ud800", "x" * 1000, ["x"]],
    Literal: ["nothing known", "", 1, None, []],
    list: ["text", 5, {}, None, [[]], [None]],
    Section: ["text", 5, True],
}
NONE = {
    "llm.smollm2",
    "lass.nb_bands",
    "lass.weights",
    "studies.opensep.nb_bands",
    "studies.opensep.captioner.nb_mixtures",
    "studies",
}


def parts(annotation: Any) -> Iterator[Any]:
    yield get_origin(annotation) or annotation
    for part in get_args(annotation):
        yield from parts(part)


def settings_of(section: Section, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every key below a section, with its row in KINDS."""
    for name, field in type(section).model_fields.items():
        if isinstance(value := getattr(section, name), Section):
            yield f"{at}{name}", Section
            yield from settings_of(value, f"{at}{name}.")
        else:
            yield f"{at}{name}", next({tuple: list}.get(p, p) for p in parts(field.annotation) if p in {*KINDS, tuple})


TYPED = [
    (key, [v for v in KINDS[kind] if v is not None or key not in NONE]) for key, kind in settings_of(SMOKE_PROFILE)
]


@pytest.mark.parametrize(("key", "values"), TYPED, ids=[key for key, _ in TYPED])
def test_a_setting_takes_nothing_that_is_not_of_its_type(key, values):
    for value in values:
        said = refused("smoke", {key: value}, f"profile smoke.yaml cannot be run:\n  {key}", "; ")
        assert "(got " in said or " is missing" in said


def test_the_types_make_many_cases():
    assert sum(len(values) for _, values in TYPED) > 800


# Of the smoke profile: key, value, words of the line (which begins with another key where one is named).
ALONE = [
    ("name", "a/b", "folder name"),
    ("name", "../smoke", "folder name"),
    ("name", "..", "folder name"),
    ("name", "/tmp/x", "folder name"),
    ("name", "-x", "folder name"),
    ("name", "ünder", "letters, digits"),
    ("name", "a b", "folder name"),
    ("name", "x" * 65, "64"),
    ("name", "runs", "free folder name; not runs, bench or kept"),
    ("name", "Bench", "free folder name; not runs, bench or kept"),
    ("name", "kept", "free folder name; not runs, bench or kept"),
    ("seeds", [], "too few; 1 or more"),
    ("seeds", [0, 0], "[0] more than once; list each once"),
    ("seeds", [3, 1, 3], "[3] more than once"),
    ("seeds", [2**63], "seeds.0: too high; 9223372036854775808"),
    ("seeds", [-1], "seeds.0: too low; 0 or more"),
    ("seeds", [True], "seeds.0: whole number"),
    ("seeds", ["0"], "seeds.0: whole number '0' quotes"),
    ("seeds", [1.0], "seeds.0: whole number"),
    ("seeds", list(range(1001)), "too many; 1000"),
    ("data.source", "Synth", "unknown; 'synth', 'recordings' or 'desed'"),
    ("data.classes", [], "too few; 1"),
    ("data.classes", ["Dog", "Dog", "Cat"], "['Dog'] once"),
    ("data.classes", ["Dog", " Cat"], "data.classes.1: ' Cat' blanks"),
    ("data.classes", ["Dog", ""], "data.classes.1: no line"),
    ("data.classes", ["Dog", "C\tat"], "data.classes.1: no line"),
    ("data.classes", ["Dog", False], "data.classes.1: no text; quotes"),
    ("data.noise_classes", [], "too few"),
    ("data.noise_classes", ["Rain", "Rain"], "['Rain'] once"),
    ("data.noise_classes", ["AudioSet-Strong", "Rain"], "['Rain'] once"),
    ("data.sample_rate", 0, "too low; 8000"),
    ("data.sample_rate", 4000, "too low; 8000 or more"),
    ("data.sample_rate", 16_001, "multiple of 25"),
    ("data.sample_rate", 1_000_000, "too high; 192000"),
    ("data.sample_rate", 16_000.5, "whole number"),
    ("data.clip_seconds", 0, "too low; 0.5"),
    ("data.clip_seconds", 0.01, "too low; 0.5"),
    ("data.clip_seconds", 3600, "too high; 600"),
    ("data.nb_strong", 0, "too low; 1 or more"),
    ("data.nb_weak", 0, "too low; 1 or more"),
    ("data.nb_unlabelled", 0, "too low; 1 or more"),
    ("data.nb_validation", 0, "too low; 1 or more"),
    ("data.nb_test", 0, "too low; 1 or more"),
    ("data.nb_draws_per_class", 0, "too low; 1 or more"),
    ("data.nb_noise_draws_per_class", 0, "too low; 1 or more"),
    ("data.max_events_per_clip", 0, "too low; 1 or more"),
    ("data.max_events_per_clip", 1000, "too high; 50"),
    ("data.snrs_db", [], "too few; 1"),
    ("data.snrs_db", [0, 5, 10], "fall; [10, 5, 0, -5]"),
    ("data.snrs_db", [5, 5], "fall; [10, 5, 0, -5]"),
    ("data.snrs_db", [0.0, -0.0], "fall"),
    ("data.snrs_db", [5.0000001, 5], "5dB once"),
    ("data.snrs_db", [101, 0], "data.snrs_db.0: too high; 100 or less"),
    ("data.snrs_db", [0, -101], "data.snrs_db.1: too low; -100 or more"),
    ("data.snrs_db", [NAN], "data.snrs_db.0: finite nan"),
    ("data.snrs_db", [INF, 0], "data.snrs_db.0: finite inf"),
    ("data.snrs_db", ["clean"], "data.snrs_db.0: no number 'clean'"),
    ("data.snrs_db", "5", "no list"),
    ("llm.answers", "../smoke.json", "file name '../smoke.json' letters"),
    ("llm.answers", "/etc/passwd", "file name '/etc/passwd'"),
    ("llm.answers", "a\\b.json", "file name"),
    ("llm.answers", ".json", "file name"),
    ("llm.answers", "..", "file name"),
    ("llm.model", "gpt\n4", "no line 'gpt\\n4'"),
    ("llm.model", " gpt-4", "blanks"),
    ("llm.model", "", "1 to 200"),
    ("llm.timeout_s", 0, "too low; more than 0"),
    ("llm.timeout_s", 10**6, "too high; 86400"),
    ("llm.max_retries", -1, "too low; 0 or more"),
    ("llm.max_retries", 1000, "too high; 100"),
    ("llm.max_repairs", -1, "too low; 0 or more"),
    ("sed.bfloat16", "true", "neither true nor false; one of them"),
    ("sed.ema", 1, "too high; less than 1"),
    ("sed.ema", -0.1, "too low; 0 or more"),
    ("sed.consistency", -1, "too low; 0 or more"),
    ("sed.median_frames", 0, "too low; 1"),
    ("sed.mel.n_fft", 1023, "multiple of 2"),
    ("sed.mel.n_fft", 8, "too low; 32"),
    ("sed.mel.n_fft", 10**6, "too high; 65536"),
    ("sed.mel.hop", 0, "too low; 1"),
    ("sed.mel.nb_mels", 0, "too low; 1"),
    ("sed.mel.f_min", -1, "too low; 0 or more"),
    ("sed.mel.f_max", INF, "finite inf"),
    ("sed.crnn.nb_filters", [], "too few; 1"),
    ("sed.crnn.nb_filters", [8, 0], "sed.crnn.nb_filters.1: too low; 1"),
    ("sed.crnn.nb_filters", [8, 10**6], "sed.crnn.nb_filters.1: too high; 65536"),
    ("sed.crnn.pooling", [[2, 4], [1, 0]], "sed.crnn.pooling.1.1: too low; 1"),
    ("sed.crnn.pooling", [[2, 4, 1], [1, 8]], "sed.crnn.pooling.0: too many"),
    ("sed.crnn.pooling", [[2, 4], 8], "sed.crnn.pooling.1: no list"),
    ("sed.crnn.nb_rnn_cells", 0, "too low; 1"),
    ("sed.crnn.nb_rnn_layers", 0, "too low; 1"),
    ("sed.crnn.nb_rnn_layers", 1000, "too high; 64"),
    ("sed.crnn.dropout", 1, "too high; less than 1"),
    ("sed.crnn.dropout", -0.5, "too low; 0 or more"),
    ("sed.crnn.clip_pooling", "max", "unknown; 'attention' or 'linear'"),
    ("sed.batch.strong", 0, "too low; 1"),
    ("sed.batch.weak", -2, "too low; 1"),
    ("sed.batch.unlabelled", 10**9, "too high; 65536"),
    ("sed.train.steps", 0, "too low; 1"),
    ("sed.train.steps", 10**9, "too high; 10000000"),
    ("sed.train.steps", "many", "whole number 'many'"),
    ("sed.train.warmup_steps", -1, "too low; 0 or more"),
    ("sed.train.lr", 0, "too low; more than 0"),
    ("sed.train.lr", 5, "too high; 1 or less"),
    ("sed.train.lr", "1e-3", "no number '1e-3' quotes"),
    ("sed.finetune.snr_db", [10, -10], "(10, -10) falls; (low, high)"),
    ("sed.finetune.snr_db", [1, 2, 3], "too many; 2 or fewer"),
    ("sed.finetune.snr_db", 5, "no list"),
    ("sed.finetune.snr_db", [-200, 10], "sed.finetune.snr_db.0: too low; -100"),
    ("sed.finetune.snr_db", [0, NAN], "sed.finetune.snr_db.1: finite"),
    ("sed.finetune.curriculum", [], "too few; 1"),
    ("sed.finetune.curriculum", [{"share": 0.4, "snr_db": None}], "0.4 add up to 1"),
    ("sed.finetune.curriculum", [{"share": 0.6, "snr_db": None}] * 2, "1.2 add up to 1"),
    ("sed.finetune.curriculum", [{"share": -1, "snr_db": None}], "…0.share: too low; more than 0"),
    ("sed.finetune.curriculum", [{"share": 2, "snr_db": None}], "…0.share: too high; 1 or less"),
    ("sed.finetune.curriculum", [{"share": 1, "snr_db": [5, 1]}], "…0.snr_db: falls; (low, high)"),
    ("sed.finetune.curriculum", [{"share": 1, "snr_db": None, "snr": 5}], "…0.snr: no setting; mean snr_db"),
    ("sed.finetune.curriculum", [5], "sed.finetune.curriculum.0: no section"),
    ("sed.finetune.curriculum", [{"share": 0.125, "snr_db": None}] * 8, "stage without any 4 steps"),
    ("sed.finetune.curriculum", [{"share": 0.5, "snr_db": [low, 5]} for low in (-5, 0)], "[-5.0, 0.0] fall easy hard"),
    ("lass.n_fft", 257, "multiple of 2"),
    ("lass.hop", 0, "too low; 1"),
    ("lass.nb_bands", 1, "too low; 2"),
    ("lass.nb_channels", [4], "too few; 2"),
    ("lass.nb_channels", [], "too few"),
    ("lass.nb_channels", [4, 0], "lass.nb_channels.1: too low; 1"),
    ("lass.dprnn_layers", -1, "too low; 0"),
    ("lass.dprnn_hidden", 0, "too low; 1"),
    ("lass.condition_size", 0, "too low; 1"),
    ("lass.text", "bert", "unknown; 'learned' or 'clap'"),
    ("lass.weights", "a/b", "file name 'a/b'"),
    ("lass.weights", "../audiosep", "file name"),
    ("lass.weights", "a\\b", "file name"),
    ("lass.weights", ".", "file name"),
    ("lass.train.seconds", 0, "too low; 0.5"),
    ("lass.train.seconds", 3600, "too high; 600"),
    ("lass.train.batch", 0, "too low; 1"),
    ("lass.train.snr_db", [10, -10], "falls; (low, high)"),
    ("evaluate.nb_bootstrap", 0, "too low; 1"),
    ("evaluate.batch", 0, "too low; 1"),
    ("evaluate.nb_separation_mixtures", 0, "too low; 1"),
    ("gpu", "no", "neither true nor false"),
    ("gpu", 1, "neither true nor false"),
    ("studies.seeds", [0, 0], "[0] once"),
    ("studies.nb_mixtures", 0, "too low; 1"),
    ("studies.task9.sounds", "fsd50k", "unknown; 'own' or 'development'"),
    ("studies.task9.nb_validation", 0, "too low; 1"),
    ("studies.task9.snr_db", [3, -3], "falls; (low, high)"),
    ("studies.task9.validation_snr_db", [15, -15], "falls; (low, high)"),
    ("studies.captions.prompts", [], "too few; 1"),
    ("studies.captions.prompts", ["rhyme"], "studies.captions.prompts.0: unknown; 'paraphrase', 'tags'"),
    ("studies.captions.prompts", ["tags", "tags"], "['tags'] once"),
    ("studies.captions.numbers", [0, 1, 1], "[1] once"),
    ("studies.captions.numbers", [0, -1], "studies.captions.numbers.1: too low; 0"),
    ("studies.captions.numbers", [1], "lacks 0; add"),
    ("studies.captions.numbers", [], "lacks 0; add"),
    ("studies.captions.numbers", [0, 1, 11], "more than 10 texts; lower"),
    ("studies.captions.compared_at", 6, "too high; 5 or less"),
    ("studies.opensep.shots", [-1], "studies.opensep.shots.0: too low; 1"),
    ("studies.opensep.shots", [9], "studies.opensep.shots.0: too high; 5"),
    ("studies.opensep.shots", [1, 1], "[1] once"),
    ("studies.opensep.nb_heads", 0, "too low; 1"),
    ("studies.opensep.nb_attended", 0, "too low; 1"),
    ("studies.opensep.text", "clap", "unknown; 'learned' or 'roberta'"),
    ("studies.opensep.captioner.nb_mixtures", 0, "too low; 1"),
    ("studies.opensep.captioner.seconds", 0, "too low; 0.5"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "words"), ALONE, ids=lambda x: short(x)[:40])
def test_a_setting_takes_nothing_that_nobody_could_mean(key, value, words):
    named, _, words = words.rpartition(": ")
    said = refused("smoke", {key: value}, "profile smoke.yaml cannot be run:")
    line_of(said, named.replace("…", f"{key}.") or key, *words.replace(";", " ").split())
    assert len(said.splitlines()) == 2, said


# A base, settings that are right by themselves, the key of the line, and its words.
TOGETHER = [
    ("smoke", {"data.noise_classes": ["Dog", "Rain"]}, "data.noise_classes", "['Dog'] target remove"),
    ("paper", {"data.source": "recordings"}, "data.noise_classes", "['Cat', 'Dog', 'Speech'] target remove"),
    ("smoke", {"data.classes": ["Dog", "Zebra"]}, "data.classes", "['Zebra'] unknown synth 10"),
    ("smoke", {"data.classes": ["dog", "Speech"]}, "data.classes", "['dog'] unknown Dog"),
    ("smoke", {"data.classes": ["Rain", "Speech"]}, "data.classes", "['Rain'] unknown"),
    ("smoke", {"data.noise_classes": ["Rains", "Drill"]}, "data.noise_classes", "['Rains'] unknown Rain, Train"),
    ("smoke", {"data.noise_classes": ["AudioSet-Strong"]}, "data.noise_classes", "['Dog', 'Speech'] target"),
    ("open", {"data.classes": ["Dog", "Vacuum_cleaner"]}, "data.classes", "['Vacuum_cleaner'] recordings 8"),
    ("open", {"data.noise_classes": ["Rain", "Wind"]}, "data.noise_classes", "['Rain'] recordings"),
    ("open", {"data.source": "synth"}, "data.noise_classes", "unknown synth"),
    ("mini", {"data.source": "recordings"}, "data.classes", "Electric_shaver_toothbrush"),
    ("paper", {"data.classes": ["Dog", "Horse"]}, "data.classes", "['Horse'] desed 10"),
    ("paper", {"data.noise_classes": ["Beehive"]}, "data.noise_classes", "['Beehive'] desed 447"),
    ("mini", {"data.source": "desed"}, "data.noise_classes", "unknown desed"),
    ("paper", {"data.snrs_db": [20, 0]}, "data.snrs_db", "20dB [10, 5, 0, -5]"),
    ("paper", {"data.snrs_db": [5, -2.5]}, "data.snrs_db", "-2.5dB [10, 5, 0, -5]"),
    ("smoke", {"data.classes": ["Dog"], "data.noise_classes": ["Rain", "Wind"]}, "data.noise_classes", "3 together 4"),
    ("smoke", {"data.noise_classes": ["Telephone bell ringing"]}, "data.noise_classes", "scenario Alarm_bell_ringing"),
    ("open", {"data.noise_classes": ["Wolf"]}, "data.noise_classes", "scenario data/scenarios/recordings.yaml"),
    ("smoke", {"data.clip_seconds": 4.00001}, "data.clip_seconds", "4.00001 samples 16000 e.g."),
    ("smoke", {"data.clip_seconds": 1 / 3 + 0.5}, "data.clip_seconds", "samples 16000"),
    ("smoke", {"data.sample_rate": 11_025, "data.clip_seconds": 0.5}, "data.clip_seconds", "samples 11025"),
    ("smoke", {"sed.batch.strong": 13}, "sed.batch.strong", "12 data.nb_strong"),
    ("smoke", {"sed.batch.weak": 7}, "sed.batch.weak", "6 data.nb_weak"),
    ("smoke", {"sed.batch.unlabelled": 60}, "sed.batch.unlabelled", "6 data.nb_unlabelled"),
    ("smoke", {"data.nb_strong": 2}, "sed.batch.strong", "(got 4) 2"),
    ("smoke", {"llm.answers": "absent.json"}, "llm.answers", "'absent.json' exist data/answers live"),
    ("smoke", {"llm.answers": "judgements"}, "llm.answers", "exist data/answers"),
    ("smoke", {"sed.mel.hop": 1025}, "sed.mel.hop", "1025 unheard 1024"),
    ("smoke", {"sed.mel.f_min": 8000}, "sed.mel.f_min", "f_max, 8000 Hz"),
    ("smoke", {"sed.mel.f_min": 5000, "sed.mel.f_max": 4000}, "sed.mel.f_min", "f_max, 4000 Hz"),
    ("smoke", {"sed.mel.f_max": 9000}, "sed.mel.f_max", "9000 8000 Hz lower"),
    ("smoke", {"data.sample_rate": 8000}, "sed.mel.f_max", "8000.0 4000 Hz"),
    ("smoke", {"sed.mel.nb_mels": 600}, "sed.mel.nb_mels", "600 bands bin lower n_fft"),
    ("paper", {"sed.mel.n_fft": 512}, "sed.mel.nb_mels", "128 bands bin"),
    ("paper", {"sed.mel.nb_mels": 512}, "sed.mel.nb_mels", "512 bands bin"),
    ("smoke", {"sed.mel.n_fft": 64, "sed.mel.hop": 64}, "sed.mel.nb_mels", "32 bands bin"),
    ("smoke", {"data.clip_seconds": 0.5, "sed.mel.n_fft": 32768}, "sed.mel.n_fft", "32768 0.5 s"),
    ("smoke", {"sed.crnn.pooling": [[2, 4]]}, "sed.crnn.pooling", "1 entries 2 nb_filters"),
    ("smoke", {"sed.crnn.nb_filters": [8, 8, 8]}, "sed.crnn.pooling", "2 entries 3 nb_filters"),
    ("smoke", {"sed.crnn.pooling": [[2, 4], [1, 4]]}, "sed.crnn.pooling", "leaves 2 32 bands"),
    ("smoke", {"sed.crnn.pooling": [[2, 4], [1, 16]]}, "sed.crnn.pooling", "leaves 0 32 bands"),
    ("smoke", {"sed.crnn.pooling": []}, "sed.crnn.pooling", "0 entries 2 nb_filters"),
    ("smoke", {"sed.crnn.pooling": [[200, 4], [1, 8]]}, "sed.crnn.pooling", "leaves 0 frames median"),
    ("smoke", {"sed.crnn.pooling": [[2, 4], [10, 8]]}, "sed.crnn.pooling", "leaves 6 frames median"),
    ("smoke", {"sed.mel.hop": 1024, "data.clip_seconds": 0.5}, "sed.crnn.pooling", "leaves 4 frames"),
    ("smoke", {"sed.mel.nb_mels": 64}, "sed.crnn.pooling", "leaves 2 64 bands"),
    ("smoke", {"sed.median_frames": 99}, "sed.crnn.pooling", "leaves 63 frames sed.median_frames"),
    ("smoke", {"sed.median_frames": 6}, "sed.median_frames", "even 6 odd"),
    ("smoke", {"sed.train.warmup_steps": 7}, "sed.train.warmup_steps", "7 6 steps"),
    ("mini", {"sed.train.steps": 7}, "sed.train.warmup_steps", "(got 30) 7"),
    ("smoke", {"sed.finetune.warmup_steps": 5}, "sed.finetune.warmup_steps", "5 4 steps"),
    ("smoke", {"lass.train.warmup_steps": 5}, "lass.train.warmup_steps", "5 4 steps"),
    ("smoke", {"studies.task9.warmup_steps": 5}, "studies.task9.warmup_steps", "5 3 steps"),
    ("smoke", {"studies.captions.warmup_steps": 5}, "studies.captions.warmup_steps", "5 3 steps"),
    ("smoke", {"studies.opensep.warmup_steps": 5}, "studies.opensep.warmup_steps", "5 3 steps"),
    ("smoke", {"studies.opensep.captioner.warmup_steps": 5}, "studies.opensep.captioner.warmup_steps", "5 3 steps"),
    ("smoke", {"sed.finetune.steps": 1}, "sed.finetune.curriculum", "stage without any 1 steps"),
    ("smoke", {"lass.hop": 200}, "lass.hop", "200 half 129"),
    ("smoke", {"lass.hop": 256}, "lass.hop", "256 half 129"),
    ("smoke", {"lass.hop": 300}, "lass.hop", "300 half 129"),
    ("smoke", {"lass.nb_bands": 132}, "lass.nb_bands", "132 129 bins n_fft"),
    ("smoke", {"lass.nb_bands": 18}, "lass.nb_channels", "[4, 8, 8] 18 2 times multiple of 4"),
    ("smoke", {"lass.nb_channels": [4] * 6}, "lass.nb_channels", "16 5 times multiple of 32"),
    ("smoke", {"lass.nb_bands": None, "lass.n_fft": 250}, "lass.nb_channels", "126 2 times"),
    ("paper", {"lass.n_fft": 1000}, "lass.nb_channels", "500 6 times multiple of 64"),
    ("paper", {"lass.nb_channels": [32] * 12}, "lass.nb_channels", "512 11 times"),
    ("paper", {"lass.train.seconds": 0.5, "lass.hop": 512}, "lass.hop", "16 frames 32 shorten"),
    ("smoke", {"lass.n_fft": 32_768, "lass.train.seconds": 1.0}, "lass.n_fft", "32768 1 s"),
    ("paper", {"lass.condition_size": 256}, "lass.condition_size", "256 CLAP 512"),
    ("smoke", {"lass.text": "clap"}, "lass.condition_size", "8 CLAP 512"),
    ("smoke", {"lass.weights": "audiosep"}, "lass.text", "'learned' clap"),
    ("smoke", {"studies.opensep.hop": 200}, "studies.opensep.hop", "200 128"),
    ("smoke", {"studies.opensep.nb_bands": 200}, "studies.opensep.nb_bands", "200 128 bins"),
    ("smoke", {"studies.opensep.nb_bands": 8}, "studies.opensep.nb_bands", "8 halved 16"),
    ("smoke", {"studies.opensep.nb_bands": 60}, "studies.opensep.nb_channels", "60 3 times multiple of 8"),
    ("smoke", {"studies.opensep.n_fft": 256}, "studies.opensep.nb_channels", "129 3 times"),
    ("smoke", {"studies.opensep.nb_channels": [8] * 6}, "studies.opensep.nb_channels", "16 5 times multiple of 32"),
    ("smoke", {"studies.opensep.nb_channels": [8] * 9}, "studies.opensep.nb_channels", "128 8 times"),
    ("smoke", {"studies.opensep.n_fft": 32_768}, "studies.opensep.n_fft", "32768 1 s"),
    ("smoke", {"studies.opensep.nb_attended": 5}, "studies.opensep.nb_attended", "5 4 stages"),
    ("smoke", {"studies.opensep.nb_heads": 3}, "studies.opensep.nb_heads", "3 [8, 8] divide"),
    ("smoke", {"studies.opensep.text": "roberta"}, "studies.opensep.condition_size", "8 RoBERTa 768"),
    ("smoke", {"studies.captions.compared_at": 2}, "studies.captions.numbers", "[0, 1] 2 add"),
    ("smoke", {"studies.captions.numbers": [0, 1, 6], "studies.captions.prompts": ["tags"]},
     "studies.captions.numbers", "5 texts"),
]  # fmt: skip


@pytest.mark.parametrize(("base", "overrides", "key", "words"), TOGETHER, ids=lambda x: short(x)[:50])
def test_settings_that_do_not_go_together_are_refused(base, overrides, key, words):
    line_of(refused(base, overrides, f"profile {base}.yaml cannot be run:"), key, *words.split())


def test_all_faults_are_said_at_once_a_line_each():
    bad = {"seeds": [0, 0], "sed.train.lr": NAN, "sed.train.stps": 5, "lass.hop": 0, "data.nb_test": "8"}
    said = refused("smoke", bad, *(key for key in bad))
    assert len(said.splitlines()) == 1 + len(bad)
    unfit = {"sed.median_frames": 6, "lass.hop": 200, "data.classes": ["Zebra"], "studies.opensep.nb_heads": 3}
    said = refused("smoke", unfit, *unfit)
    assert len(said.splitlines()) == 1 + len(unfit)


def test_of_very_many_faults_twenty_are_said():
    assert refused("smoke", {f"x{i}": i for i in range(500)}, "and 480 more").count("\n") == 21


KEYS = [  # overrides, and words of the message
    ({"sed.train.stps": 5}, ["sed.train.stps", "(got 5)", "did you mean sed.train.steps?"]),
    ({"steps": 5}, ["steps", "did you mean sed.train.steps or sed.finetune.steps or lass.train.steps?"]),
    ({"sed.mel.fmax": 5}, ["sed.mel.fmax", "did you mean sed.mel.f_max?"]),
    ({"Seeds": [1]}, ["Seeds", "did you mean seeds?"]),
    ({"sede": 1}, ["sede", "did you mean"]),
    ({"training.epochs": 3}, ["training", "no setting"]),
    ({"data.classes.0": "Dog"}, ["data.classes", "not a section"]),
    ({"seeds.0": 5}, ["seeds", "not a section"]),
    ({"name.first": "x"}, ["name", "not a section", "'smoke'"]),
    ({"data.nb_test.x.y": 1}, ["data.nb_test", "not a section"]),
    ({"": 1}, ["''", "sed.train.steps"]),
    ({".": 1}, ["'.'", "sed.train.steps"]),
    ({"sed..steps": 1}, ["'sed..steps'", "dotted key"]),
    ({".sed": 1}, ["'.sed'", "dotted key"]),
    ({"sed.": 1}, ["'sed.'", "dotted key"]),
    ({" sed.ema": 1}, ["' sed.ema'", "dotted key"]),
    ({"sed.ema ": 1}, ["'sed.ema '", "dotted key"]),
    ({"sed.ema\n": 0.5}, ["'sed.ema\\n'", "dotted key"]),
    ({"sed/ema": 1}, ["'sed/ema'", "dotted key"]),
    ({"sed[ema]": 1}, ["dotted key"]),
    ({"ünder": 1}, ["dotted key"]),
    ({"a" * 10_000: 1}, ["no setting"]),
    ({5: 1}, ["override 5", "dotted key"]),
    ({None: 1}, ["None", "dotted key"]),
    ({("sed", "ema"): 1}, ["('sed', 'ema')", "dotted key"]),
    ({"__class__": 1}, ["__class__", "no setting"]),
    ({"model_config": {}}, ["model_config", "no setting"]),
    ({"data.conditions": []}, ["data.conditions", "no setting"]),
    ({"sed": 5}, ["sed", "no section", "(got 5)"]),
    ({"sed.train": "fast"}, ["sed.train", "no section", "(got 'fast')"]),
    ({"sed.train": {"steps": 5}}, ["sed.train.warmup_steps", "is missing; add it"]),
    ({"sed.train": {}}, ["sed.train.steps", "sed.train.warmup_steps", "missing"]),
    ({"sed.train": {"steps": 5, "warmup_steps": 1, "extra": 2}}, ["sed.train.extra", "no setting"]),
    ({"data": {}}, ["data.source", "data.classes", "data.nb_test", "missing"]),
    ({"sed": None}, ["sed", "no section", "(got None)"]),
    ({"sed.crnn": None}, ["sed.crnn", "no section"]),
    ({"studies": {}}, ["studies.task9", "studies.opensep", "missing"]),
    ({"studies": 5}, ["studies", "no section"]),
    ({"sed.mel": {"sed.mel.hop": 5}}, ["sed.mel.sed.mel.hop", "did you mean"]),
    ({"sed.train": {5: 6}}, ["sed.train", "5"]),
    ({"seed": [1, 2]}, ["seeds.0", "whole number"]),
    ({"seed": -1}, ["seeds.0", "too low"]),
    ({"seed": 1, "seeds": [2]}, ["'seeds' undoes 'seeds'"]),
    ({"seeds": [2], "seed": 1}, ["'seed' undoes 'seeds'"]),
    ({"sed.train.steps": 5, "sed.train": {"steps": 6, "warmup_steps": 1}}, ["'sed.train' undoes 'sed.train.steps'"]),
    ([], ["overrides []", "dotted keys"]),
    ([("seed", 1)], ["overrides [('seed', 1)]", "dotted keys"]),
    ("sed.train.steps=5", ["overrides 'sed.train.steps=5'", "dotted keys"]),
    (5, ["overrides 5", "dotted keys"]),
]


@pytest.mark.parametrize(("overrides", "words"), KEYS, ids=lambda x: short(x)[:50])
def test_keys_that_are_none_are_refused(overrides, words):
    refused("smoke", overrides, *words)


COMMANDS = [["status"], ["data", "check"]]  # that load little besides


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_says_so_first(words, tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    done = CliRunner().invoke(app, [*words, "--profile", "smoke", "--set", "sed.ema=1", "--set", "lass.hop=0"])
    assert isinstance(done.exception, ProfileError)
    assert "sed.ema: is too high" in str(done.exception) and "lass.hop: is too low" in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_a_notebook_says_so_first(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_RESULTS", str(tmp_path))
    with pytest.raises(ProfileError, match="median_frames"):
        open_run("03", "smoke", {"sed.median_frames": 4})
    assert not list(tmp_path.iterdir())


def test_what_is_given_is_left_as_it_was():
    train = {"steps": 5, "warmup_steps": 1}
    load_profile("smoke", {"sed.train": train, "sed.train.steps": 6})
    assert train == {"steps": 5, "warmup_steps": 1}


BOMB = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
TEXTS = [  # a YAML file's content, and words of the message
    ("empty", "", ["None", "name: …"]),
    ("comment", "# nothing\n", ["None"]),
    ("null", "null", ["None"]),
    ("list", "[1, 2]", ["[1, 2]"]),
    ("text", "just words", ["'just words'"]),
    ("number", "5", ["holds 5"]),
    ("unclosed", "a: [b", ["line", "UTF-8"]),
    ("tab", "a:\n\tb: 1", ["line 2"]),
    ("indent", "name: x\n  data: 1", ["line 2"]),
    ("colon", "a: b: c", ["line 1"]),
    ("two-documents", "name: a\n---\nname: b\n", ["line 2", "document"]),
    ("twice", "name: a\nname: b\n", ["'name' is there twice"]),
    ("twice-below", "sed:\n  ema: 0.5\n  ema: 0.6\n", ["'ema' is there twice", "line 2"]),
    ("twice-flow", "sed: {ema: 0.5, ema: 0.6}", ["'ema' is there twice"]),
    ("twice-quoted", "name: a\n'name': b\n", ["'name' is there twice"]),
    ("section-twice", SMOKE + "\nsed: {ema: 0.5}\n", ["'sed' is there twice"]),
    ("python-tag", "name: !!python/object/apply:os.system ['touch pwned']", ["line 1", "python"]),
    ("python-name", "name: !!python/name:os.system", ["line 1", "python"]),
    ("own-tag", "name: !mine x", ["line 1", "!mine"]),
    ("wrong-tag", "seeds: !!int many", ["many"]),
    ("binary-tag", "name: !!binary /////", ["UTF-8"]),
    ("date", "name: 2024-13-45", ["UTF-8", "month"]),
    ("alias", "data: &d {seed: 1}\nsed: *d\n", ["*d", "write values out"]),
    ("merge", "a: &a {x: 1}\nb:\n  <<: *a\n", ["*a", "write values out"]),
    ("own-alias", "a: &a [*a]", ["*a"]),
    ("no-anchor", "a: *nowhere", ["nowhere"]),
    ("bomb", "a0: &a0 [x]\n" + BOMB, ["*a0", "write values out"]),
    ("deep", "[" * 100_000, ["deeper than 30"]),
    ("deep-keys", "{a: " * 50_000, ["deeper than 30"]),
    ("deep-blocks", "".join(" " * i + "a:\n" for i in range(100)), ["deeper than 30"]),
    ("complex-key", "? [a, b]\n: c", ["line 1"]),
    ("many-digits", f"seeds: [{'9' * 5000}]", ["digits"]),
    ("nul", "name: a\x00b", ["UTF-8"]),
    ("escape", "name: a\x1bb", ["UTF-8"]),
    ("long-line", "name: " + "x" * 200_000, ["name", "folder name", "missing"]),
    ("many-keys", "".join(f"k{i}: 1\n" for i in range(5_000)), ["more"]),
    ("JSON-cut", '{"name": "x", "data": {', ["line"]),
    ("HTML", "<!DOCTYPE html>\n<html><body>404: not found</body></html>", ["UTF-8"]),
    ("number-key", SMOKE + "\n5: 6\n", ["5"]),
    ("null-key", SMOKE + "\n~: 6\n", ["None"]),
    ("empty-section", SMOKE.replace("evaluate: {nb_bootstrap: 10, nb_separation_mixtures: 6}", "evaluate:"),
     ["evaluate: is no section (got None)"]),
    ("list-section", SMOKE.replace("llm:\n  answers: smoke.json", "llm:\n  - answers: smoke.json"),
     ["llm: is no section (got [{'answers': 'smoke.json'}])"]),
    ("moved-out", SMOKE.replace("  answers: smoke.json", "answers: smoke.json"),
     ["llm: is no section", "answers", "did you mean llm.answers?"]),
    ("misspelt", SMOKE.replace("  ema: 0.9", "  emma: 0.9"), ["sed.emma", "did you mean sed.ema?"]),
    ("octal", SMOKE.replace("seeds: [0]", "seeds: [0o7]"), ["seeds.0", "'0o7'"]),
    ("no", SMOKE.replace("classes: [Alarm_bell_ringing, Dog", "classes: [no, Dog"), ["data.classes.0", "False"]),
    ("quoted", SMOKE.replace("nb_test: 8", "nb_test: '8'"), ["data.nb_test", "'8'", "without quotes"]),
    ("nan", SMOKE.replace("  ema: 0.9", "  ema: .nan"), ["sed.ema", "nan", "finite"]),
    ("inf", SMOKE.replace("clip_seconds: 4.0", "clip_seconds: .inf"), ["data.clip_seconds", "inf", "finite"]),
    ("overflow", SMOKE.replace("clip_seconds: 4.0", "clip_seconds: 1e999"), ["data.clip_seconds", "inf", "finite"]),
    ("minutes", SMOKE.replace("clip_seconds: 4.0", "clip_seconds: 1:30:00"), ["data.clip_seconds", "5400"]),
    ("comma", SMOKE.replace("clip_seconds: 4.0", "clip_seconds: 4,0"), ["data.clip_seconds", "'4,0'"]),
    ("unit", SMOKE.replace("clip_seconds: 4.0", "clip_seconds: 4 s"), ["data.clip_seconds", "'4 s'"]),
    ("date-name", SMOKE.replace("name: smoke", "name: 2024-01-01"), ["name", "no text", "quotes"]),
    ("number-name", SMOKE.replace("name: smoke", "name: 5"), ["name", "no text", "quotes"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), [t[1:] for t in TEXTS], ids=[t[0] for t in TEXTS])
def test_a_file_that_holds_no_profile_is_named(tmp_path, text, words):
    file = tmp_path / "own.yaml"
    file.write_text(text)
    refused(file, {}, "own.yaml", *words)
    assert file.read_text() == text and list(tmp_path.iterdir()) == [file]


def directory(path: Path) -> None:
    path.mkdir()


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100_000_000)


FILES = [  # what lies there instead of a profile, and words of the message
    ("nothing", lambda path: None, ["No such file"]),
    ("folder", directory, ["no file"]),
    ("pipe", os.mkfifo, ["no file"]),
    ("device", lambda path: path.symlink_to("/dev/zero"), ["no file"]),
    ("lost-link", lambda path: path.symlink_to("nowhere.yaml"), ["No such file"]),
    ("link-to-itself", lambda path: path.symlink_to(path), ["symbolic links"]),
    ("100-MB", sparse, ["250,000 bytes"]),
    ("latin-1", lambda path: path.write_bytes("name: k\u00fcche".encode("latin-1")), ["UTF-8", "position 7"]),
    ("utf-16", lambda path: path.write_bytes(SMOKE.encode("utf-16")), ["UTF-8", "position 0"]),
    ("picture", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00"), ["UTF-8"]),
    ("zip", lambda path: path.write_bytes(b"PK\x03\x04" + bytes(range(256))), ["UTF-8"]),
    ("zeros", lambda path: path.write_bytes(bytes(100)), ["UTF-8"]),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), [f[1:] for f in FILES], ids=[f[0] for f in FILES])
def test_what_is_no_file_of_settings_is_named(tmp_path, make, words):
    path = tmp_path / "own.yaml"
    make(path)
    refused(path, {}, "own.yaml", "correct it or name another file", *words)


NAMES = [
    ("mimi", ["no profile 'mimi'", "mini, open, paper"]), ("", ["no profile ''"]), (None, ["None"]), (5, ["5"]),
    ("Mini", ["'Mini'"]), ("mini ", ["'mini '"]), ("../profiles/mini", ["../profiles/mini"]), ("mini\n", ["mini"]),
    ("/etc/passwd", ["/etc/passwd"]), ("x" * 5000, ["no profile"]), ("x" * 5000 + ".yaml", ["too long"]),
    ("a\x00b.yaml", ["null byte"]), ("a\nb.yaml", ["a\\nb.yaml"]), (".yaml", ["No such file"]), (["mini"], ["mini"]),
    ("mini.json", ["no profile 'mini.json'"]), ("~/own.yaml", ["No such file"]), ("x/y.yaml", ["No such file"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "words"), NAMES, ids=lambda x: short(x)[:30])
def test_a_name_that_is_no_profile_is_refused(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(name, {}, *words)


GOOD = [  # what a person may write, and what it is then
    ("lr: 1e-3", "sed.train.lr", 1e-3, "warmup_steps: 2}", "warmup_steps: 2, lr: 1e-3}"),
    ("4", "data.clip_seconds", 4.0, "clip_seconds: 4.0", "clip_seconds: 4"),
    ("byte-order mark", "name", "smoke", "# Every", "\ufeff# Every"),
    ("Windows", "name", "smoke", "\n", "\r\n"),
    ("anchor", "seeds", [0], "seeds: [0]", "seeds: &s [0]"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "old", "new"), [g[1:] for g in GOOD], ids=[g[0] for g in GOOD])
def test_what_is_plain_is_read(tmp_path, key, value, old, new):
    file = tmp_path / "own.yaml"
    file.write_bytes(SMOKE.replace(old, new, 1 if old != "\n" else -1).encode())
    found = functools.reduce(getattr, key.split("."), load_profile(file))
    assert found == value and type(found) is type(value)


def test_what_was_never_written_about_has_no_part_in_studies(tmp_path):
    raw = yaml.safe_load((PROFILES / "paper.yaml").read_text()) | {"studies": yaml.safe_load(SMOKE)["studies"]}
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump(raw))
    line_of(refused(file, {"data.noise_classes": ["Rain", "Cacophony"]}), "data.noise_classes", "Cacophony", "captions")


def test_the_settings_know_what_the_data_have():
    assert get_args(Prompt) == tuple(augmentations())
    assert {*table(DATA / "captions" / "heldout.yaml")} == {*written()}
    for source in ("synth", "recordings"):
        assert {name for of in known(source) for name in of} <= {*written()}  # so that both may have studies


def test_loading_is_fast_and_light():
    times = []
    for name in ("smoke", "mini", "open", "paper") * 3:
        began = time.process_time()
        load_profile(name)
        times.append(time.process_time() - began)
    assert sorted(times)[len(times) // 2] < 0.05
    code = "import sys; from nrsed_lib.profile import load_profile; [load_profile(x) for x in sys.argv[1:]]"
    heavy = "; print({'torch', 'numpy', 'pandas', 'scipy'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code + heavy, "smoke", "open", "paper"], capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stdout + done.stderr
