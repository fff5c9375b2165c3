"""The pages beside the results, results/<profile>/README.md, made of the committed tables by `nrsed publish`.

No number on them is typed: a test makes each page again and compares.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from nrsed_lib.paths import REFERENCE, ROOT
from nrsed_lib.plots.table import condition_text
from nrsed_lib.run.report import every_score
from nrsed_lib.store import atomic
from tools.findings import refreshed, verdicts
from tools.markdown import code, duration, number, small, table, with_interval
from tools.pages_bench import bench_page
from tools.pages_studies import studies

NOTE = "<!-- made by `nrsed publish` from the tables in this folder; not edited by hand -->\n"
METRICS = {"psds1": "PSDS1 (when)", "psds2": "PSDS2 (which)"}
SHOWN = {  # figures beside the tables, with what they show; all others are linked
    "all_systems": "P1 + P2 of every system by condition, coloured by what it gains over #1",
    "table1": "PSDS of the paper's seven systems by condition, ours and the paper's",
    "recall": "Recall of the queries by condition",
    "claims": "Each claim's difference with its interval, and the paper's value",
}


def write_pages(results: Path = REFERENCE, readme: Path = ROOT / "README.md") -> list[Path]:
    """Make the pages of all committed results again, and the findings in the README; returns the files written."""
    made = pages(results) | {readme: refreshed(readme.read_text(), results)}
    for path, text in made.items():
        with atomic(path) as temporary:
            temporary.write_text(text)
    return list(made)


def pages(results: Path = REFERENCE) -> dict[Path, str]:
    """README.md of each folder of results -> its text."""
    found = {file.parent / "README.md": page(file.parent) for file in sorted(results.glob("*/table1.csv"))}
    bench = results / "bench"
    if (bench / "measurements.json").exists():
        found[bench / "README.md"] = f"{NOTE}\n{bench_page(bench / 'measurements.json')}"
    return found


def page(folder: Path) -> str:
    """Markdown on results/<profile>."""
    made = json.loads((folder / "run.json").read_text())
    parts = [
        f"# Results of profile `{folder.name}`",
        "How they were made is [at the end](#how-this-was-made); what they mean, in "
        "[notebook 07](../../notebooks/07_ablations.ipynb). Intervals are of 95 %, by bootstrap.",
        _scores(folder, made["seeds"]),
        _figure(folder, "table1"),
        _figure(folder, "all_systems"),
        _recall(folder),
        _figure(folder, "recall"),
        _claims(folder, "claims.csv", "The ledger of claims"),
        _figure(folder, "claims"),
        _claims(folder, "language_claims.csv", "Claims on systems #8 to #10"),
        studies(folder),
        _how(made),
        _files(folder),
    ]
    return NOTE + "\n" + "\n\n".join(part for part in parts if part) + "\n"


def _scores(folder: Path, seeds: list[int]) -> str:
    scores = every_score(folder)
    first = scores.iloc[0]
    on_theirs = "list_hash" in scores  # the paper's own clips
    listed = f" (list {first.list_hash})" if on_theirs else ""
    beside = "the paper's number, and ours minus it" if on_theirs else "the paper's number, on other data and networks"
    several = f"standard deviation over seeds {', '.join(map(str, seeds))}; " if len(seeds) > 1 else ""
    ends = "lowest and highest end of the seeds' intervals over clips" if several else "interval over clips"
    text = [
        "## Table I, and the rows it leaves out",
        f"{first.nb_clips} test clips{listed} in each condition; mean over {_count(len(seeds), 'training seed')}. "
        f"Small print: {several}{ends}; {beside}.",
    ]
    text += _of_another_run(folder)
    for metric, about in METRICS.items():
        text += [f"**{about}**", _by_condition(scores, metric, on_theirs)]
    return "\n\n".join(text)


def _of_another_run(folder: Path) -> list[str]:
    """A warning where notebook 12 compared its systems with other scores of #1 to #7 than are shown now."""
    if not (folder / "language.csv").exists():
        return []
    key = ["system", "condition", "seed"]
    now, then = (pd.read_csv(folder / name, dtype={"system": str}) for name in ("table1.csv", "language.csv"))
    both = now.merge(then, on=key, suffixes=("", "_then"))
    if (both["psds1"] == both["psds1_then"]).all():
        return []
    more = ", ".join(f"#{system}" for system in then["system"].unique() if system not in set(now["system"]))
    return [
        f"**{more} are of an earlier run** with other trainings than the rest: compare them, and read the claims on "
        "them, only beside that run's own #1 to #7, in [language.csv](language.csv) and notebook 12."
    ]


def _recall(folder: Path) -> str:
    if not (folder / "recall.csv").exists():
        return ""
    more = folder / "language_recall.csv"
    tables = [pd.read_csv(file, dtype={"system": str}) for file in (folder / "recall.csv", more) if file.exists()]
    rows = pd.concat(tables).drop_duplicates(["system", "condition", "seed"])
    text = "Share of the classes heard in a clip that are asked for, mean over classes (Fig. 2)."
    return f"## Recall of the queries\n\n{text}\n\n{_by_condition(rows, 'recall')}"


