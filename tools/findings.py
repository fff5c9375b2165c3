"""What was found, in the README: three sentences and a table, told by rule from the committed tables and ledgers.

The rules name what is compared; which way it went, by how much and how surely is read from the tables.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from nrsed_lib.paths import DATA
from nrsed_lib.run.report import every_score
from nrsed_lib.series import PAPER
from nrsed_lib.systems import SYSTEMS, Queries
from tools.markdown import duration, number, table, with_interval

MAIN = "open"  # real recordings, and several trainings
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
    """Markdown: three sentences on `open`, its figure, and the differences behind them on every committed profile."""
    folders = sorted({file.parent for file in results.glob("*/claims.csv")}, reverse=True)
    ledgers = {folder.name: pd.read_csv(folder / "claims.csv") for folder in folders}
    first = ledgers[MAIN].iloc[0]
    rows = []
    for what, *compared in COMPARED:
        found = {name: difference(ledger, *compared) for name, ledger in ledgers.items()}
        shown = [f"{with_interval(one.value, one.low, one.high)}<br>{one.verdict}" for one in found.values()]
        rows.append([what, *shown, number(found[MAIN].paper, "+.3f")])
    counts = [
        f"`{name}` {verdicts(ledger)} ([ledger]({results.name}/{name}/README.md#the-ledger-of-claims))"
        for name, ledger in ledgers.items()
    ]
    parts = [
        f"On `{MAIN}` ({first.nb_clips} test clips, {first.seeds} training seeds), in P1 + P2, the sum of the two "
        "PSDS, with 95 % intervals:",
        "\n".join(f"{i}. {sentence}" for i, sentence in enumerate(sentences(results / MAIN), start=1)),
        NAMES,
        f"![P1 + P2 of every system by condition, profile {MAIN}]({results.name}/{MAIN}/figures/all_systems.png)",
        table(["difference in P1 + P2", *(f"`{name}`" for name in ledgers), "paper"], rows),
        f"Verdicts on all claims: {'; '.join(counts)}.",
    ]
    return "\n\n".join(parts)


def sentences(folder: Path) -> list[str]:
    """Three: separation beside fine-tuning alone, the best system that can be used, and the choice of noise."""
    ledger = pd.read_csv(folder / "claims.csv")
    route, alone, between = (difference(ledger, *c) for c in (("#7", "#1"), ("#7-direct", "#1"), ("#7", "#7-direct")))
    noisy = every_score(folder).query("condition != 'clean'").set_index("system")
    mean = (noisy.psds1 + noisy.psds2).groupby(level=0, sort=False).mean()  # over conditions and seeds
    usable = mean.drop([name for name in mean.index if name in SYSTEMS and SYSTEMS[name].queries == Queries("truth")])
    best, place = usable.idxmax(), int((usable > usable["7"]).sum()) + 1
    choice = difference(ledger, "#7", "#5", "all")
    covers = "includes" if choice.low <= choice.paper <= choice.high else "excludes"
    return [
        "In noise, the paper's whole route (#7: ask, separate, remix, detect) gains "
        f"{with_interval(route.value, route.low, route.high)} over the plain detector (#1), and its fine-tuned "
        f"detector alone, with nothing separated (#7-direct), {with_interval(alone.value, alone.low, alone.high)}; "
        f"that the route gains more: {between.verdict} ({with_interval(between.value, between.low, between.high)}).",
        f"Of the {len(usable)} systems that could be used (true queries, #2, are nobody's to have), the best in noise, "
        f"picked after the fact, is #{best} ({noisy.about[best].iloc[0]}) with {usable[best]:.3f}; #7 is number "
        f"{place} with {usable['7']:.3f}, #1 has {usable['1']:.3f}.",
        "Noise chosen for each clip gains over random noise (#7 over #5, all conditions) "
        f"{with_interval(choice.value, choice.low, choice.high)}: {choice.verdict}, and the interval {covers} the "
        f"paper's {choice.paper:+.3f}; {who_chose(folder.name)}.",
    ]


def difference(ledger: pd.DataFrame, better: str, worse: str, conditions: str = "noise") -> pd.Series:
    """The ledger's row on P1 + P2 of one system over another. Raises KeyError if there is none."""
    rows = ledger[(ledger.better == better) & (ledger.worse == worse) & (ledger.conditions == conditions)]
    rows = rows[rows.statistic == "P1+P2"]
    if rows.empty:
        raise KeyError(f"the ledger compares no P1+P2 of {better} and {worse} in {conditions}")
    return rows.iloc[0]


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
