"""The separation studies in README.md: what notebooks 09, 10 and 11 wrote, as short tables."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd


def studies(folder: Path) -> str:
    """Markdown on results/<profile>; "" where no study has run."""
    parts = [table(folder / file) for file, table in TABLES.items() if (folder / file).exists()]
    if not parts:
        return ""
    made = json.loads((folder / "run.json").read_text())
    names = ("09_dcase_task9", "10_caption_augmentation", "11_opensep")
    ran = {name: made["stages"][name] for name in names if name in made["stages"]}
    how = "; ".join(
        f"{name} in {stage['seconds'] / 60:.0f} min at {stage['commit']} on {stage['machine']}"
        for name, stage in ran.items()
    )
    return f"**Profile `{folder.name}`** ({how}):\n\n" + "\n\n".join(parts)


def _task9(file: Path) -> str:
    table = pd.read_csv(file)
    first = table.iloc[0]
    rows = [
        [r["variant"], f"{r['sdr']:.2f} ({r['low']:.2f} … {r['high']:.2f})", f"{r['sdri']:.2f}", published]
        for r in table.to_dict("records")
        for published in ["" if pd.isna(r["published_sdr"]) else f"{r['published_sdr']:.2f}"]
    ]
    return _markdown(
        f"Notebook 09, {first.nb_mixtures} validation mixtures, {_seeds(first.nb_seeds)}: SDR in dB with its 95 % "
        "interval; published: on the challenge's own list.",
        ["network", "SDR", "SDRi", "published SDR"],
        rows,
    )


def _captions(file: Path) -> str:
    table = pd.read_csv(file).fillna({"verdict": ""})
    first, phrasings = table.iloc[0], list(dict.fromkeys(table.phrasing))
    rows = []
    for variant, group in table.groupby("variant", sort=False):
        by = group.set_index("phrasing")
        rows.append([str(variant), *(_gain(by.loc[phrasing]) for phrasing in phrasings)])
    return _markdown(
        f"Notebook 10, {first.nb_mixtures} mixtures, {_seeds(first.seeds)}: SDR improvement in dB by the phrasing that "
        "asks; in brackets the gain over no added captions with its verdict (published: 5.70 to 8.61 dB SDR).",
        ["captions in training", *phrasings],
        rows,
    )


def _gain(row: pd.Series) -> str:
    return f"{row.improvement:.2f}" + (f" ({row.gain:+.2f}, {row.verdict})" if row.verdict else "")


def _opensep(file: Path) -> str:
    folder = file.parent
    rows, columns = [], ["seen SDR", "seen SIR", "unseen SDR", "unseen SIR"]
    tables = pd.concat([pd.read_csv(folder / f"opensep_table{n}.csv") for n in (1, 2)])
    text = {
        (r["row"], r["where"], r["column"]): f"{r['mean']:.2f}" + (f" ± {r['spread']:.2f}" if r["spread"] > 0 else "")
        for r in tables.to_dict("records")
    }
    wheres = [folder.name, "VGGSound"]
    for row in dict.fromkeys(tables["row"]):
        rows.append([row, *(text.get((row, where, column), "") for where in wheres for column in columns)])
    return _markdown(
        "Notebook 11, mixtures of two sounds, mean ± spread over seeds in dB; right: as published on VGGSound.",
        ["method", *columns, *(f"VGGSound: {column}" for column in columns)],
        rows,
    )


def _seeds(nb: int) -> str:
    return "1 seed" if nb == 1 else f"{nb} seeds"


def _markdown(caption: str, header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return caption + "\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


TABLES = {"task9.csv": _task9, "captions.csv": _captions, "opensep_table1.csv": _opensep}
