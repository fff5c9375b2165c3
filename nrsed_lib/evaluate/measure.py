"""Every system, condition and seed on the same resampled test clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.clips import Clips
from nrsed_lib.data.prepare import load_split
from nrsed_lib.evaluate.psds import SCENARIOS, Labels, psds_of_draws
from nrsed_lib.evaluate.recall import recall_of_draws
from nrsed_lib.evaluate.resampling import Array, draw_counts
from nrsed_lib.processes import each
from nrsed_lib.store import read_tensors, write_tensors

Cell = tuple[str, str]  # (condition, system)
Tensors = dict[str, torch.Tensor]
# What a test left for a condition and a seed: frame scores (nb_clips, nb_classes, nb_frames) by system, and
# clip-wise predictions (nb_clips, nb_classes) by who writes the queries.
Tested = Callable[[Run, str, int], tuple[Tensors, Tensors]]


def tested(run: Run, condition: str, seed: int) -> tuple[Tensors, Tensors]:
    """What notebook 06 left."""
    scores, queries = (read_tensors(run.find(f"{name}_{condition}", seed))[0] for name in ("scores", "queries"))
    return scores, queries


@dataclass(frozen=True)
class Measured:
    """Metrics by (condition, system), draw by draw; draw 0 is the test set itself (the estimate).

    psds: (nb_seeds, nb_scenarios, 1 + nb_draws), scenarios in the order of SCENARIOS. recall:
    (nb_seeds, 1 + nb_draws), of the systems that predict their queries. All share the draws, so
    differences draw by draw are paired.
    """

    psds: dict[Cell, Array]
    recall: dict[Cell, Array]
    seeds: list[int]
    nb_clips: int

    @property
    def conditions(self) -> list[str]:
        return list(dict.fromkeys(condition for condition, _ in self.psds))

    @property
    def nb_draws(self) -> int:
        return next(iter(self.psds.values())).shape[-1] - 1


def measure(run: Run, systems: Sequence[str], query_models: Mapping[str, str], left: Tested = tested) -> Measured:
    """PSDS and recall of what notebook 06 (or `left`) left for each seed; a seed that was measured is kept.

    systems: whose PSDS, in the order of the tables. query_models: whose recall: system -> the model
    whose clip-wise predictions are its queries.
    """
    clips, seeds = load_split(run, "test"), run.profile.seeds
    conditions = list(run.profile.data.conditions)
    counts = draw_counts(len(clips), run.profile.evaluate.nb_bootstrap)
    psds = [_psds_of_seed(run, seed, systems, clips, counts, left) for seed in seeds]
    return Measured(
        psds={(c, s): np.stack([of[f"{c}/{s}"] for of in psds]) for c in conditions for s in systems},
        recall=measure_recall(run, query_models, clips, counts, left),
        seeds=list(seeds),
        nb_clips=len(clips),
    )


def measure_recall(
    run: Run, query_models: Mapping[str, str], clips: Clips, counts: NDArray[np.int64], left: Tested = tested
) -> dict[Cell, Array]:
    """Macro recall (nb_seeds, nb_draws) by (condition, system) of the predictions that notebook 06 (or `left`) left.

    counts: (nb_draws, nb_clips), see `resampling.draw_counts`.
    """
    labels, recall = clips.weak(), {}
    for condition in run.profile.data.conditions:
        predictions = [left(run, condition, seed)[1] for seed in run.profile.seeds]
        for system, model in query_models.items():
            recall[condition, system] = np.stack([recall_of_draws(p[model], labels, counts) for p in predictions])
    return recall


def _psds_of_seed(
    run: Run, seed: int, systems: Sequence[str], clips: Clips, counts: NDArray[np.int64], left: Tested
) -> dict[str, Array]:
    """ "<condition>/<system>" -> (nb_scenarios, nb_draws), from the notebook's folder if it is there."""
    path = run.folder / f"psds-seed{seed}.safetensors"
    if not path.exists():
        scores: dict[str, NDArray[np.float16]] = {}
        for condition in run.profile.data.conditions:
            tensors, _ = left(run, condition, seed)
            scores |= {f"{condition}/{system}": tensors[system].numpy() for system in systems}
        work = partial(_psds_of, labels=Labels.of(clips), counts=counts)
        computed = each(work, list(scores.values()), torch.get_num_threads())
        found = dict(tqdm(computed, total=len(scores), desc=f"PSDS, seed {seed}", mininterval=1.0))
        draws = {key: torch.from_numpy(found[number]) for number, key in enumerate(scores)}
        write_tensors(path, draws, scenarios=list(SCENARIOS), nb_clips=len(clips))
    return {key: draws.numpy() for key, draws in read_tensors(path)[0].items()}


def _psds_of(frame_scores: NDArray[np.float16], labels: Labels, counts: NDArray[np.int64]) -> Array:
    return psds_of_draws(torch.from_numpy(frame_scores), labels, counts)
