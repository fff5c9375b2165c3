"""How well the separator does on sounds it never heard: SDR improvement with true queries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.evaluate.separation import sdr, si_sdr
from nrsed_lib.lass.mixtures import Mixer, Mixtures
from nrsed_lib.lass.separator import Separator
from nrsed_lib.store import write_table

SNR_DB = (-10.0, 10.0)
BATCH = 10


def held_out_mixer(run: Run) -> Mixer:
    """Draws mixtures as long as the clips of the pipeline, from the test sources."""
    return Mixer(load_sources(run, "test"), run.profile.data.nb_samples)


def held_out_batches(run: Run, mixer: Mixer) -> list[Mixtures]:
    """The `evaluate.nb_separation_mixtures` mixtures that are measured: the same at every call.

    Their queries are target classes, all of them true: the queried sound is there.
    """
    nb = run.profile.evaluate.nb_separation_mixtures
    generator = torch.Generator().manual_seed(run.profile.data.seed)
    return [mixer.draw(min(BATCH, nb - done), SNR_DB, generator) for done in range(0, nb, BATCH)]


@torch.inference_mode()
def measure_separation(run: Run, separator: Separator) -> pd.DataFrame:
    """One row a held-out mixture, all in dB; kept as `separation.csv`, in the stage and the tables.

    Columns: query; snr (drawn, of active samples); sdr_in, of the mixture itself, over the whole clip;
    sdr_out; improvement = sdr_out - sdr_in; silence, the improvement that an all-zero estimate would
    get (-sdr_in): a short sound in a long clip is mostly improved by silencing the rest;
    si_improvement, of SI-SDR.
    """
    path = run.folder / "separation.csv"
    if path.exists():
        return pd.read_csv(path)
    device = next(separator.parameters()).device
    mixer = held_out_mixer(run)
    conditions = separator.embed([query_text(label) for label in mixer.labels])
    parts = []
    for drawn in tqdm(held_out_batches(run, mixer), desc="held-out mixtures", mininterval=1.0):
        estimates = separator(drawn.mixtures.to(device), conditions[drawn.queries.to(device)]).cpu()
        before, after = sdr(drawn.mixtures, drawn.targets), sdr(estimates, drawn.targets)
        si = si_sdr(estimates, drawn.targets) - si_sdr(drawn.mixtures, drawn.targets)
        columns = {"snr": drawn.snr_db, "sdr_in": before, "sdr_out": after, "improvement": after - before}
        columns |= {"silence": -before, "si_improvement": si}
        table = pd.DataFrame({name: values.numpy() for name, values in columns.items()})
        table.insert(0, "query", [mixer.labels[i] for i in drawn.queries.tolist()])
        parts.append(table)
    table = pd.concat(parts, ignore_index=True)
    write_table(path, table)
    write_table(run.tables / "separation.csv", table)
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
