"""What a language model is asked, and the records of what was answered: read, written, and replayed within the rules.

An answer is a list of strings: classes of noise, captions, sources. Whoever asks says in a `Question` what is asked
and what an answer has to keep, and in a `Record` what is filed of it; the rest is the same for all.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_serializer, model_validator

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import AnswerError
from nrsed_lib.store import atomic

PROJECT = "nrsed project"  # the author of what was written here

Message = dict[str, str]  # role, content


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
    def _what_was_said(self, dump: Any) -> dict[str, Any]:
        """Nothing that was not said of it; question and answer first."""
        said = {name: value for name, value in dump(self).items() if name in self.model_fields_set}
        return dict(sorted(said.items(), key=lambda field: field[0] in Record.model_fields))

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


def write_records(path: Path, records: Iterable[Record], about: str) -> None:
    """One record a line, atomically: a run that is killed leaves the old file or the new one."""
    lines = ",\n".join("  " + json.dumps(record.model_dump(mode="json"), ensure_ascii=False) for record in records)
    with atomic(path) as temporary:
        temporary.write_text(f'{{"about": {json.dumps(about, ensure_ascii=False)},\n "answers": [\n{lines}\n]}}\n')


@functools.cache
def answer_form(field: str, least: int | None = None, most: int | None = None) -> type[BaseModel]:
    """A schema with one field, a list of strings."""
    strings: Any = (Annotated[list[str], Field(min_length=least, max_length=most)], ...)
    return create_model(field.title(), __config__=ConfigDict(extra="forbid"), **{field: strings})


class Question(ABC, Generic[R]):
    """A question to a language model; `str` of it is how errors call it. record_type: what is filed of it."""

    record_type: type[R]

    @abstractmethod
    def conversation(self) -> list[Message]:
        """What is said to the model, in this order."""

    @abstractmethod
    def faults(self, answer: Sequence[str]) -> list[str]:
        """What is wrong with an answer, in words that can be said to the model; empty when nothing is."""

    @abstractmethod
    def asked(self) -> dict[str, Any]:
        """The fields of a record that say what was asked."""

    @property
    def form(self) -> type[BaseModel]:
        """The schema of a reply: the answer is its one field."""
        return answer_form(self.record_type.ANSWER)

    def when_recorded(self, record: R) -> Question[R]:
        """The same question under the rules that its record was accepted by."""
        return self

    @property
    def prompt(self) -> str:
        """What an answer is filed under: 16 hex digits of the SHA-256 of the conversation."""
        return hashlib.sha256(json.dumps(self.conversation(), ensure_ascii=False).encode()).hexdigest()[:16]

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
