"""Answers written for this project, for running without a key: `python -m nrsed_lib.llm.authored`.

What was judged (`data/answers/judgements.yaml`: noises by place, places and look-alikes by event; for the
paper's 447 noise classes `judgements_paper.csv`, class by class with reasons) is composed into one answer per
label set that can occur, in the form in which a model's answer would be recorded; each says its author, and
none names a model, for none was asked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd
import yaml

from nrsed_lib.data.ontology import Ontology
from nrsed_lib.errors import AnswerError
from nrsed_lib.llm import paper
from nrsed_lib.llm.noise import NoiseAnswer, noise_questions
from nrsed_lib.llm.records import write_records
from nrsed_lib.paths import DATA
from nrsed_lib.profile import Profile, load_profile

JUDGEMENTS = DATA / "answers" / "judgements.yaml"

ABOUT = (
    "Answers written for this project ({author}), not replies of a language model: none was asked. Composed from "
    "{judgements} by `python -m nrsed_lib.llm.authored`. One answer per {sets}; "
    "`prompt` is the hash of the prompt answered."
)


def judgements(profile: str) -> dict[str, Any]:
    """The judgements on a profile's vocabulary: author, date, places, events, never (noises that are targets)."""
    text = yaml.safe_load(JUDGEMENTS.read_text())
    for vocabulary in text["vocabularies"]:
        if profile in vocabulary["profiles"]:
            judged = by_place_and_event(vocabulary) if "table" in vocabulary else {"never": [], **vocabulary}
            return {"author": text["author"], "date": text["date"], **judged}
    raise AnswerError(f"{JUDGEMENTS} has no judgements on the vocabulary of profile {profile!r}; add them")


def judgement_table(name: str = "judgements_paper.csv") -> pd.DataFrame:
    """Judgements class by class: class, reason (str); places, is, sounds_like, by_rule_only (lists of str)."""
    table = pd.read_csv(JUDGEMENTS.with_name(name), dtype=str, keep_default_na=False)
    lists = ["places", "is", "sounds_like", "by_rule_only"]
    table[lists] = table[lists].map(lambda cell: cell.split(" | ") if cell else [])
    return table


def by_place_and_event(vocabulary: dict[str, Any]) -> dict[str, Any]:
    """A vocabulary judged class by class, in the form of those judged by place and event."""
    table = judgement_table(vocabulary["table"])
    heard = table.explode("places").dropna(subset="places")
    alike = table.assign(target=table["sounds_like"] + table["by_rule_only"]).explode("target")
    events = {
        label: {**event, "sounds_like": alike["class"][alike["target"] == label].tolist()}
        for label, event in vocabulary["events"].items()
    }
    places = heard.groupby("places")["class"].agg(list).to_dict()
    never = table["class"][table["is"].str.len() > 0].tolist()
    return {**vocabulary, "places": places, "events": events, "never": never}


def disagreements(table: pd.DataFrame, targets: Collection[str], ontology: Ontology) -> pd.DataFrame:
    """Where ears and the ontology's rule part: class, target, who ("ears" or "rule" alone says similar), reason.

    table: of `judgement_table`. Classes that are a target themselves are left out: they are never chosen.
    """
    rows = [
        (row["class"], target, "rule" if ruled else "ears", row["reason"])
        for row in table[table["is"].str.len() == 0].to_dict("records")
        for target in sorted(targets)
        if (ruled := ontology.similar(row["class"], target)) != (target in row["sounds_like"])
    ]
    return pd.DataFrame(rows, columns=["class", "target", "who", "reason"])


def household(profile: Profile, vocabulary: Collection[str]) -> set[str]:
    """The noise classes judged to be heard in a home, in any of its places; all, where nobody has judged."""
    try:
        places = judgements(profile.name)["places"]
    except AnswerError:
        return set(vocabulary)
    return {noise for noises in places.values() for noise in noises}


def compose(label_set: Collection[str], vocabulary: Collection[str], judged: dict[str, Any]) -> list[str]:
    """The noise classes for a label set, in the order of the vocabulary."""
    events = [judged["events"][label] for label in label_set]
    heard = {n for place in ["everywhere", *(p for e in events for p in e["at"])] for n in judged["places"][place]}
    alike = {n for event in events for n in event["sounds_like"]}
    return [noise for noise in vocabulary if noise in heard - alike - {*judged["never"]}]


def answer_all(profile: Profile) -> list[NoiseAnswer]:
    """An answer for every label set a soundscape can have, or that DESED's training clips have.

    Raises AnswerError when one breaks a rule.
    """
    judged, data = judgements(profile.name), profile.data
    answers = []
    for question in noise_questions(paper.every_label_set(data), data.noise_classes):
        chosen = compose(question.label_set, data.noise_classes, judged)
        if wrong := question.faults(chosen):
            raise AnswerError(f"the judgements break a rule in {question}: {'; '.join(wrong)}; edit {JUDGEMENTS}")
        answers.append(question.record(chosen, author=judged["author"], model=None, asked=None, date=judged["date"]))
    return answers


def about(profile: Profile) -> str:
    """What a file of these answers says of itself."""
    judged, data = judgements(profile.name), profile.data
    files = ["judgements.yaml", *([judged["table"]] if "table" in judged else [])]
    sets = f"set of at most {data.max_events_per_clip} target classes of the profile '{profile.name}'"
    if data.source == "desed":
        sets = "label set of DESED's labelled training clips"
    made_from = " and ".join(f"data/answers/{name}" for name in files)
    return ABOUT.format(author=judged["author"], judgements=made_from, sets=sets)


def main() -> None:
    for name in ("mini", "open", "paper", "smoke"):
        profile = load_profile(name, {"llm.mode": "live"})  # whose answers need not be there yet
        answers, path = answer_all(profile), DATA / "answers" / profile.llm.answers
        write_records(path, answers, about(profile))
        print(f"{path}: {len(answers)} answers")


if __name__ == "__main__":
    main()
