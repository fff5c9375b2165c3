"""What came out of notebook 09: means over mixtures and seeds, how sure they are, and who is better."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nrsed_lib.studies.task9 import PUBLISHED

RATIOS = ["sdr", "sdri", "si_sdr", "sdr_trained"]
EDGES = (-15, -9, -3, 3, 9, 15)  # dB, of the ranges of SNR in the figure
ALIKE = ["source", "noise", "snr", "caption"]


def by_seed(table: pd.DataFrame, variant: str, ratio: str = "sdr") -> NDArray[np.float64]:
    """(nb_seeds, nb_mixtures) of one variant, mixtures in the order of the list."""
    rows = table[table.variant == variant]
    return np.stack([group[ratio].to_numpy(float) for _, group in rows.groupby("seed")])


def interval(
    values: NDArray[np.float64], nb_draws: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of the mean of (nb_seeds, nb_mixtures): each draw takes mixtures, and seeds, anew.

    The same mixtures are drawn for all seeds, so that the interval covers other mixtures and other trainings; with
    one seed, other mixtures alone.
    """
    random = np.random.default_rng(seed)
    nb_seeds, nb_mixtures = values.shape
    seeds = random.integers(nb_seeds, size=(nb_draws, nb_seeds))
    mixtures = random.integers(nb_mixtures, size=(nb_draws, nb_mixtures))
    drawn = [values[s][:, m].mean() for s, m in zip(seeds, mixtures, strict=True)]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row a variant, in dB: mean SDR, its 95 % interval, its spread over seeds (standard deviation, NaN for one),
    SDRi, SI-SDR, SDR when asked in a caption of the training, and the published SDR (on other data)."""
    rows = []
    for variant in table.variant.unique():
        means = {ratio: by_seed(table, variant, ratio) for ratio in RATIOS}
        nb_seeds, nb_mixtures = means["sdr"].shape
        low, high = interval(means["sdr"])
        spread = float(means["sdr"].mean(1).std(ddof=1)) if nb_seeds > 1 else float("nan")
        about = {"variant": variant, "nb_mixtures": nb_mixtures, "nb_seeds": nb_seeds}
        found = {"sdr": means["sdr"].mean(), "low": low, "high": high, "spread": spread}
        others = {ratio: means[ratio].mean() for ratio in RATIOS[1:]}
        rows.append(about | found | others | {"published_sdr": PUBLISHED.get(variant, float("nan"))})
    return pd.DataFrame(rows)


def difference(table: pd.DataFrame, better: str, worse: str, ratio: str = "sdr") -> pd.DataFrame:
    """One row: how much higher the mean of `better` is, with its paired interval (same mixtures, same seeds), the
    share of mixtures on which it is higher, and the verdict of the interval."""
    gap = by_seed(table, better, ratio) - by_seed(table, worse, ratio)
    low, high = interval(gap)
    verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
    row = {"better": better, "worse": worse, "difference": gap.mean(), "low": low, "high": high}
    return pd.DataFrame([row | {"share_higher": (gap.mean(0) > 0).mean(), "verdict": verdict}])


def by_snr(table: pd.DataFrame) -> pd.DataFrame:
    """A row a variant and range of SNR: mean SNR, number of mixtures, mean sdr and sdri over mixtures and seeds, and
    half of the 95 % interval of sdr over mixtures (of their means over seeds)."""
    mixtures = table.groupby(["variant", *ALIKE], sort=False)[["sdr", "sdri"]].mean().reset_index()
    ranges = pd.cut(mixtures.snr, list(EDGES), include_lowest=True)
    groups = mixtures.groupby(["variant", ranges.rename("range")], observed=True, sort=False)
    found = groups.agg(snr=("snr", "mean"), nb=("sdr", "size"), sdr=("sdr", "mean"), sdri=("sdri", "mean"))
    found["error"] = 1.96 * groups.sdr.sem().fillna(0)
    return found.reset_index().sort_values(["variant", "snr"], ignore_index=True)
