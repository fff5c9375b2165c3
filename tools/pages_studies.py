"""The separation studies on a page of results: what notebooks 09, 10 and 11 wrote, as short tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tools.markdown import number, table, with_interval

OPENSEP = {  # numbers of the source's tables -> what their rows are
    (1, 2): "method",
    (4,): "texts and training",
    (5,): "examples shown to the model",
    (6,): "who wrote the texts",
}


def studies(folder: Path) -> str:
    """Markdown on results/<profile>; "" where no study has run."""
    parts = [show(folder / file) for file, show in TABLES.items() if (folder / file).exists()]
    return "\n\n".join(["## The separation studies", *parts]) if parts else ""


def _task9(file: Path) -> str:
    results = pd.read_csv(file)
    first = results.iloc[0]
    rows = [
        [
            r["variant"],
            with_interval(r["sdr"], r["low"], r["high"], ".2f"),
            number(r["sdri"], ".2f"),
            number(r["published_sdr"], ".2f"),
        ]
        for r in results.to_dict("records")
    ]
    compared = [
        [f"{r['better']} over {r['worse']}", with_interval(r["difference"], r["low"], r["high"], "+.2f"), r["verdict"]]
        for r in pd.read_csv(file.parent / "task9_differences.csv").to_dict("records")
    ]
    return "\n\n".join(
        [
            f"### Notebook 09: DCASE 2024 task 9\n\n{first.nb_mixtures} validation mixtures, {_seeds(first.nb_seeds)}: "
            "SDR in dB with its 95 % interval; published: on the challenge's own list.",
            table(["network", "SDR", "SDRi", "published SDR"], rows),
            table(["compared", "difference in SDR", "verdict"], compared),
        ]
    )


def _captions(file: Path) -> str:
    results = pd.read_csv(file).fillna({"verdict": ""})
    first, phrasings = results.iloc[0], list(dict.fromkeys(results.phrasing))
    rows = []
    for variant, group in results.groupby("variant", sort=False):
        by = group.set_index("phrasing")
        rows.append([variant, *(_gain(by.loc[phrasing]) for phrasing in phrasings)])
    return (
        f"### Notebook 10: caption augmentation\n\n{first.nb_mixtures} mixtures, {_seeds(first.seeds)}: SDR "
        "improvement in dB by the phrasing that asks; in brackets the gain over no added captions with its verdict "
        "(published: 5.70 to 8.61 dB SDR).\n\n" + table(["captions in training", *phrasings], rows)
    )


def _gain(row: pd.Series) -> str:
    return f"{row.improvement:.2f}" + (f" ({row.gain:+.2f}, {row.verdict})" if row.verdict else "")


def _opensep(file: Path) -> str:
    folder = file.parent
    parts = ["### Notebook 11: OpenSep\n\nMixtures of two sounds, mean ± spread over seeds in dB; right: as published."]
    for numbers, what in OPENSEP.items():
        both = pd.concat([pd.read_csv(folder / f"opensep_table{n}.csv", dtype={"row": str}) for n in numbers])
        parts += [f"As in its Table {' and '.join(map(str, numbers))}:", _as_printed(both, what, folder.name)]
    claims = [
        [
            r["claim"],
            f"{r['classes']} classes, {r['metric']}",
            with_interval(r["difference"], r["low"], r["high"], "+.2f"),
            f"**{r['verdict']}**",
        ]
        for r in pd.read_csv(folder / "opensep_claims.csv").to_dict("records")
    ]
    return "\n\n".join([*parts, table(["claim", "where", "difference in dB", "verdict"], claims)])


def _as_printed(rows: pd.DataFrame, what: str, ours: str) -> str:
    """One number a row -> a row a method, our columns first."""
    text = {
        (r["row"], r["where"], r["column"]): f"{r['mean']:.2f}" + (f" ± {r['spread']:.2f}" if r["spread"] > 0 else "")
        for r in rows.to_dict("records")
    }
    wheres = sorted(rows["where"].unique(), key=lambda where: (where != ours, where != "VGGSound"))
    known = {(where, column): None for _, where, column in text}
    columns = [(where, column) for where in wheres for its, column in known if its == where]
    header = [what, *(column if where == ours else f"{where}: {column}" for where, column in columns)]
    return table(header, [[row, *(text.get((row, *c), "") for c in columns)] for row in rows["row"].unique()])


def _seeds(nb: int) -> str:
    return "1 seed" if nb == 1 else f"{nb} seeds"


TABLES = {"task9.csv": _task9, "captions.csv": _captions, "opensep_table1.csv": _opensep}
