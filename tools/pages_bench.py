"""The page of what `make bench` measured, results/bench/README.md."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from nrsed_lib.profile import load_profile
from nrsed_lib.run.budget import consequences
from nrsed_lib.run.measurements import Measured, every, values
from tools.markdown import number, table

TITLES = {
    "ways": "Our ways beside the published ones, by turns in one run",
    "sizes": "The paper's own sizes, with random weights",
    "precision": "The same networks in bfloat16 and in float32",
}


def bench_page(file: Path) -> str:
    """Markdown: all measurements of a file by machine, and what follows for the schedule of `paper`."""
    parts = ["# Speed and memory"]
    for name, measured in every(file).items():
        follows = consequences(values(measured), load_profile("paper")).dropna().rename_axis("what").reset_index()
        parts += [f"## {name}", *groups(measured), "### What follows for profile `paper`", shown(follows)]
    return "\n\n".join(parts) + "\n"


def groups(measured: Measured) -> list[str]:
    """A table a group of keys, a row for what shares all but the last word of its key, which is a column."""
    facts = pd.DataFrame(measured).T.rename_axis("key").reset_index()
    facts[["what", "quantity"]] = facts["key"].str.rsplit(".", n=1, expand=True)
    facts[["group", "what"]] = facts["what"].str.split(".", n=1, expand=True)
    facts["quantity"] += (" / " + facts["unit"]).where(facts["unit"] != "", "")
    parts = []
    for group, of in facts.groupby("group", sort=False):
        cells = of.set_index(["what", "on", "quantity"])["value"]
        wide = pd.DataFrame({q: cells.xs(q, level="quantity") for q in of["quantity"].unique()}).reset_index()
        made = of[["command", "commit", "date", "threads"]].drop_duplicates().itertuples(index=False)
        said = "; ".join(f"`{m.command}` at commit {m.commit} on {m.date}, threads: {m.threads}" for m in made)
        parts += [f"### {TITLES.get(str(group), group)}", f"{said}.", shown(wide)]
    return parts


def shown(frame: pd.DataFrame) -> str:
    """Numbers to three digits."""
    cells = frame.map(lambda x: x if isinstance(x, str) else number(x, ".3g" if abs(x) < 1000 else ",.0f"))
    return table([str(name) for name in frame.columns], cells.to_numpy().tolist())
