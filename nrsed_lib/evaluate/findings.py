"""What was found, in six sentences: told by rule from the ledger, so that page and table cannot disagree.

The rules name what is compared; which way it went, by how much and how surely is read from the ledger's rows. What a
profile did not run is left out.
"""

from __future__ import annotations

import pandas as pd

# Of each sentence how it begins, and its parts: what is compared -> better, worse, conditions, all in P1 + P2.
SENTENCES: dict[str, dict[str, tuple[str, str, str]]] = {
    "In noise, over the plain detector (#1)": {
        "the paper's whole route (#7: ask, separate, remix, detect) gains": ("#7", "#1", "noise"),
        "its fine-tuned detector alone, with nothing separated (#7-direct),": ("#7-direct", "#1", "noise"),
        "the route over that detector": ("#7", "#7-direct", "noise"),
    },
    "Noise, or longer training? In noise": {
        "g_θ trained on for as long on clean clips (1-longer) gains over #1": ("#1-longer", "#1", "noise"),
        "fine-tuning in noise (#7-direct) over that": ("#7-direct", "#1-longer", "noise"),
        "the curriculum over none (#7 over #6, all conditions)": ("#7", "#6", "all"),
    },
    "Who chooses the noise? Over all conditions": {
        "the written choice gains over random noise (#7 over #5)": ("#7", "#5", "all"),
        "a small LLM's over random noise": ("#7-smollm2", "#5", "all"),
        "the written choice over the small LLM's": ("#7", "#7-smollm2", "all"),
        "and over a filter that chooses nothing": ("#7", "#7-filter", "all"),
    },
    "What separation could give: in noise": {
        "true queries (#2) gain over the plain detector": ("#2", "#1", "noise"),
        "on clean clips": ("#2", "#1", "clean"),
        "#7 without its false queries gains over #7": ("#7-right", "#7", "noise"),
        "with its missed ones": ("#7-complete", "#7", "noise"),
    },
    "Who asks? In noise": {
        "the fine-tuned detector's queries gain over the plain one's (#7 over #4)": ("#7", "#4", "noise"),
        "a threshold set on validation over 0.5": ("#7-calibrated", "#7", "noise"),
        "an off-the-shelf tagger's over the fine-tuned detector's": ("#7-tagger", "#7", "noise"),
    },
    "The best that could be used (ensemble)": {
        "gains over #1 in noise": ("#ensemble", "#1", "noise"),
        "on clean clips": ("#ensemble", "#1", "clean"),
        "over #7 in noise": ("#ensemble", "#7", "noise"),
        "over half of the way from #7 to true queries": ("#ensemble", "#2 #7", "noise"),
    },
}


TURNED = {  # a verdict -> that on the claim put the other way round; the last is the word of older ledgers
    "holds": "the opposite holds",
    "the opposite holds": "holds",
    "does not hold": "holds",
}


def sentences(ledger: pd.DataFrame) -> list[str]:
    """Markdown, at most six. ledger: of `claims.ledger`. A part says its gain, 95 % interval and verdict, and where the
    paper printed that gain, whether the interval excludes it."""
    found = []
    for begins, parts in SENTENCES.items():
        told = [f"{what} {_told(row)}" for what, of in parts.items() if (row := compared(ledger, *of)) is not None]
        found += [f"{begins}: {'; '.join(told)}."] if told else []
    return found


def compared(ledger: pd.DataFrame, better: str, worse: str, conditions: str) -> pd.Series | None:
    """The ledger's row on P1 + P2 of one system over another, whichever way the claim is put; None without one."""
    for sides, sign in (((better, worse), 1), ((worse, better), -1)):
        of = (ledger.better == sides[0]) & (ledger.worse == sides[1]) & (ledger.conditions == conditions)
        rows = ledger[of & (ledger.statistic == "P1+P2")]
        if len(rows):
            return rows.iloc[0] if sign > 0 else _turned(rows.iloc[0])
    return None


def _turned(row: pd.Series) -> pd.Series:
    """A claim put the other way round."""
    verdict = TURNED.get(row.verdict, row.verdict)
    changed = {"value": -row.value, "low": -row.high, "high": -row.low, "paper": -row.paper, "verdict": verdict}
    return pd.concat([row.drop([*changed]), pd.Series(changed)])


def _told(row: pd.Series) -> str:
    text = f"{row.value:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
    if pd.isna(row.paper):
        return f"{text} ({row.verdict})"
    inside = row.low <= row.paper <= row.high
    return f"{text} ({row.verdict}; the paper's {row.paper:+.3f} is {'inside' if inside else 'outside'})"
