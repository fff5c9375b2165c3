"""Thresholds of queries, set on validation clips in every condition of the test instead of at 0.5.

The objective: the macro F1 of queries, of all validation clips in all conditions together: F1 of each class between
what is asked for and what is there, mean over classes. One threshold for all classes maximises it; a threshold by class
maximises each class's own F1.
"""

from __future__ import annotations

import json

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_condition, load_split
from nrsed_lib.store import write_json, write_table
from nrsed_lib.systems import Networks, Thresholds
from nrsed_lib.training import device

GRID = torch.linspace(-8, 6, 141).sigmoid()  # at even distances in logits: a tagger's probabilities are small


def calibrate(run: Run, networks: Networks) -> Thresholds:
    """Of every model and asker, see `Queries.asked`; what the notebook's folder has is not computed again.

    Leaves `thresholds.json` there, and the curves in `thresholds.csv`: who, class ("all": their mean), threshold, f1.
    """
    if not (run.folder / "thresholds.json").exists():
        scores, labels = validation_scores(run, networks)
        curves = {who: f1_by_class(of, labels, GRID) for who, of in scores.items()}  # (nb_thresholds, nb_classes)
        kept = {
            "calibrated": {who: best(curve.mean(1)) for who, curve in curves.items()},
            "by class": {who: [best(of) for of in curve.T] for who, curve in curves.items()},
        }
        rows = [
            (who, name, threshold, f1)
            for who, curve in curves.items()
            for name, of in (("all", curve.mean(1)), *zip(run.profile.data.classes, curve.T, strict=True))
            for threshold, f1 in zip(GRID.tolist(), of.tolist(), strict=True)
        ]
        write_table(run.folder / "thresholds.csv", pd.DataFrame(rows, columns=["who", "class", "threshold", "f1"]))
        write_json(run.folder / "thresholds.json", kept)
    return read_thresholds(run)


def read_thresholds(run: Run) -> Thresholds:
    """What `calibrate` left, on the device; none where it has not been asked."""
    path = run.folder / "thresholds.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    return {kind: {who: torch.tensor(t, device=device()) for who, t in of.items()} for kind, of in kept.items()}


@torch.inference_mode()
def validation_scores(run: Run, networks: Networks) -> tuple[dict[str, Tensor], Tensor]:
    """Clip scores by who asks, and weak labels, (nb_conditions * nb_validation, nb_classes), on the CPU."""
    labels, conditions = load_split(run, "validation").weak(), run.profile.data.conditions
    found: dict[str, list[Tensor]] = {who: [] for who in networks.who_asks}
    for condition in tqdm(conditions, desc="thresholds", mininterval=1.0):
        for some in load_condition(run, condition, split="validation").split(networks.batch):
            every = torch.ones(len(some), dtype=torch.bool, device=device())
            rows = dict.fromkeys(networks.detectors, every)
            _, clip_scores = networks.hear(some.to(device()), rows, networks.askers)
            for who, values in clip_scores.items():
                found[who].append(values.cpu())
    return {who: torch.cat(parts) for who, parts in found.items()}, labels.repeat(len(conditions), 1)


def f1_by_class(scores: Tensor, labels: Tensor, thresholds: Tensor) -> Tensor:
    """F1 of asking above each threshold. scores, labels: (nb_clips, nb_classes) -> (nb_thresholds, nb_classes); of a
    class that is neither there nor asked for 1."""
    asked, there = scores > thresholds[:, None, None], labels > 0.5  # (nb_thresholds, nb_clips, nb_classes)
    hits, asks = (asked & there).sum(1), asked.sum(1)
    return torch.where(asks + there.sum(0) > 0, 2 * hits / (asks + there.sum(0)).clamp(min=1), 1.0)


def best(curve: Tensor) -> float:
    """The threshold of GRID where a curve is highest; the middle one, if it is so at several."""
    at = (curve == curve.max()).nonzero().flatten()
    return GRID[at[len(at) // 2]].item()
