"""The ledger: what the paper claims from Table I and Fig. 2, and what it leaves out, put to our runs.

A claim is a row of `data/paper/claims.csv`: a statistic that is above zero when the claim is true. It is computed for
each seed, on its test clips and on each bootstrap draw of their recordings, the same draws for both sides of a
comparison (paired). `inference` makes intervals, p-values and verdicts of it: over at least three seeds by the
corrected resampled t, else by the bootstrap alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from nrsed_lib.evaluate.counts import Cell
from nrsed_lib.evaluate.evidence import Evidence
from nrsed_lib.evaluate.inference import Inference, holm, verdict
from nrsed_lib.evaluate.published import paper_table
from nrsed_lib.evaluate.resampling import Array
from nrsed_lib.paths import DATA

CLEAN = "clean"
BEYOND = "beyond the paper"  # the source of our own claims, corrected for their number apart
WIDER = 3.0  # times as wide: two intervals that say different things


@dataclass(frozen=True)
class Claim:
    """`statistic` (a key of STATISTICS) of `better` over `worse`, in `where`, is above zero."""

    text: str
    source: str  # where the paper says so, or BEYOND
    better: tuple[str, ...]
    worse: tuple[str, ...]
    where: Literal["clean", "noise", "all"] = "all"
    statistic: str = "P1+P2"

    @property
    def systems(self) -> tuple[str, ...]:
        return self.better + self.worse


def read_claims(path: Path = DATA / "paper" / "claims.csv") -> tuple[Claim, ...]:
    """A claim a row, its fields in columns; systems are separated by spaces."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for side in ("better", "worse"):
        table[side] = table[side].str.split().map(tuple)
    return tuple(Claim(*row) for row in table.itertuples(index=False))


CLAIMS = read_claims()


@dataclass(frozen=True)
class Scores:
    """P1 + P2 and macro recall by (condition, system), arrays of one shape."""

    total: dict[Cell, Array]
    recall: dict[Cell, Array]

    @classmethod
    def of(cls, evidence: Evidence) -> Scores:
        """(nb_seeds, 1 + nb_draws)."""
        return cls({cell: psds.sum(1) for cell, psds in evidence.psds.items()}, evidence.recall)

    @classmethod
    def of_paper(cls, conditions: Sequence[str]) -> Scores:
        """What the paper printed, (1,); it gives no recall in numbers."""
        rows = paper_table()
        rows = rows[rows.condition.isin(conditions)]
        cells = zip(rows.condition, rows.system, strict=True)
        return cls(dict(zip(cells, (rows.psds1 + rows.psds2).to_numpy()[:, None], strict=True)), {})

    def conditions(self, where: str) -> list[str]:
        known = dict.fromkeys(c for c, _ in self.total)
        return [c for c in known if where == "all" or (c == CLEAN) == (where == "clean")]

    def cover(self, claim: Claim) -> bool:
        """Whether all that the claim is about is here."""
        needed = [self.total] if claim.statistic == "P1+P2" else [self.recall]
        needed += [self.total] if claim.statistic.startswith("rank") else []
        conditions = self.conditions(claim.where)
        return bool(conditions) and all((c, s) in of for of in needed for c in conditions for s in claim.systems)


def total_gain(scores: Scores, claim: Claim) -> Array:
    """P1 + P2 of the better minus that of the worse (of several: their mean), mean over conditions."""
    (better,) = claim.better
    conditions = scores.conditions(claim.where)
    worse = [np.mean([scores.total[c, w] for w in claim.worse], axis=0) for c in conditions]
    return np.mean([scores.total[c, better] - w for c, w in zip(conditions, worse, strict=True)], axis=0)


def recall_margin(scores: Scores, claim: Claim) -> Array:
    """Recall of the better minus the best of the others, at the condition where this is least."""
    (better,) = claim.better
    conditions = scores.conditions(claim.where)
    return np.min([scores.recall[c, better] - scores.recall[c, w] for c in conditions for w in claim.worse], axis=0)


def rank_correlation(scores: Scores, claim: Claim) -> Array:
    """Spearman's correlation of recall and P1 + P2 over systems and conditions together."""
    return _spearman(scores, [(c, s) for c in scores.conditions(claim.where) for s in claim.better])


def rank_correlation_within(scores: Scores, claim: Claim) -> Array:
    """Spearman's correlation over systems, mean over conditions: noise alone cannot make it."""
    by_condition = [[(c, s) for s in claim.better] for c in scores.conditions(claim.where)]
    return np.mean([_spearman(scores, cells) for cells in by_condition], axis=0)


def _spearman(scores: Scores, cells: list[Cell]) -> Array:
    """Of one shape with the scores; 0 where one side has no ranking at all."""
    ranks = [rankdata([values[cell] for cell in cells], axis=0) for values in (scores.recall, scores.total)]
    a, b = (r - r.mean(0) for r in ranks)  # (nb_cells, …)
    scale = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return np.divide((a * b).sum(0), scale, out=np.zeros_like(scale), where=scale > 0)


