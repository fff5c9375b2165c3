"""Answers written by people of this project, for running without a key: `python -m nrsed_lib.llm.authored`.

What people judged (`data/answers/judgements.yaml`: noises by place, places and look-alikes by event) is
composed into one answer per label set that can occur, in the form in which a model's answer would be
recorded; each says its author, and none names a model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations
from typing import Any

import yaml

from nrsed_lib.llm.answers import Answer, AnswerError, faults, write_answers
from nrsed_lib.llm.ontology import load_ontology
from nrsed_lib.llm.prompts import messages, prompt_hash
from nrsed_lib.profile import Profile, load_profile
from nrsed_lib.store import DATA

JUDGEMENTS = DATA / "answers" / "judgements.yaml"

ABOUT = (
    "Answers written by people of this project ({author}), not by a language model: composed from "
    "data/answers/judgements.yaml by `python -m nrsed_lib.llm.authored`. One answer per set of at most "
    "{size} target classes of the profile '{profile}'; `prompt` is the hash of the prompt answered."
)


def judgements(profile: str) -> dict[str, Any]:
    """The judgements on a profile's vocabulary: author, date, places, events."""
    text = yaml.safe_load(JUDGEMENTS.read_text())
    for vocabulary in text["vocabularies"]:
        if profile in vocabulary["profiles"]:
            return {"author": text["author"], "date": text["date"], **vocabulary}
    raise AnswerError(f"{JUDGEMENTS} has no judgements on the vocabulary of profile {profile!r}; add them")


def possible_label_sets(classes: Collection[str], size: int) -> Iterator[tuple[str, ...]]:
    """Every non-empty set of at most `size` classes, small ones first."""
    for k in range(1, size + 1):
        yield from combinations(sorted(classes), k)


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
    return [noise for noise in vocabulary if noise in heard - alike]


def answer_all(profile: Profile) -> list[Answer]:
    """An answer for every label set a soundscape can have. Raises AnswerError when one breaks a rule."""
    judged, ontology, data = judgements(profile.name), load_ontology(), profile.data
    answers = []
    for label_set in possible_label_sets(data.classes, data.max_events_per_clip):
        chosen = compose(label_set, data.noise_classes, judged)
        if wrong := faults(chosen, label_set, data.noise_classes, ontology):
            raise AnswerError(
                f"the judgements on {list(label_set)} break a rule: {'; '.join(wrong)}; edit {JUDGEMENTS}"
            )
        conversation = messages(label_set, data.noise_classes)
        answers.append(
            Answer(
                label_set=list(label_set),
                noise_classes=chosen,
                author=judged["author"],
                model=None,
                prompt=prompt_hash(conversation),
                date=judged["date"],
            )
        )
    return answers


def main() -> None:
    for name in ("mini", "open", "smoke"):
        profile = load_profile(name)
        answers, path = answer_all(profile), DATA / "answers" / profile.llm.answers
        size = profile.data.max_events_per_clip
        write_answers(path, answers, ABOUT.format(author=answers[0].author, size=size, profile=name))
        print(f"{path}: {len(answers)} answers")


if __name__ == "__main__":
    main()
