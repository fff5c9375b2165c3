"""What came out of notebook 09: means over mixtures and seeds, how sure they are, and who is better."""

from __future__ import annotations

import pandas as pd

from nrsed_lib.evaluate import resampling
from nrsed_lib.evaluate.resampling import Array
from nrsed_lib.studies.task9.study import PUBLISHED
from nrsed_lib.studies.trials import estimate

RATIOS = ["sdri", "si_sdr", "sdr_trained"]  # beside SDR
EDGES = (-15, -9, -3, 3, 9, 15)  # dB, of the ranges of SNR in the figure
ALIKE = ["source", "noise", "snr", "caption"]


def by_seed(table: pd.DataFrame, variant: str, ratio: str = "sdr") -> Array:
    """(nb_seeds, nb_mixtures) of one variant, mixtures in the order of the list."""
    rows = table[table.variant == variant]
    return resampling.by_seed(rows.assign(mixture=rows.groupby("seed").cumcount()), ratio)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row a variant, in dB: mean SDR, its 95 % interval, its spread over seeds (standard deviation, NaN for one),
    SDRi, SI-SDR, SDR when asked in a caption of the training, and the published SDR (on other data)."""
    rows = []
    for variant in table.variant.unique():
        values = by_seed(table, variant)
        mean, low, high = estimate(values)
        spread = float(values.mean(1).std(ddof=1)) if len(values) > 1 else float("nan")
        about = {"variant": variant, "nb_mixtures": values.shape[1], "nb_seeds": len(values)}
        found = {"sdr": mean, "low": low, "high": high, "spread": spread}
        others = {ratio: by_seed(table, variant, ratio).mean() for ratio in RATIOS}
        rows.append(about | found | others | {"published_sdr": PUBLISHED.get(variant, float("nan"))})
    return pd.DataFrame(rows)


def difference(table: pd.DataFrame, better: str, worse: str, ratio: str = "sdr") -> pd.DataFrame:
    """One row: how much higher the mean of `better` is, with its paired interval (same mixtures, same seeds), the
    share of mixtures on which it is higher, and the verdict of the interval."""
    gap = by_seed(table, better, ratio) - by_seed(table, worse, ratio)
    mean, low, high = estimate(gap)
    verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
    row = {"better": better, "worse": worse, "difference": mean, "low": low, "high": high}
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