STATISTICS: dict[str, tuple[Callable[[Scores, Claim], Array], float]] = {  # and what it cannot exceed
    "P1+P2": (total_gain, 2.0),
    "recall": (recall_margin, 1.0),
    "rank correlation": (rank_correlation, 1.0),
    "rank correlation within": (rank_correlation_within, 1.0),
}


def ledger(evidence: Evidence, claims: Sequence[Claim] = CLAIMS) -> pd.DataFrame:
    """A row for each claim whose systems were all tested.

    Columns: claim, source, better, worse, conditions, statistic; value (mean over seeds), low, high (95 %), by ("t over
    seeds" or "bootstrap"), p (two-sided, Holm's over the claims of the paper, and apart over those beyond it), p_same
    (of a difference within ± MARGIN, likewise), verdict; seeds_for ("2/3": seeds whose own estimate is above zero);
    paper (the statistic of the paper's numbers, empty where it gives none), paper_excluded (whether it lies outside low
    and high); t_low, t_high, bootstrap_low, bootstrap_high (both intervals), apart (see `_apart`); nb_clips, seeds,
    draws.
    """
    scores, paper = Scores.of(evidence), Scores.of_paper(evidence.conditions)
    tested = [claim for claim in claims if scores.cover(claim)]
    values = [STATISTICS[claim.statistic][0](scores, claim) for claim in tested]
    found = [evidence.infer(of) for of in values]
    p, p_same = (_adjusted(tested, [getattr(of, name) for of in found]) for name in ("p", "p_same"))
    rows = []
    for i, (claim, drawn, of) in enumerate(zip(tested, values, found, strict=True)):
        statistic, most = STATISTICS[claim.statistic]
        low, high = np.clip((of.low, of.high), -most, most)
        printed = statistic(paper, claim)[0] if paper.cover(claim) else np.nan
        t, bootstrap = evidence.both(drawn)
        rows.append(
            {
                "claim": claim.text,
                "source": claim.source,
                "better": " ".join(f"#{s}" for s in claim.better),
                "worse": " ".join(f"#{s}" for s in claim.worse),
                "conditions": claim.where,
                "statistic": claim.statistic,
                "value": of.value,
                "low": low,
                "high": high,
                "by": "t over seeds" if evidence.by_seeds else "bootstrap",
                "p": p[i],
                "p_same": p_same[i],
                "verdict": verdict(of.value, p[i], p_same[i]),
                "seeds_for": f"{(drawn[:, 0] > 0).sum()}/{len(drawn)}",
                "paper": printed,
                "paper_excluded": "" if np.isnan(printed) else "no" if low <= printed <= high else "yes",
                "t_low": t.low if t else np.nan,
                "t_high": t.high if t else np.nan,
                "bootstrap_low": bootstrap.low,
                "bootstrap_high": bootstrap.high,
                "apart": _apart(t, bootstrap) if evidence.by_seeds else "",
                "nb_clips": evidence.nb_clips,
                "seeds": len(evidence.seeds),
                "draws": evidence.nb_draws,
            }
        )
    return pd.DataFrame(rows)


def _adjusted(claims: list[Claim], p: list[float]) -> Array:
    """Holm's p-values, over the claims of the paper and over those beyond it."""
    values, ours = np.array(p, dtype=float), np.array([claim.source == BEYOND for claim in claims], dtype=bool)
    for group in (ours, ~ours):
        values[group] = holm(values[group])
    return values


def _apart(t: Inference | None, bootstrap: Inference) -> str:
    """How the two intervals disagree: "zero", where one has it inside and the other not, or both exclude it from
    different sides; "width", where one is more than WIDER times as wide; else ""."""
    if t is None:
        return ""
    (a, b), sides = (t, bootstrap), [np.sign(of.low) + np.sign(of.high) for of in (t, bootstrap)]
    narrow, wide = sorted((a.high - a.low, b.high - b.low))
    return ", ".join(what for what, so in (("zero", sides[0] != sides[1]), ("width", wide > WIDER * narrow)) if so)


def disagreements(ledger: pd.DataFrame) -> str:
    """In words: on how many lines the two intervals disagree, and why they may."""
    if (ledger["by"] == "bootstrap").all():
        return "Fewer than three seeds: intervals are of the bootstrap over test recordings alone, of these trainings."
    wider = (ledger.t_high - ledger.t_low) / (ledger.bootstrap_high - ledger.bootstrap_low)
    zero, width = (ledger.apart.str.contains(what).sum() for what in ("zero", "width"))
    return (
        f"On {zero} of {len(ledger)} lines one interval has zero inside and the other not, on {width} one is more than "
        f"{WIDER:g} times as wide; the t interval is {wider.median():.1f} times as wide in the median. The bootstrap "
        "covers other test recordings only. The t interval covers other recordings in training and another training of "
        "every network, too, so it is the one that verdicts are from."
    )
