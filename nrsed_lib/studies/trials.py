"""The trainings of the separation studies, as tables of data: what is trained, under which name, with which seed.

A trial is one training and what is measured of it. It leaves its files in the notebook's folder as soon as it is
done, so that a study resumes at the trial it was in, and on a cluster each trial is a job of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.evaluate.resampling import Array, Draws
from nrsed_lib.store import write_table
from nrsed_lib.studies.settings import studies_of


@dataclass(frozen=True)
class Trial:
    """variant: what differs from the other trials of the study; seed: of the training."""

    variant: str
    seed: int

    @property
    def name(self) -> str:
        """Of its files and of its job."""
        return f"{self.variant}-seed{self.seed}"


def trials(variants: Sequence[str], seeds: Sequence[int]) -> list[Trial]:
    """Every variant of a study with every seed; all variants of a seed before the next seed."""
    return [Trial(variant, seed) for seed in seeds for variant in variants]


def measure_trials(
    run: Run, variants: Sequence[str], measure: Callable[[Run, Trial], pd.DataFrame], only: str | None = None
) -> pd.DataFrame:
    """One row a measured mixture of every variant and seed (or of the trial named `only`), kept as `<trial>.csv`.

    measure: trains what is not trained yet, and measures it. Columns `variant` and `seed` are put before its own.
    """
    tables = []
    planned = trials(variants, studies_of(run.profile).seeds)
    for trial in tqdm(planned, desc="trainings", unit="training", mininterval=1.0):
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


def estimate(values: Array) -> tuple[float, float, float]:
    """(nb_seeds, nb_mixtures) -> their mean, and the ends of its 95 % interval (see `evaluate.resampling`)."""
    return Draws.of(values.shape[1], len(values)).estimate(values)
