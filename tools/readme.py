"""Puts the committed results into README.md, between its marks, so that no number there is typed by hand."""

from __future__ import annotations

import json
import re

from nrsed_lib.paths import ROOT, results_root
from nrsed_lib.run.report import every_score
from nrsed_lib.store import atomic
from tools.readme_studies import studies

BENCH = ROOT / "results" / "bench"
MEASURED = ("bench", "full_size", "precision")  # what `make bench` leaves there


def write_readme() -> None:
    """Put the committed results between the README's marks; run after new results or a new bench."""
    path = ROOT / "README.md"
    text = path.read_text()
    for name in re.findall(r"<!-- results:(\w+) -->", text):
        if (results_root() / name / "table1.csv").exists():
            text = _between(text, f"results:{name}", _readme_results(name))
    for name in re.findall(r"<!-- studies:(\w+) -->", text):
        text = _between(text, f"studies:{name}", studies(results_root() / name))
    bench = [path.read_text() for path in (BENCH / f"{name}.md" for name in MEASURED) if path.exists()]
    text = _between(text, "bench", "\n".join([_readme_costs(), *bench]))
    with atomic(path) as temporary:
        temporary.write_text(text)


def _between(text: str, mark: str, content: str) -> str:
    return re.sub(
        rf"(<!-- {mark} -->\n).*?(<!-- end -->)", lambda m: m[1] + content.rstrip() + "\n" + m[2], text, flags=re.S
    )


def _readme_results(name: str) -> str:
    folder = results_root() / name
    made = json.loads((folder / "run.json").read_text())
    table = every_score(folder)
    conditions = list(dict.fromkeys(table["condition"]))
    same_data = "list_hash" in table  # as the paper's
    by_cell = table.groupby(["system", "condition"])
    mean, spread = by_cell.mean(numeric_only=True), by_cell.std(numeric_only=True)
    lines = ["| system | " + " | ".join(conditions) + " |", "|---|" + "---|" * len(conditions)]
    for system in dict.fromkeys(table["system"]):
        cells = []
        for condition in conditions:
            row, sd = mean.loc[system, condition], spread.loc[system, condition]
            seeds_differ = f"<br><sub>± {sd.psds1:.3f} / {sd.psds2:.3f}</sub>" if sd.notna().psds1 else ""
            minus = f" ({row.psds1 - row.paper_psds1:+.3f} / {row.psds2 - row.paper_psds2:+.3f})" if same_data else ""
            paper = f"<br><sub>{row.paper_psds1:.3f} / {row.paper_psds2:.3f}{minus}</sub>"
            cells.append(f"{row.psds1:.3f} / {row.psds2:.3f}{seeds_differ}{paper if row.notna().paper_psds1 else ''}")
        lines.append(f"| #{system} | " + " | ".join(cells) + " |")
    seeds, nb_clips = made["seeds"], int(table["nb_clips"].iloc[0])
    run = _main_run(made)
    machine = run["machine"]
    listed = f" (list {table['list_hash'].iloc[0]})" if same_data else ""
    over = "standard deviation over seeds, then " if len(seeds) > 1 else ""
    beside = " (and ours minus these)" if same_data else ", on DESED and WildDESED with far larger networks"
    return (
        f"**Profile `{name}`**: PSDS1 / PSDS2, mean over training seed{'s' if len(seeds) > 1 else ''} "
        f"{', '.join(map(str, seeds))}; {nb_clips} test clips{listed} in each condition; small print: {over}"
        f"the paper's numbers{beside}. Made by `{run['command']}` at commit {run['commit']} on "
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
        "|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _main_run(made: dict) -> dict:
    """Of the commands that made the results, the one that ran most notebooks."""
    return max(made["runs"], key=lambda run: len(run["ran"]))
