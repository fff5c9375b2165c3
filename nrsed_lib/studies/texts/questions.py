"""Questions to a language model whose answers are texts: other captions, the sources in a caption, acoustic knowledge.

"augment/<prompt>": five more captions of a caption, by one of several prompts (caption augmentation, arXiv
2406.11248). "parse": the sources that a caption mentions; "knowledge": one sentence of acoustic properties of a
source (OpenSep, arXiv 2409.19270, sections 3.1 and 3.2, both with five examples shown). Prompts and examples are
data (data/captions). Each question says what its answer has to keep, in words that can be said back to the model.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from nrsed_lib.errors import AnswerError
from nrsed_lib.llm.records import Message, Question, Record, answer_form
from nrsed_lib.studies.texts import rules
from nrsed_lib.studies.texts.sounds import FOLDER, NB_TEXTS, Sound, read

PARSE, KNOWLEDGE = "parse", "knowledge"


@dataclass(frozen=True)
class Task:
    """A kind of question. prompt: with {text}, and {n} where a number is asked for.

    nb_texts: how many are wanted; None for as many as there are. words: the least and most a text may have.
    examples: (input, texts), to be shown before the question.
    """

    name: str
    prompt: str
    form: str
    nb_texts: int | None
    words: tuple[int, int]
    examples: tuple[tuple[str, tuple[str, ...]], ...] = ()


@functools.cache
def tasks() -> dict[str, Task]:
    """Every task by its name: "augment/paraphrase" and the other prompts, "parse", "knowledge"."""
    prompts, shown = read("prompts.yaml"), read("knowledge.yaml")
    form = prompts["format"]
    made = [Task(f"augment/{name}", text, form, NB_TEXTS, (1, 20)) for name, text in prompts["augment"].items()]
    for name, key, nb_texts, words in ((PARSE, "caption", None, (1, 20)), (KNOWLEDGE, "source", 1, (15, 100))):
        examples = tuple((example[key], tuple(example["texts"])) for example in shown["examples"][name])
        made.append(Task(name, shown["prompts"][name], form, nb_texts, words, examples))
    return {task.name: task for task in made}


def task_of(name: str) -> Task:
    """Raises AnswerError for a name that no prompt has."""
    if name not in tasks():
        raise AnswerError(f"no task {name!r} in {FOLDER}: use one of {', '.join(tasks())}")
    return tasks()[name]


def augmentations() -> list[str]:
    """The names of the augmentation prompts, without "augment/"."""
    return [name.removeprefix("augment/") for name in tasks() if name.startswith("augment/")]


class TextAnswer(Record):
    """The texts that answer a task on one input."""

    ANSWER, FILES = "texts", "texts"
    ABOUT = (
        "Texts of a language model, as recorded by `nrsed llm texts`; `model` is the name the endpoint gave in its "
        "reply. Where `fault` is not null no text was accepted in so many attempts, and that is the last fault."
    )
    REMEDY = (
        "record it with `nrsed llm texts`, or, for the texts written by this project, run "
        "`python -m nrsed_lib.studies.texts.authored`"
    )

    task: str
    input: str
    sound: str | None = None  # the class that the input is about; two classes may have one caption
    shots: int
    texts: tuple[str, ...]
    words: tuple[int, int]  # the least and most words a text might have

    @property
    def key(self) -> tuple[str, str | None]:
        return self.prompt, self.sound


@dataclass(frozen=True)
class TextQuestion(Question[TextAnswer]):
    """One task asked of one input text: a caption, or for "knowledge" a source.

    shots: how many of the task's examples are shown before it, as earlier turns of the conversation. sound: the
    class that the caption is of, needed by augmentations; sounds: that and the others it must not be taken for.
    Raises AnswerError when there are not so many examples, or when an augmentation is of no known sound.
    """

    task: Task
    text: str
    shots: int = 0
    sound: str | None = None
    sounds: Mapping[str, Sound] | None = None

    record_type = TextAnswer

    def __post_init__(self) -> None:
        if not 0 <= self.shots <= len(self.task.examples):
            raise AnswerError(
                f"{self.shots} examples are to be shown for {self.task.name!r}, but {FOLDER} has "
                f"{len(self.task.examples)}: ask with at most so many shots"
            )
        if self.task.name.startswith("augment/") and self.sound not in (self.sounds or {}):
            raise AnswerError(f"{self.text!r}: say which sound this caption is of, so that its meaning can be checked")

    def __str__(self) -> str:
        of_sound = f" ({self.sound})" if self.sound else ""
        return f"{self.task.name!r} of {self.text!r}{of_sound} with {self.shots} shots"

    def conversation(self) -> list[Message]:
        """System: the form of the answer. Then the examples, and the question, in the same words."""
        n = self.task.nb_texts
        number = "any number of strings" if n is None else f"{n} string{'s' * (n > 1)}"
        turns: list[Message] = [{"role": "system", "content": self.task.form.format(n=number)}]
        for text, texts in self.task.examples[: self.shots]:
            turns.append(self._asked(text))
            turns.append({"role": "assistant", "content": json.dumps({"texts": texts}, ensure_ascii=False)})
        return [*turns, self._asked(self.text)]

    def _asked(self, text: str) -> Message:
        return {"role": "user", "content": self.task.prompt.format(text=text, n=self.task.nb_texts).strip()}

    @property
    def key(self) -> tuple[str, str | None]:
        """Two classes with one caption have one prompt, but other words."""
        return self.prompt, self.sound

    @property
    def form(self) -> type[BaseModel]:
        return answer_form("texts", self.task.nb_texts or 1, self.task.nb_texts)

    def asked(self) -> dict[str, Any]:
        words = self.task.words
        return {"task": self.task.name, "input": self.text, "sound": self.sound, "shots": self.shots, "words": words}

    def when_recorded(self, record: TextAnswer) -> TextQuestion:
        return replace(self, task=replace(self.task, words=record.words))

    def faults(self, answer: Sequence[str]) -> list[str]:
        """A wrong number of texts, of words, or of meanings, and what is said twice."""
        task, found = self.task, []
        if len(answer) != (task.nb_texts or max(len(answer), 1)):
            found.append(f"there are {len(answer)} texts; write {task.nb_texts or 'at least one'}")
        if any(not rules.normal(text) for text in answer):
            found.append("a text is empty")
        for text in answer:
            found += rules.length_faults(text, *task.words)
            found += self._meaning(text)
        return found + rules.repeated(answer, () if task.name == PARSE else (self.text,))

    def _meaning(self, text: str) -> list[str]:
        if self.task.name == KNOWLEDGE:
            return [] if rules.is_one_sentence(text) else [f"{text!r} is not one sentence; write exactly one"]
        if self.task.name == PARSE:
            alike = rules.share_a_word(text, self.text)
            return [] if alike else [f"{text!r} is not in the caption; name only what it mentions, in its words"]
        assert self.sound is not None and self.sounds is not None
        return rules.meaning_faults(text, self.sounds[self.sound], self.sounds)
