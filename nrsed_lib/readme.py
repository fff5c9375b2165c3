"""Puts the committed results into README.md, between its marks, so that no number there is typed by hand."""

from __future__ import annotations

import json
import re

import pandas as pd

from nrsed_lib.store import ROOT, atomic, results_root


def write_readme() -> None:
    """Put the committed results between the README's marks; run after new results or a new bench."""
    path = ROOT / "README.md"
    text = path.read_text()
    for name in re.findall(r"<!-- results:(\w+) -->", text):
        if (results_root() / name / "table1.csv").exists():
            text = _between(text, f"results:{name}", _readme_results(name))
    bench = ROOT / "results" / "bench" / "bench.md"
    if bench.exists():
        text = _between(text, "bench", _readme_costs() + bench.read_text())
    with atomic(path) as temporary:
        temporary.write_text(text)


def _between(text: str, mark: str, content: str) -> str:
    return re.sub(
        rf"(<!-- {mark} -->\n).*?(<!-- end -->)", lambda m: m[1] + content.rstrip() + "\n" + m[2], text, flags=re.S
    )


def _readme_results(name: str) -> str:
    folder = results_root() / name
    made = json.loads((folder / "run.json").read_text())
    table = pd.read_csv(folder / "table1.csv", dtype={"system": str})
    conditions = list(dict.fromkeys(table["condition"]))
    mean = table.pivot_table(
        index="system", columns="condition", values=["psds1", "psds2", "paper_psds1", "paper_psds2"]
    )
    lines = ["| system | " + " | ".join(conditions) + " |", "|---|" + "---|" * len(conditions)]
    for system in dict.fromkeys(table["system"]):
        cells = []
        for condition in conditions:
            row = mean.loc[system, (slice(None), condition)].droplevel(1)
            paper = (
                f"<br><sub>{row.paper_psds1:.3f} / {row.paper_psds2:.3f}</sub>"
                if "paper_psds1" in row and row.notna().all()
                else ""
            )
            cells.append(f"{row.psds1:.3f} / {row.psds2:.3f}{paper}")
        lines.append(f"| #{system} | " + " | ".join(cells) + " |")
    seeds, nb_clips = made["seeds"], int(table["nb_clips"].iloc[0])
    machine, run = made["machine"], _main_run(made)
    return (
        f"**Profile `{name}`**: PSDS1 / PSDS2, mean over training seed{'s' if len(seeds) > 1 else ''} "
        f"{', '.join(map(str, seeds))}; {nb_clips} test clips in each condition; small print: the paper's numbers, "
        f"on DESED and WildDESED with far larger networks. Made by `{run['command']}` at commit {run['commit']} on "
        f"{machine['cores']} cores of an {machine['cpu']} ([run.json](results/{name}/run.json), "
        f"[intervals and seeds](results/{name}/table1.csv), [ledger of claims](results/{name}/claims.csv)).\n\n"
        + "\n".join(lines)
        + f"\n\n![PSDS of the systems by condition, profile {name}](results/{name}/figures/table1.png)\n"
        + f"![Recall of the queries, profile {name}](results/{name}/figures/recall.png)\n"
    )


def _readme_costs() -> str:
    rows = []
    for file in sorted(results_root().glob("*/run.json")):
        made = json.loads(file.read_text())
        run = _main_run(made)
        wall, stages, peak = run["wall_seconds"] / 60, made["stage_seconds"] / 60, run["peak_mb"] / 1024
        rows.append(
            f"| `{run['command']}` | {len(run['ran'])} of {len(made['stages'])} | {wall:.1f} min | {stages:.1f} min "
            f"| {peak:.1f} GB |"
        )
    return (
        "| command | notebooks it ran | wall clock | all notebooks, one after another | peak memory |\n"
        "|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
    )


def _main_run(made: dict) -> dict:
    """Of the commands that made the results, the one that ran most notebooks."""
    return max(made["runs"], key=lambda run: len(run["ran"]))
