"""What was found, in the README: six sentences and a table, told by rule from the committed tables and ledgers.

The sentences are notebook 07's (`nrsed_lib/evaluate/findings.py`). The rules name what is compared; which way it went,
by how much and how surely is read from the ledger.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from nrsed_lib.evaluate.findings import compared, sentences
from nrsed_lib.paths import DATA
from nrsed_lib.series import PAPER
from tools.markdown import duration, number, table, with_interval

MAIN = "open"  # real recordings, and several seeds
NAMES = (
    "#5, #6 and #7 are fine-tuned with random noise, without the curriculum and as the paper does. What it leaves out: "
    "-direct is that fine-tuned detector on the mixture, -remix on the remix, -both the mean of the two."
)
COMPARED = (  # what is told -> better, worse, conditions
    ("the paper's route over the plain detector (#7, #1), in noise", "#7", "#1", "noise"),
    ("fine-tuning alone over the plain detector (#7-direct, #1), in noise", "#7-direct", "#1", "noise"),
    ("the paper's route over fine-tuning alone (#7, #7-direct), in noise", "#7", "#7-direct", "noise"),
    (
        "fine-tuned detector on mixture and remix over the mixture alone (#7-both, #7-direct), in noise",
        "#7-both",
        "#7-direct",
        "noise",
    ),
    ("true queries over the plain detector (#2, #1), in noise", "#2", "#1", "noise"),
    ("chosen noise over random noise (#7, #5)", "#7", "#5", "all"),
    ("curriculum over none (#7, #6)", "#7", "#6", "all"),
)


def refreshed(readme: str, results: Path) -> str:
    """The README with what stands between its marks told anew."""
    for mark, tell in (("findings", findings), ("costs", costs)):
        before, begin, rest = readme.partition(f"<!-- {mark} -->\n")
        readme = before + begin + tell(results) + "\n" + "".join(rest.partition("<!-- end -->")[1:])
    return readme


def findings(results: Path) -> str:
    """Markdown: six sentences on `open`, its figure, and differences behind them on every committed profile."""
    folders = sorted({file.parent for file in results.glob("*/claims.csv")}, reverse=True)
    ledgers = {folder.name: pd.read_csv(folder / "claims.csv") for folder in folders}
    first = ledgers[MAIN].iloc[0]
    rows = []
    for what, *sides in COMPARED:
        found = {name: difference(ledger, *sides) for name, ledger in ledgers.items()}
        shown = [f"{with_interval(one.value, one.low, one.high)}<br>{one.verdict}" for one in found.values()]
        rows.append([what, *shown, number(found[MAIN].paper, "+.3f")])
    counts = [
        f"`{name}` {verdicts(ledger)} ([ledger]({results.name}/{name}/README.md#the-ledger-of-claims))"
        for name, ledger in ledgers.items()
    ]
    told = [*sentences(ledgers[MAIN]), f"Noise of #7 and #5: {who_chose(MAIN)}."]
    parts = [
        f"On `{MAIN}` ({first.nb_clips} test clips, {first.seeds} seeds), in P1 + P2, the sum of the two "
        "PSDS, with 95 % intervals and verdicts:",
        "\n".join(f"{i}. {sentence}" for i, sentence in enumerate(told, start=1)),
        NAMES,
        f"![P1 + P2 of every system by condition, profile {MAIN}]({results.name}/{MAIN}/figures/all_systems.png)",
        table(["difference in P1 + P2", *(f"`{name}`" for name in ledgers), "paper"], rows),
        f"Verdicts on all claims: {'; '.join(counts)}.",
    ]
    return "\n\n".join(parts)


def difference(ledger: pd.DataFrame, better: str, worse: str, conditions: str = "noise") -> pd.Series:
    """The ledger's row on P1 + P2 of one system over another. Raises KeyError if there is none."""
    if (row := compared(ledger, better, worse, conditions)) is None:
        raise KeyError(f"the ledger compares no P1+P2 of {better} and {worse} in {conditions}")
    return row


def verdicts(ledger: pd.DataFrame) -> str:
    """ "holds 15, undecided 10, …" in the ledger's own words."""
    return ", ".join(f"{verdict} {nb}" for verdict, nb in ledger["verdict"].value_counts().items())


def costs(results: Path) -> str:
    """Markdown: of each profile the last command that ran most of the paper's notebooks, as it was measured then."""
    rows = []
    for file in sorted(results.glob("*/run.json")):
        runs = reversed(json.loads(file.read_text())["runs"])
        run = max(runs, key=lambda one: len({name[:2] for name in one["ran"]} & {*PAPER}))
        rows.append(
            [
                f"`{run['command']}`",
                len({name[:2] for name in run["ran"]}),
                duration(run["wall_seconds"]),
                duration(run.get("cpu_seconds")),
                f"{run['peak_mb'] / 1024:.1f} GB",
                f"{run['machine']['cores']} cores of {run['machine']['cpu']}",
            ]
        )
    return table(["measured", "notebooks", "wall clock", "CPU time", "peak memory", "on"], rows)


def who_chose(profile: str) -> str:
    """Whose the recorded choices of noise are that a profile replays."""
    answers = json.loads((DATA / "answers" / f"{profile}.json").read_text())["answers"]
    models = sorted({answer["model"] for answer in answers if answer["model"]})
    return f"it was chosen by {', '.join(models)}" if models else "this project wrote the choices, no LLM was asked"
