"""What a language model is asked, and the records of what was answered: read, written, and replayed within the rules.

An answer is a list of strings: classes of noise, captions, sources. Whoever asks says in a `Question` what is asked
and what an answer has to keep, and in a `Record` what is filed of it; the rest is the same for all.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_serializer, model_validator

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import AnswerError
from nrsed_lib.store import atomic

PROJECT = "nrsed project"  # the author of what was written here

Message = dict[str, str]  # role, content


def prompt_hash(conversation: Sequence[Message]) -> str:
    """What an answer is filed under: 16 hex digits of the SHA-256 of the conversation."""
    return hashlib.sha256(json.dumps(list(conversation), ensure_ascii=False).encode()).hexdigest()[:16]


class Record(BaseModel):
    """One recorded answer. Either people wrote it (`author`) or a model gave it (`model`), never both.

    A kind of record adds what was asked and the answer, in the field named ANSWER.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ANSWER: ClassVar[str]
    FILES: ClassVar[str]  # how the names of a live run's files begin
    ABOUT: ClassVar[str]  # what such a file says of itself
    REMEDY: ClassVar[str]  # how what is missing gets recorded

    author: str | None  # who wrote it, when people did
    model: str | None  # the name the endpoint itself gave in its reply
    asked: str | None = None  # the name that was asked for (an alias, perhaps)
    options: dict[str, float | int | str] = {}  # temperature and the like, as they were sent
    attempts: int | None = None  # how often a model was asked until this
    fault: str | None = None  # why nothing was accepted
    prompt: str  # hash of the conversation it answers
    date: str

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.author is None) == (self.model is None):
            raise ValueError(f"give author (people) or model, not {self.author!r} and {self.model!r}")
        if bool(self.answer) == bool(self.fault):
            raise ValueError(f"give {self.ANSWER}, or the fault for which there are none")
        return self

    @model_serializer(mode="wrap")
    def _what_was_asked_first(self, dump: Any) -> dict[str, Any]:
        return dict(sorted(dump(self).items(), key=lambda field: field[0] in Record.model_fields))

    @property
    def answer(self) -> tuple[str, ...]:
        return tuple(getattr(self, self.ANSWER))

    @property
    def key(self) -> Hashable:
        """The key of the question that is answered."""
        return self.prompt

    @property
    def by(self) -> str:
        return self.author or self.model or ""

    @classmethod
    def read(cls, path: Path) -> list[Self]:
        """The records of a file, those of a fault too. Raises AnswerError naming file, fault and remedy."""
        if not path.is_file():
            raise AnswerError(f"{path} does not exist: no answers are recorded there; {cls.REMEDY}")
        try:
            return [cls.model_validate(record) for record in json.loads(path.read_text())["answers"]]
        except (json.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
            raise AnswerError(f"{path} is not a file of recorded answers: {error}") from error

    @classmethod
    def live_file(cls, run: Run) -> Path:
        """Where a live run files its answers: beside the tables, so that they outlive changes of the code."""
        return run.tables / f"{cls.FILES}-{re.sub(r'[^A-Za-z0-9._-]+', '-', run.profile.llm.model)}.json"


R = TypeVar("R", bound=Record)


def written(record: Record) -> dict[str, Any]:
    """What is written of a record: nothing that was not said of it."""
    return record.model_dump(mode="json", exclude_unset=True)


def write_records(path: Path, records: Iterable[Record], about: str) -> None:
    """One record a line, atomically: a run that is killed leaves the old file or the new one."""
    lines = ",\n".join("  " + json.dumps(written(record), ensure_ascii=False) for record in records)
    with atomic(path) as temporary:
        temporary.write_text(f'{{"about": {json.dumps(about, ensure_ascii=False)},\n "answers": [\n{lines}\n]}}\n')


class Question(ABC, Generic[R]):
    """A question to a language model; `str` of it is how errors call it.

    record_type: what is filed of it. form: the schema of a reply, with the answer as its one field.
    """

    record_type: type[R]

    @property
    @abstractmethod
    def form(self) -> type[BaseModel]: ...

    @abstractmethod
    def conversation(self) -> list[Message]:
        """What is said to the model, in this order."""

    @abstractmethod
    def faults(self, answer: Sequence[str]) -> list[str]:
        """What is wrong with an answer, in words that can be said to the model; empty when nothing is."""

    @abstractmethod
    def asked(self) -> dict[str, Any]:
        """The fields of a record that say what was asked."""

    def when_recorded(self, record: R) -> Question[R]:
        """The same question under the rules that its record was accepted by."""
        return self

    @property
    def prompt(self) -> str:
        """The hash of the conversation."""
        return prompt_hash(self.conversation())

    @property
    def key(self) -> Hashable:
        """What its answer is found by."""
        return self.prompt

    def record(self, answer: Sequence[str], **origin: Any) -> R:
        """An answer as it is filed. origin: author or model, date, and what else is known of it."""
        return self.record_type(**(self.asked() | {self.record_type.ANSWER: answer} | origin), prompt=self.prompt)


def replay(questions: Sequence[Question[R]], path: Path, records: Sequence[R] | None = None) -> list[R]:
    """The records of exactly these questions, checked again by the rules.

    records: of `path`, where they have been read. Raises AnswerError naming question, file and remedy.
    """
    if records is None:
        records = questions[0].record_type.read(path) if questions else []
    by_key, found = {record.key: record for record in records if record.fault is None}, []
    for question in questions:
        record = by_key.get(question.key)
        if record is None:
            raise AnswerError(
                f"{path} has no answer to {question} (another input, vocabulary or wording, or other examples, make "
                f"another prompt): {question.record_type.REMEDY}"
            )
        if wrong := question.when_recorded(record).faults(record.answer):
            raise AnswerError(f"{path}: the answer to {question} breaks a rule: {'; '.join(wrong)}; correct it")
        found.append(record)
    return found
