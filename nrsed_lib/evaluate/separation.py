"""How well a sound was separated: distortion ratios in dB, and the separator on sounds it never heard.

Definitions. SDR = 10 log10(|s|² / |s - ŝ|²), with no filter or gain allowed. SI-SDR (Le Roux et al.
2019) first scales s to fit ŝ, so a wrong gain costs nothing. An improvement is the ratio of the
estimate minus that of the mixture taken as an estimate.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.lass.mixtures import Mixer, Mixtures
from nrsed_lib.lass.separator import Separator
from nrsed_lib.store import write_table

SNR_DB = (-10.0, 10.0)
BATCH = 10


def sdr(estimates: Tensor, targets: Tensor) -> Tensor:
    """(…, nb_samples) each -> (…,) dB; +inf when equal, -inf or NaN for a silent target."""
    return _ratio_db(targets.double(), (targets - estimates).double())


def si_sdr(estimates: Tensor, targets: Tensor) -> Tensor:
    """(…, nb_samples) each -> (…,) dB. Means are kept: they are part of the signals."""
    estimates, targets = estimates.double(), targets.double()
    gain = (estimates * targets).sum(-1, keepdim=True) / targets.square().sum(-1, keepdim=True)
    return _ratio_db(gain * targets, gain * targets - estimates)


def sdr_gained(estimates: Tensor, mixtures: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """(…, nb_samples) each -> (…,) dB each: what separation gained over doing nothing, and over silence.

    sdr_in: of the mixture itself. sdr_out: of the estimate. improvement: sdr_out - sdr_in. silence: the improvement
    that an all-zero estimate would get, -sdr_in: most of that of a short sound in a long clip is the rest silenced.
    """
    before, after = sdr(mixtures, targets), sdr(estimates, targets)
    return {"sdr_in": before, "sdr_out": after, "improvement": after - before, "silence": -before}


def _ratio_db(signal: Tensor, distortion: Tensor) -> Tensor:
    return 10 * (signal.square().sum(-1) / distortion.square().sum(-1)).log10()


def held_out_mixer(run: Run) -> Mixer:
    """Draws mixtures as long as the clips of the pipeline, from the test sources."""
    return Mixer(load_sources(run, "test"), run.profile.data.nb_samples)


def held_out_batches(run: Run, mixer: Mixer) -> list[Mixtures]:
    """The `evaluate.nb_separation_mixtures` mixtures that are measured: the same at every call.

    Their queries are target classes, all of them true: the queried sound is there.
    """
    nb = run.profile.evaluate.nb_separation_mixtures
    generator = torch.Generator().manual_seed(run.seed)
    return [mixer.draw(min(BATCH, nb - done), SNR_DB, generator) for done in range(0, nb, BATCH)]


@torch.inference_mode()
def measure_separation(run: Run, separator: Separator) -> pd.DataFrame:
    """One row a held-out mixture, all in dB; kept as `separation.csv` in the notebook's tables.

    Columns: query; snr (drawn, of active samples); those of `sdr_gained`; si_improvement, of SI-SDR.
    """
    path = run.tables / "separation.csv"
    if path.exists():
        return pd.read_csv(path)
    device = next(separator.parameters()).device
    mixer = held_out_mixer(run)
    conditions = separator.embed([query_text(label) for label in mixer.labels])
    parts = []
    for drawn in tqdm(held_out_batches(run, mixer), desc="held-out mixtures", mininterval=1.0):
        estimates = separator(drawn.mixtures.to(device), conditions[drawn.queries.to(device)]).cpu()
        columns = {"snr": drawn.snr_db} | sdr_gained(estimates, drawn.mixtures, drawn.targets)
        columns["si_improvement"] = si_sdr(estimates, drawn.targets) - si_sdr(drawn.mixtures, drawn.targets)
        table = pd.DataFrame({name: values.numpy() for name, values in columns.items()})
        table.insert(0, "query", [mixer.labels[i] for i in drawn.queries.tolist()])
        parts.append(table)
    table = pd.concat(parts, ignore_index=True)
    write_table(path, table)
    return table


def mean_interval(
    values: np.ndarray, nb_draws: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """Mean, and its bootstrap interval over mixtures: (nb_mixtures,) -> mean, low, high."""
    draws = np.random.default_rng(seed).choice(values, (nb_draws, len(values))).mean(1)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(values.mean()), float(low), float(high)


def separation_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Rows: each query class, then all. Mean SDR improvement with its 95 % interval, and what silence gets, in dB."""
    groups = [*table.groupby("query"), ("all", table)]
    rows = []
    for name, group in groups:
        mean, low, high = mean_interval(group.improvement.to_numpy())
        rows.append(
            {
                "query": name,
                "nb_mixtures": len(group),
                "improvement": mean,
                "low": low,
                "high": high,
                "silence": group.silence.mean(),
                "si_improvement": group.si_improvement.mean(),
            }
        )
    return pd.DataFrame(rows)
