"""What a profile takes: bytes on disk and on the device, and hours, computed from its settings before it runs.

Audio is counted in full rows of int16, whatever is missing of it; networks, checkpoints and tables are small beside
it and not counted.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from nrsed_lib.artefacts import shown_folder
from nrsed_lib.data.desed.prepare import TRAINED_ON, noisy_conditions, shard_folder
from nrsed_lib.profile import Profile, Sed
from nrsed_lib.run.measurements import here, values
from nrsed_lib.run.provenance import kind, machine, run_json
from nrsed_lib.sed.detector import Detector
from nrsed_lib.sed.encoders.beats import BeatsEncoder
from nrsed_lib.sed.finetuning import recipes
from nrsed_lib.series import SERIES, maker
from nrsed_lib.systems import systems_of

INT16, FLOAT16, FLOAT32 = 2, 2, 4  # bytes
LEARNED_FROM = ("strong", "weak", "unlabelled")
# Notebooks, by what they make.
CLIPS, SELECTION, THETA, FINETUNED, SEPARATOR, SCORES = (
    maker(artefact)[0] for artefact in ("strong", "selection", "theta", "full", "separator", "scores_clean")
)
TABLE1 = next(id_ for id_, notebook in SERIES.items() if "table1.csv" in notebook.tables)


class Budget:
    """Bytes, each of one kind of thing, for one seed where seeds differ.

    clips: of training. all_clips: and of validation, and of the tests, once a condition. noises: isolated ones of
    training; sounds: these and targets; all_sounds: of all splits. embeddings: kept by the training of g_θ;
    validated: by each fine-tuning that chooses its epoch. scores: by the tests. converting: more that data preparation
    takes while it works.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile, data = profile, profile.data
        row = INT16 * data.nb_samples
        nb = {split: getattr(data, f"nb_{split}") for split in (*TRAINED_ON, "test")}
        nb_clips = sum(nb[split] for split in LEARNED_FROM)
        desed = data.source == "desed"
        nb_tests = 1 + (len(noisy_conditions(data)) if desed else 1)  # else clean, and one noise for all SNRs
        draws = (data.nb_noise_draws_per_class, data.noise_classes), (data.nb_draws_per_class, data.classes)
        noises, targets = ([max(2, nb // k) * len(of) for k in (1, 4, 4)] for nb, of in draws)
        bare = profile.model_copy(update={"sed": profile.sed.model_copy(update={"encoder": "none"})})
        nb_frames = Detector(bare).nb_frames
        beats = profile.sed.encoder == "beats"
        self.clips = row * nb_clips
        self.all_clips = row * (nb_clips + nb["validation"] + nb_tests * nb["test"])
        self.noises = row * noises[0]
        self.sounds = row * (noises[0] + targets[0])
        self.all_sounds = row * (sum(noises) + sum(targets))
        embedding = FLOAT16 * BeatsEncoder.size * nb_frames if beats else 0
        self.embeddings = embedding * round(embedded(profile)[THETA])
        self.validated = embedding * chosen_by(profile)
        nb_tests = len(data.conditions) * len(systems_of(profile))
        self.scores = FLOAT16 * nb_tests * nb["test"] * len(data.classes) * nb_frames
        self.converting = row * max(nb.values()) if desed else 0  # a part's pieces, before they are joined

    def disk(self, notebook: str) -> int:
        """Bytes that a notebook leaves, for one seed. Shards that an earlier conversion left are not taken again."""
        if notebook != CLIPS:
            left = {THETA: self.embeddings, FINETUNED: len(recipes(self.profile)) * self.validated, SCORES: self.scores}
            return left.get(notebook, 0)
        data = self.profile.data
        kept = sum(p.stat().st_size for p in shard_folder(data).glob("*.npy")) if data.source == "desed" else 0
        return max(self.all_clips + self.all_sounds - kept, 0)

    def gpu(self) -> dict[str, tuple[int, int]]:
        """Notebook → bytes it must have on a GPU, and with which it is at its fastest, beside networks and activations.

        Clips and embeddings are left in mapped files where they do not fit (sed/training_set.py, sed/embeddings.py);
        the tape that the separator learns from has a second of silence for each of sound, and is made from a copy.
        """
        data, lass = self.profile.data, self.profile.lass
        tape = INT16 * (round(lass.train.seconds * data.sample_rate) + data.nb_samples)
        nb_sounds = self.sounds // (INT16 * data.nb_samples)
        return {
            THETA: (0, self.clips + self.embeddings),
            FINETUNED: (self.noises, self.noises + self.clips + self.embeddings),
            SEPARATOR: (self.sounds + nb_sounds * tape,) * 2 if lass.weights is None else (0, 0),
        }

    @property
    def memory(self) -> int:
        """Bytes of main memory beside mapped files: fine-tuning hears the validation clips in noise, in float32
        (clips, tracks, their sum and two intermediates), beside the noises of training."""
        data = self.profile.data
        return 5 * FLOAT32 * data.nb_samples * data.nb_validation + self.noises


def embedded(profile: Profile) -> dict[str, float]:
    """Notebook → clips that the encoder embeds for one seed, where embeddings are kept.

    Clean clips have one in all, validation clips one for each training that chooses its epoch by them; what hears noise
    in fine-tuning has one each time: on average, as it is drawn.
    """
    data, sed = profile.data, profile.sed
    nb_clean = sum(getattr(data, f"nb_{split}") for split in LEARNED_FROM)
    noisy = (in_noise(sed, r.curriculum) for r in recipes(profile).values() if r.noise != "none")
    finetuned = sum(noisy) + len(recipes(profile)) * chosen_by(profile)
    return {THETA: nb_clean + chosen_by(profile), FINETUNED: finetuned}


def chosen_by(profile: Profile) -> int:
    """Validation clips that a training hears to choose its epoch."""
    return profile.data.nb_validation if profile.sed.ways.kept == "as_released" else 0


def in_noise(sed: Sed, curriculum: bool) -> float:
    """How many clips a fine-tuning hears in noise, on average."""
    tune, batch = sed.finetune, sed.batch
    share = sum(stage.share * stage.share_in_noise for stage in tune.stages(curriculum))
    return tune.steps * share * (batch.strong if tune.noisy == "strong" else sum(batch.sizes))


def consequences(measured: Mapping[str, float], profile: Profile) -> pd.DataFrame:
    """What rates by key (see `measurements`) mean: hours of the profile's schedule, of its tests, of a million clips.

    Index: stage1, stage2, stage2_no_curriculum, separation, scoring, a_million_embedded, a_million_separated. Columns:
    hours (NaN where a rate was not measured) and counted, in words.
    """

    def fastest(name: str) -> float:
        of = [v for key, v in measured.items() if key.startswith(f"sizes.{name}.") and key.endswith(".time")]
        return min(of, default=float("nan"))

    def finetuning(curriculum: bool) -> tuple[float, str]:
        """One model: what hears noise is mixed and embedded in the step, the rest is looked up as in stage 1."""
        nb, nb_noisy = sed.finetune.steps * batch, in_noise(sed, curriculum)
        seconds = (nb - nb_noisy) * fastest("stage1") if nb > nb_noisy else 0.0
        return seconds + nb_noisy * fastest("stage2"), f"{sed.finetune.steps} steps of {batch}, {nb_noisy:.0f} in noise"

    data, sed = profile.data, profile.sed
    batch, nb_tests = sum(sed.batch.sizes), len(systems_of(profile)) * len(data.conditions)
    nb_queries = len(data.conditions) * data.nb_test * len(data.classes)  # at most, as system #3 asks for every class
    separated = fastest("resunet30_dprnn")
    rows = {
        "stage1": (sed.train.steps * batch * fastest("stage1"), f"{sed.train.steps} steps of {batch} clips"),
        "stage2": finetuning(curriculum=True),
        "stage2_no_curriculum": finetuning(curriculum=False),
        "separation": (nb_queries * separated, f"{nb_queries} queries in all conditions, none twice"),
        "scoring": (nb_tests * fastest("psds"), f"{nb_tests} systems and conditions, one after another"),
        "a_million_embedded": (1e6 * fastest("beats"), "clips of 10 s"),
        "a_million_separated": (2e6 * separated, "clips of 10 s, two queries each"),
    }
    return pd.DataFrame([(s / 3600, counted) for s, counted in rows.values()], list(rows), ["hours", "counted"])


def hours(profile: Profile) -> dict[str, float]:
    """Notebook → hours for one seed, of those that were measured on this kind of machine.

    From what the profile's own run took here (its run.json: the longest seed); else, for DESED, from `make bench`,
    which measures the paper's own networks, but no bootstrap draws and no training of a separator.
    """
    this, ran = kind(machine()), dict[str, float]()
    for name, facts in run_json(shown_folder(profile))["stages"].items():
        if facts["finished"] and facts["machine"] == this:
            ran[name[:2]] = max(ran.get(name[:2], 0.0), facts["seconds"] / 3600)
    if ran or profile.data.source != "desed":
        return ran
    of = consequences(values(here()), profile)["hours"]
    found = {
        THETA: of["stage1"] + embedded(profile)[THETA] / 1e6 * of["a_million_embedded"],
        FINETUNED: sum(of["stage2" if r.curriculum else "stage2_no_curriculum"] for r in recipes(profile).values()),
        SCORES: of["separation"],
        TABLE1: len(profile.seeds) * of["scoring"],
    }
    return {notebook: float(h) for notebook, h in found.items() if pd.notna(h)}
