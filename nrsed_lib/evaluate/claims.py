"""The ledger: what the paper claims from Table I and Fig. 2, and what it leaves out, put to our runs.

A claim is a row of `data/paper/claims.csv`: a statistic that is above zero when the claim is true. It is computed on
the test clips and on each bootstrap draw of them, the same clips for both sides of a comparison (paired).
With several training seeds a draw also resamples the seeds, the same for both sides, and averages
over them, so that the interval covers other clips and other trainings. A 95 % interval above zero:
holds; below: does not hold; around: undecided.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from nrsed_lib.evaluate.measure import Cell, Measured
from nrsed_lib.evaluate.published import paper_table
from nrsed_lib.evaluate.resampling import Array, draw_counts, interval, verdict
from nrsed_lib.paths import DATA

CLEAN = "clean"


@dataclass(frozen=True)
class Claim:
    """`statistic` (a key of STATISTICS) of `better` over `worse`, in `where`, is above zero."""

    text: str
    source: str  # where the paper says so, or "beyond the paper"
    better: tuple[str, ...]
    worse: tuple[str, ...]
    where: Literal["clean", "noise", "all"] = "all"
    statistic: str = "P1+P2"


def read_claims(path: Path = DATA / "paper" / "claims.csv") -> tuple[Claim, ...]:
    """A claim a row, its fields in columns; systems are separated by spaces."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for side in ("better", "worse"):
        table[side] = table[side].str.split().map(tuple)
    return tuple(Claim(*row) for row in table.itertuples(index=False))


CLAIMS = read_claims()


@dataclass(frozen=True)
class Evidence:
    """P1 + P2 and macro recall by (condition, system), each (nb_draws,) with the estimate first."""

    total: dict[Cell, Array]
    recall: dict[Cell, Array]

    def conditions(self, where: str) -> list[str]:
        known = dict.fromkeys(c for c, _ in self.total)
        return [c for c in known if where == "all" or (c == CLEAN) == (where == "clean")]

    @classmethod
    def of(cls, measured: Measured, seed: int = 0) -> Evidence:
        """Over all seeds: each draw takes as many as there are, with replacement (Measured's draws
        are of clips); the estimate is their mean."""
        nb_seeds = len(measured.seeds)
        weight = draw_counts(nb_seeds, measured.nb_draws, seed).T / nb_seeds  # (nb_seeds, 1 + nb_draws)
        return cls(
            {cell: (psds.sum(1) * weight).sum(0) for cell, psds in measured.psds.items()},
            {cell: (recall * weight).sum(0) for cell, recall in measured.recall.items()},
        )

    @classmethod
    def of_seed(cls, measured: Measured, i: int) -> Evidence:
        """The estimates of the i-th seed alone, (1,)."""
        return cls(
            {cell: psds[i].sum(0)[:1] for cell, psds in measured.psds.items()},
            {cell: recall[i, :1] for cell, recall in measured.recall.items()},
        )

    @classmethod
    def of_paper(cls, conditions: list[str]) -> Evidence:
        """What the paper printed, (1,); it gives no recall in numbers."""
        rows = paper_table().query("condition in @conditions")
        cells = zip(rows.condition, rows.system, strict=True)
        return cls(dict(zip(cells, (rows.psds1 + rows.psds2).to_numpy()[:, None], strict=True)), {})


def total_gain(evidence: Evidence, claim: Claim) -> Array:
    """P1 + P2 of the better minus the worse, mean over conditions."""
    (better,), (worse,) = claim.better, claim.worse
    pairs = [evidence.total[c, better] - evidence.total[c, worse] for c in evidence.conditions(claim.where)]
    return np.mean(pairs, axis=0)


def recall_margin(evidence: Evidence, claim: Claim) -> Array:
    """Recall of the better minus the best of the others, at the condition where this is least."""
    (better,) = claim.better
    conditions = evidence.conditions(claim.where)
    return np.min([evidence.recall[c, better] - evidence.recall[c, w] for c in conditions for w in claim.worse], axis=0)


def rank_correlation(evidence: Evidence, claim: Claim) -> Array:
    """Spearman's correlation of recall and P1 + P2 over systems and conditions together."""
    return _spearman(evidence, [(c, s) for c in evidence.conditions(claim.where) for s in claim.better])


def rank_correlation_within(evidence: Evidence, claim: Claim) -> Array:
    """Spearman's correlation over systems, mean over conditions: noise alone cannot make it."""
    by_condition = [[(c, s) for s in claim.better] for c in evidence.conditions(claim.where)]
    return np.mean([_spearman(evidence, cells) for cells in by_condition], axis=0)


def _spearman(evidence: Evidence, cells: list[Cell]) -> Array:
    """(nb_draws,); 0 where one side has no ranking at all."""
    ranks = [rankdata([values[cell] for cell in cells], axis=0) for values in (evidence.recall, evidence.total)]
    a, b = (r - r.mean(0) for r in ranks)  # (nb_cells, nb_draws)
    scale = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return np.divide((a * b).sum(0), scale, out=np.zeros_like(scale), where=scale > 0)


STATISTICS: dict[str, tuple[Callable[[Evidence, Claim], Array], float]] = {  # and what it cannot exceed
    "P1+P2": (total_gain, 2.0),
    "recall": (recall_margin, 1.0),
    "rank correlation": (rank_correlation, 1.0),
    "rank correlation within": (rank_correlation_within, 1.0),
}


def ledger(measured: Measured, claims: tuple[Claim, ...] = CLAIMS) -> pd.DataFrame:
    """A row a claim.

    Columns: claim, source, better, worse, conditions, statistic; value, low, high (95 %), verdict;
    seeds_for ("2/3": seeds whose own estimate is above zero); paper (the statistic of the paper's
    numbers, empty where it gives none), paper_agrees; nb_clips, seeds, draws.
    """
    pooled = Evidence.of(measured)
    singles = [Evidence.of_seed(measured, i) for i in range(len(measured.seeds))]
    paper = Evidence.of_paper(measured.conditions)
    rows = []
    for claim in claims:
        statistic, bound = STATISTICS[claim.statistic]
        draws = statistic(pooled, claim)
        low, high = np.clip(interval(draws), -bound, bound)
        printed = statistic(paper, claim)[0] if _covers(paper, claim) else np.nan
        rows.append(
            {
                "claim": claim.text,
                "source": claim.source,
                "better": " ".join(f"#{s}" for s in claim.better),
                "worse": " ".join(f"#{s}" for s in claim.worse),
                "conditions": claim.where,
                "statistic": claim.statistic,
                "value": draws[0],
                "low": low,
                "high": high,
                "verdict": verdict(low, high),
                "seeds_for": f"{sum(statistic(one, claim)[0] > 0 for one in singles)}/{len(singles)}",
                "paper": printed,
                "paper_agrees": "no numbers" if np.isnan(printed) else "yes" if printed > 0 else "no",
                "nb_clips": measured.nb_clips,
                "seeds": len(measured.seeds),
                "draws": measured.nb_draws,
            }
        )
    return pd.DataFrame(rows)


def _covers(evidence: Evidence, claim: Claim) -> bool:
    """Whether the evidence has all that the claim is about."""
    known = evidence.total if claim.statistic == "P1+P2" else evidence.recall
    return all((c, s) in known for c in evidence.conditions(claim.where) for s in claim.better + claim.worse)