def _by_condition(rows: pd.DataFrame, what: str, on_theirs: bool = False) -> str:
    """A row a system, a column a condition: mean over seeds, spread, ends of the intervals, the paper's number."""
    conditions = list(dict.fromkeys(rows["condition"]))
    cells = {key: _cell(seeds, what, on_theirs) for key, seeds in rows.groupby(["system", "condition"])}
    names = rows.drop_duplicates("system").set_index("system")["about"]
    lines = [[f"#{name}", about, *(cells.get((name, c), "") for c in conditions)] for name, about in names.items()]
    return table(["system", "what it is", *map(condition_text, conditions)], lines)


def _cell(seeds: pd.DataFrame, what: str, on_theirs: bool) -> str:
    value, spread = seeds[what].mean(), seeds[what].std()
    ends = f"{seeds[f'{what}_low'].min():.3f} … {seeds[f'{what}_high'].max():.3f}"
    paper = seeds[f"paper_{what}"].iloc[0] if f"paper_{what}" in seeds else float("nan")
    minus = f" ({value - paper:+.3f})" if on_theirs else ""
    return (
        f"{value:.3f}"
        + ("" if pd.isna(spread) else f" <sub>± {spread:.3f}</sub>")
        + small(ends)
        + small("" if pd.isna(paper) else f"paper {paper:.3f}{minus}")
    )


def _claims(folder: Path, file: str, heading: str) -> str:
    if not (folder / file).exists():
        return ""
    claims = pd.read_csv(folder / file)
    first = claims.iloc[0]
    rows = [
        [
            c["claim"],
            c["source"],
            f"{c['better']} over {c['worse']}" if isinstance(c["worse"], str) else c["better"],
            f"{c['conditions']}, {c['statistic']}",
            with_interval(c["value"], c["low"], c["high"]),
            number(c["paper"], "+.3f"),
            f"**{c['verdict']}**",
            c["seeds_for"],
        ]
        for c in claims.to_dict("records")
    ]
    about = (
        f"{len(claims)} claims ({verdicts(claims)}) on {first.nb_clips} clips and "
        f"{_count(first.seeds, 'training seed')}, {first.draws} draws. A difference above zero is as claimed; "
        "seeds: how many of them alone say so."
    )
    header = ["claim", "said in", "compared", "where", "difference", "paper", "verdict", "seeds"]
    return f"## {heading}\n\n{about}\n\n{table(header, rows)}"


def _how(made: dict[str, Any]) -> str:
    runs = [
        [
            code(run["command"]),
            _commit(run),
            ", ".join(dict.fromkeys(name[:2] for name in run["ran"])),
            duration(run["wall_seconds"]),
            duration(run.get("cpu_seconds")),
            f"{run['peak_mb'] / 1024:.1f} GB",
            "{cpu}, {cores} cores, {memory_gb} GB".format(**run["machine"])
            + (f", {run['machine']['gpu']}" if run["machine"]["gpu"] else ""),
            run["finished"][:10],
        ]
        for run in made["runs"]
    ]
    notebooks = [
        [
            name,
            duration(ran["seconds"]),
            duration(ran.get("cpu_seconds")),
            f"{ran['peak_mb'] / 1024:.1f} GB",
            _commit(ran),
            ran["machine"],
        ]
        for name, ran in made["stages"].items()
    ]
    return "\n\n".join(
        [
            "## How this was made",
            "Commands, from [run.json](run.json), and the notebooks that each ran:",
            table(["command", "commit", "notebooks", "wall clock", "CPU time", "peak memory", "machine", "on"], runs),
            f"What stands here now took {duration(made['stage_seconds'])}, one notebook after another:",
            table(["notebook", "time", "CPU time", "peak memory", "commit", "machine"], notebooks),
        ]
    )


def _commit(ran: dict[str, Any]) -> str:
    """The commit, and the trees of its code and inputs where they were written down."""
    trees = ", ".join(f"{folder} {tree[:7]}" for folder, tree in ran.get("trees", {}).items())
    return ran["commit"] + small(trees)


def _files(folder: Path) -> str:
    tables = " · ".join(f"[{file.stem}]({file.name})" for file in sorted(folder.glob("*.csv")))
    figures = " · ".join(f"[{file.stem}](figures/{file.name})" for file in sorted((folder / "figures").glob("*.png")))
    return f"## All tables and figures\n\nTables: {tables}\n\nFigures: {figures}"


def _figure(folder: Path, name: str) -> str:
    there = (folder / "figures" / f"{name}.png").exists()
    return f"![{SHOWN[name]}](figures/{name}.png)" if there else ""


def _count(nb: int, what: str) -> str:
    return f"{nb} {what}{'' if nb == 1 else 's'}"


if __name__ == "__main__":
    for path in write_pages():
        print(f"made again: {path}")
