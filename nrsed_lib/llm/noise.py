"""The question that chooses the noise: the paper's prompt (section II-B), word for word, once per label set."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from nrsed_lib.data.ontology import load_ontology
from nrsed_lib.llm.records import Message, Question, Record, answer_form

# Verbatim, but that the label set takes the place of "a1, ..., aK'".
PROMPT = (
    "This is an audio clip recorded in a household environment. "
    "The following events present this clip: {events}. "
    "Please help me select the event classes in Uγ that may occur in the audio clip. "
    "Further, apply filtering to ensure that the selected classes do not have any classes similar to those "
    "already present in the audio clip."
)

# "We first input event classes in Uγ to the LLM": one a line, since names have commas in them.
VOCABULARY = "Uγ, the event classes to select from, one a line:\n{classes}"

# Not in the paper: how to write the answer, for endpoints that do not enforce the JSON schema.
FORMAT = 'Answer with JSON only: {"noise_classes": [...]}, each class spelled exactly as in Uγ.'


Classes = Annotated[list[str], AfterValidator(lambda names: list(dict.fromkeys(names)))]  # named twice: once


class NoiseAnswer(Record):
    """The noise classes that may occur in clips of one label set."""

    ANSWER, FILES = "noise_classes", "answers"
    ABOUT = "Answers of language models, as recorded by a live run; `model` is the name the endpoint gave in its reply."
    REMEDY = (
        "record it with a live run (llm.mode=live and OPENAI_API_KEY), name another file in llm.answers, or, for the "
        "answers written by this project, run `python -m nrsed_lib.llm.authored`"
    )

    label_set: list[str] = Field(min_length=1)
    noise_classes: Classes
    refused: Classes = []  # chosen to the last, though similar to what is present: left out


@functools.cache  # of 207,855 pairs in the label sets of DESED 4,470 are different
def _similar(noise: str, label: str) -> bool:
    return load_ontology().similar(noise, label)


@dataclass(frozen=True)
class NoiseQuestion(Question[NoiseAnswer]):
    """Which classes of `vocabulary` (Uγ) may be heard in clips of `label_set`.

    The label set is written sorted, as DESED spells it with spaces for underscores, so that one set has one prompt.
    Raises ValueError for an empty label set (nothing is known of such a clip).
    """

    label_set: frozenset[str]
    vocabulary: Sequence[str]

    record_type = NoiseAnswer

    def __post_init__(self) -> None:
        if not self.label_set:
            raise ValueError("an empty label set has no prompt; ask only for clips with labels")

    def __str__(self) -> str:
        return f"the prompt for {sorted(self.label_set)} with these {len(self.vocabulary)} noise classes"

    def conversation(self) -> list[Message]:
        events = ", ".join(label.replace("_", " ") for label in sorted(self.label_set))
        return [
            {"role": "system", "content": FORMAT},
            {"role": "user", "content": VOCABULARY.format(classes="\n".join(self.vocabulary))},
            {"role": "user", "content": PROMPT.format(events=events)},
        ]

    def asked(self) -> dict[str, Any]:
        return {"label_set": sorted(self.label_set)}

    @property
    def form(self) -> type[BaseModel]:
        return answer_form(self.record_type.ANSWER, of=tuple(self.vocabulary))

    def similar(self, noise: str) -> list[str]:
        """Of the label set what a class sounds like, by the ontology's rule."""
        return [label for label in sorted(self.label_set) if _similar(noise, label)]

    def allowed(self) -> list[str]:
        """What the rule leaves of the vocabulary: the choice that needs no LLM."""
        return [noise for noise in self.vocabulary if not self.similar(noise)]

    def salvage(self, answer: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Without the classes that the rule refuses, which are named, if that leaves an answer."""
        refused = [noise for noise in answer if noise in self.vocabulary and self.similar(noise)]
        kept = tuple(noise for noise in answer if noise not in refused)
        return ((), {}) if self.faults(kept) else (kept, {"refused": refused})

    def faults(self, answer: Sequence[str]) -> list[str]:
        """No class, a class that Uγ does not have, or one that is similar to what the clip has already."""
        found = [] if answer else ["the list is empty; select at least one class"]
        if unknown := sorted(set(answer) - set(self.vocabulary)):
            found.append(f"{unknown} are not in Uγ; use its classes as they are spelled there")
        for noise in sorted(set(answer) - set(unknown)):
            if like := self.similar(noise):
                found.append(f"{noise!r} is similar to {', '.join(like)}, which the clip already has")
        return found


def noise_questions(sets: Iterable[Collection[str]], vocabulary: Sequence[str]) -> list[NoiseQuestion]:
    """A question for each distinct label set."""
    return [NoiseQuestion(labels, vocabulary) for labels in dict.fromkeys(map(frozenset, sets))]
