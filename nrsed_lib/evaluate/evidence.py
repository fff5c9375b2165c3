"""Every system, condition and seed on the same draws of test recordings, from the counts that notebook 06 keeps."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import DataError, one_line
from nrsed_lib.evaluate.counts import ANY_FRAME, Cell, Counts
from nrsed_lib.evaluate.inference import MIN_SEEDS, Inference, over_recordings, over_seeds
from nrsed_lib.evaluate.recall import recall_of_draws
from nrsed_lib.evaluate.resampling import Array, overlap
from nrsed_lib.evaluate.roc import SCENARIOS, psds_of
from nrsed_lib.store import atomic


@dataclass(frozen=True)
class Evidence:
    """Metrics by (condition, system), seed by seed and draw by draw; draw 0 is the test set itself (the estimate).

    psds: (nb_seeds, nb_scenarios, 1 + nb_draws), scenarios in the order of SCENARIOS. recall, recall_any: (nb_seeds, 1
    + nb_draws) of the systems that predict their queries, asked clip-wise and by any frame (empty where that was not
    kept). All systems share the draws of a seed, so differences draw by draw are paired. share: n_test / n_train of
    the recordings. common: the share of recordings that the test sets of two seeds have in common.
    """

    psds: dict[Cell, Array]
    recall: dict[Cell, Array]
    seeds: list[int]
    nb_clips: int
    systems: dict[str, str]
    recall_any: dict[Cell, Array]
    share: float = 0.5
    common: float = 0.0

    @classmethod
    def of(cls, counts: Sequence[Counts], nb_draws: int) -> Evidence:
        """Raises DataError when seeds did not test the same. Takes seconds for estimates, and as many again for
        each hundred draws of ten seeds."""
        first = counts[0].about
        for about in (c.about for c in counts):
            for what in ("conditions", "systems", "asks", "source"):
                if (here := getattr(about, what)) != (there := getattr(first, what)):
                    others = one_line(f"{what}: {here}, {there}", 200)
                    raise DataError(
                        f"seeds {about.seed} and {first.seed} were not tested alike ({others}); "
                        "run notebook 06 of both with one state of the code"
                    )
        draws = [c.draws(nb_draws) for c in counts]
        cells = [(c, s) for c in first.conditions for s in first.systems]

        def area(job: tuple[int, Cell, str]) -> Array:
            i, cell, scenario = job
            how = SCENARIOS[scenario]
            return psds_of(counts[i].changes[*cell, scenario], draws[i], how["alpha_ct"], how["alpha_st"])

        jobs = [(i, cell, scenario) for cell in cells for i in range(len(counts)) for scenario in SCENARIOS]
        with ThreadPoolExecutor(nb_threads()) as pool:  # compiled code, which lets others run
            areas = [*tqdm(pool.map(area, jobs), total=len(jobs), desc="PSDS of draws", mininterval=1.0)]
        shape = (len(cells), len(counts), len(SCENARIOS), 1 + nb_draws)

        def recall(rule: str) -> dict[Cell, Array]:
            asking = {s: who + rule for s, who in first.asks.items() if who + rule in first.askers}
            pairs = [*zip(counts, draws, strict=True)]
            return {
                (c, s): np.stack([recall_of_draws(of.asked[c, who], of.present, d.weights) for of, d in pairs])
                for c in first.conditions
                for s, who in asking.items()
            }

        return cls(
            dict(zip(cells, np.reshape(areas, shape), strict=True)),
            recall(""),
            [c.about.seed for c in counts],
            counts[0].nb_clips,
            first.systems,
            recall(ANY_FRAME),
            float(np.mean([c.share for c in counts])),
            overlap([{r for clip in c.recordings for r in clip} for c in counts]),
        )

    @property
    def nb_draws(self) -> int:
        return next(iter(self.psds.values())).shape[-1] - 1

    @property
    def conditions(self) -> list[str]:
        return list(dict.fromkeys(condition for condition, _ in self.psds))

    @property
    def by_seeds(self) -> bool:
        """Whether intervals are over seeds (t); else over recordings alone (bootstrap)."""
        return len(self.seeds) >= MIN_SEEDS

    def both(self, values: Array) -> tuple[Inference | None, Inference]:
        """What t over seeds (None of one seed) and bootstrap over recordings say of (nb_seeds, 1 + nb_draws)."""
        t = over_seeds(values[:, 0], self.share) if len(values) > 1 else None
        return t, over_recordings(values, self.common)

    def infer(self, values: Array) -> Inference:
        """Of (nb_seeds, 1 + nb_draws): by t where there are seeds enough for it, else by bootstrap."""
        t, bootstrap = self.both(values)
        return t if t is not None and self.by_seeds else bootstrap


def read_counts(files: Sequence[Path]) -> list[Counts]:
    """Of each seed, in the order of seeds."""
    return sorted((Counts.read(file) for file in files), key=lambda counts: counts.about.seed)


def counts_of(run: Run) -> list[Counts]:
    """What notebook 06 left of each seed, shown beside the tables that are made of it."""
    shown = run.tables / "counts"
    for seed in run.profile.seeds:
        with atomic(shown / f"seed{seed}.npz") as temporary:
            shutil.copyfile(run.find("counts", seed), temporary)
    return read_counts([shown / f"seed{seed}.npz" for seed in run.profile.seeds])


def nb_threads() -> int:
    """The processors that this process may use."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(mine, int(os.environ.get("OMP_NUM_THREADS") or mine))
