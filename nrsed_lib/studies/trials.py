"""The trainings of the separation studies, as tables of data: what is trained, under which name, with which seed.

A trial is one training and what is measured of it. It leaves its files in the stage's folder as soon as it is
done, so that a study resumes at the trial it was in, and on a cluster each trial is a job of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from tqdm import tqdm

from nrsed_lib.profile import Profile
from nrsed_lib.store import Run, write_table
from nrsed_lib.studies.opensep.variants import opensep_variants


@dataclass(frozen=True)
class Trial:
    """variant: what differs from the other trials of the study; seed: of the training."""

    variant: str
    seed: int

    @property
    def name(self) -> str:
        """Of its files and of its job."""
        return f"{self.variant}-seed{self.seed}"


NETWORKS = ("AudioSep", "AudioSep-DP")  # notebook 09: without and with a DPRNN at the bottleneck
OTHER_LOSS = "AudioSep-DP-loss05"  # and the latter with the loss of notebook 05
PLAIN, MIXED = "original", "mixed"  # notebook 10: no captions added; those of all prompts in turn


def caption_variants(profile: Profile) -> list[str]:
    """`original`, `<prompt>-<n>` for every prompt at one number, `mixed-<n>` for every number of added captions."""
    assert profile.studies is not None
    study = profile.studies.captions
    by_prompt = [f"{prompt}-{study.compared_at}" for prompt in study.prompts]
    return [PLAIN, *by_prompt, *(f"{MIXED}-{n}" for n in study.numbers if n)]


VARIANTS: dict[str, Callable[[Profile], list[str]]] = {
    "09": lambda _: [*NETWORKS, OTHER_LOSS],
    "10": caption_variants,
    "11": opensep_variants,
    "12": lambda _: [],
}


def trials(stage: str, profile: Profile) -> list[Trial]:
    """Every variant of a study with every seed; all variants of a seed before the next seed."""
    assert profile.studies is not None  # stages 09 to 12 are refused without
    return [Trial(variant, seed) for seed in profile.studies.seeds for variant in VARIANTS[stage](profile)]


def measure_trials(run: Run, measure: Callable[[Run, Trial], pd.DataFrame], only: str | None = None) -> pd.DataFrame:
    """One row a measured mixture of every trial of the stage (or of the one named `only`), kept as `<name>.csv`.

    measure: trains what is not trained yet, and measures it. Columns `variant` and `seed` are put before its own.
    """
    tables = []
    for trial in tqdm(trials(run.stage, run.profile), desc="trainings", unit="training", mininterval=1.0):
        if only not in (None, trial.name):
            continue
        path = run.folder / f"{trial.name}.csv"
        if not path.exists():
            table = measure(run, trial)
            table.insert(0, "variant", trial.variant)
            table.insert(1, "seed", trial.seed)
            write_table(path, table)
        tables.append(pd.read_csv(path, dtype={"variant": str}))
    return pd.concat(tables, ignore_index=True)
