"""The tables of the source from the rows of the study: mean and spread over seeds, with the published values beside."""

from __future__ import annotations

from itertools import product

import pandas as pd

from nrsed_lib.artefacts import Run
from nrsed_lib.paths import DATA
from nrsed_lib.profile import Profile
from nrsed_lib.store import write_table
from nrsed_lib.studies.opensep.variants import METHODS, recorded_models, slug

METRICS = ("SDR", "SIR")
CLASSES = {"all": "seen", "half": "unseen"}  # what a variant trained on all or half of the classes is tested on
DATASETS = ("VGGSound", "MUSIC")
LEVELS = {  # Table 4: row -> variant
    "no knowledge, no levels": "opensep_classes",
    "levels": "opensep_classes_levels",
    "knowledge without examples": "opensep_{model}_0",
    "knowledge": "opensep_knowledge",
    "knowledge and levels": "opensep",
}
OURS = "this project"


def published(number: int | None = None) -> pd.DataFrame:
    """table, row, column, value, spread: Tables 1 to 7 of the source, as printed; or one of them."""
    every = pd.read_csv(DATA / "paper" / "opensep.csv", dtype={"row": str})
    return every if number is None else every[every.table == number]


def over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `measure.study` -> index (variant, metric), columns mean and spread (standard deviation of the means of
    each seed, NaN for one seed), nb_seeds, nb_mixtures (of one seed)."""
    long = rows.rename(columns={metric.lower(): metric for metric in METRICS})
    long = long.melt(["variant", "seed"], list(METRICS), var_name="metric")
    seeds = long.groupby(["variant", "metric", "seed"]).value.agg(["mean", "size"]).reset_index()
    return seeds.groupby(["variant", "metric"]).agg(
        mean=("mean", "mean"), spread=("mean", "std"), nb_seeds=("seed", "size"), nb_mixtures=("size", "first")
    )


def table(number: int, rows: pd.DataFrame, profile: Profile, run: Run | None = None) -> pd.DataFrame:
    """Table 1, 2, 4, 5 or 6 of the source: a row as there, and columns (where, what) with "mean ± spread" in dB.

    Ours are under "<profile>"; the published ones beside them under their data sets. A row that was not measured here
    has only the published values, one that the source has not only ours. run: also write `opensep_table<n>.csv`,
    one number a row (row, where, column, mean, spread).
    """
    ours = over_seeds(rows)
    found: list[tuple] = []
    for (row, variant), (scope, classes), metric in product(variants_of(number).items(), CLASSES.items(), METRICS):
        key = (f"{variant}-{scope}", metric)
        if key in ours.index and (number > 2 or number == list(CLASSES).index(scope) + 1):
            found.append((row, profile.name, f"{classes} {metric}", *ours.loc[key, ["mean", "spread"]]))
    theirs = published(number)
    for entry in theirs.itertuples():
        dataset, _, column = str(entry.column).partition(" ")
        found.append((entry.row, dataset, column, entry.value, entry.spread))
    long = pd.DataFrame(found, columns=["row", "where", "column", "mean", "spread"])
    if run is not None:
        write_table(run.tables / f"opensep_table{number}.csv", long)
    long["text"] = [shown(mean, spread) for mean, spread in zip(long["mean"], long["spread"], strict=True)]
    wide = long.set_index(["row", "where", "column"]).text.unstack(["where", "column"])  # noqa: PD010 (no means)
    order = [*variants_of(number), *theirs.row]
    names = [f"{classes} {metric}" for classes in CLASSES.values() for metric in METRICS]
    columns = [c for c in product((profile.name, *DATASETS), names) if c in wide.columns]
    wide = wide.reindex(index=list(dict.fromkeys(order)), columns=pd.MultiIndex.from_tuples(columns))
    return wide.dropna(how="all").fillna("")


def variants_of(number: int) -> dict[str, str]:
    """Row of the table -> row of `variants.recipes`. Rows of Tables 5 and 6, and one of Table 4, are about models whose
    answers are recorded; with several models Table 5 is about the first."""
    if number in (1, 2):
        return {name: key for key, name in METHODS.items()}
    models = {model: shots for model, shots in recorded_models().items() if shots}
    first = next(iter(models), "")
    if number == 4:
        return {row: variant.format(model=slug(first)) for row, variant in LEVELS.items()}
    if number == 5:
        return {str(shots): f"opensep_{slug(first)}_{shots}" for shots in models.get(first, []) if shots}
    return {OURS: "opensep"} | {model: f"opensep_{slug(model)}_{max(shots)}" for model, shots in models.items()}


def shown(mean: float, spread: float, digits: int = 2) -> str:
    """ "2.31 ± 0.12"; a single seed has no spread."""
    return f"{mean:.{digits}f}" + ("" if pd.isna(spread) else f" ± {spread:.{digits}f}")
