"""What a language model is asked, and the records of what was answered: read, written, and replayed within the rules.

An answer is a list of strings: classes of noise, captions, sources. Whoever asks says in a `Question` what is asked
and what an answer has to keep, and in a `Record` what is filed of it; the rest is the same for all.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_serializer, model_validator

from nrsed_lib.errors import AnswerError, one_line
from nrsed_lib.paths import kept_root, results_root
from nrsed_lib.store import atomic

PROJECT = "nrsed project"  # the author of what was written here

Message = dict[str, str]  # role, content
Options = dict[Annotated[str, Field(pattern=r"^\w{1,80}$")], bool | int | float | str]


class Record(BaseModel):
    """One recorded answer. Either people wrote it (`author`) or a model gave it (`model`), never both.

    A kind of record adds what was asked and the answer, in the field named ANSWER.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    ANSWER: ClassVar[str]
    FILES: ClassVar[str]  # the folder of a live run's files
    ABOUT: ClassVar[str]  # what such a file says of itself
    REMEDY: ClassVar[str]  # how what is missing gets recorded

    author: str | None  # who wrote it, when people did
    model: str | None  # the name the endpoint itself gave in its reply
    asked: str | None = None  # the name that was asked for (an alias, perhaps)
    options: Options = {}  # temperature and the like, as they were sent
    attempts: Annotated[int, Field(ge=1, le=1000)] | None = None  # how often a model was asked until this
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
        if not os.path.exists(path):  # which takes what can be no name for one that is not there
            raise AnswerError(f"{path} does not exist: no answers are recorded there; {cls.REMEDY}")
        try:
            if not path.is_file():  # a pipe would never end
                raise OSError("a folder, a pipe or a device")
            answers: list[Self] = _file_of(cls).model_validate_json(path.read_bytes(), strict=True).answers
        except (OSError, ValidationError) as error:
            fault = first_fault(error, valued=True) if isinstance(error, ValidationError) else one_line(str(error))
            raise AnswerError(
                f"{path} is not a file of recorded answers ({fault}). It is left as it is: mend it, or move it away "
                "and have its questions answered again"
            ) from None
        keys = [(answer.author, answer.asked or answer.model, answer.key) for answer in answers]
        last = {key: number for number, key in enumerate(keys)}
        for number, key in enumerate(keys):
            if last[key] != number:
                raise AnswerError(f"{path}: answers {number} and {last[key]} are to one question, by one; keep one")
        return answers

    @classmethod
    def live_files(cls, model: str) -> list[Path]:
        """Where to look for what a model has answered, in whatever profile: the files of earlier versions, beside the
        tables of runs, and last the one that answers are filed in. An answer is to a question: no run is in it."""
        before = re.sub(r"[^A-Za-z0-9._-]+", "-", model)
        earlier = sorted(results_root().glob(f"*/{cls.FILES}-{before}.json"))
        return [*earlier, kept_root() / cls.FILES / f"{file_name(model)}.json"]


@functools.cache
def _file_of(kind: type[Record]) -> Any:
    return create_model("File", __config__=ConfigDict(extra="forbid"), about=(str, ""), answers=(list[kind], ...))  # type: ignore[valid-type]


def first_fault(error: ValidationError, valued: bool = False) -> str:
    """Where the first fault is and what, in one line. valued: with the value that was found there."""
    fault = error.errors(include_url=False)[0]
    said = ": ".join([".".join(map(str, fault["loc"])), fault["msg"]]).removeprefix(": ")
    if valued and fault["type"] not in ("missing", "json_invalid"):  # where it would be all there is
        said += f", not {one_line(repr(fault['input']))}"
    return one_line(said, 240)


def file_name(model: str) -> str:
    """A name for a model's file that no other model has, also where capitals are not told apart ("@" is in no name
    that is taken as it is)."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", model.lower()).strip("-.")[:80]
    if plain and plain == model:
        return model
    return f"{plain}@{hashlib.sha256(model.encode(errors='replace')).hexdigest()[:8]}"


R = TypeVar("R", bound=Record)


def write_records(path: Path, records: Iterable[Record], about: str) -> None:
    """One record a line, atomically: a run that is killed leaves the old file or the new one."""
    lines = ",\n".join("  " + json.dumps(record.model_dump(mode="json"), ensure_ascii=False) for record in records)
    with atomic(path) as temporary:
        about = json.dumps(about, ensure_ascii=False)
        temporary.write_text(f'{{"about": {about},\n "answers": [\n{lines}\n]}}\n', encoding="utf-8")


@functools.cache
def answer_form(
    field: str, least: int | None = None, most: int | None = None, of: tuple[str, ...] = ()
) -> type[BaseModel]:
    """A schema with one field, a list of strings.

    of: what these may be, for whoever decodes by the schema: it can say nothing else, nor go on for ever. An answer
    that is none of it is left to the rules, whose words say what is wrong.
    """
    said: Any = {"items": {"type": "string", "enum": [*of]}, "minItems": 1, "maxItems": len(of)} if of else None
    strings: Any = (Annotated[list[str], Field(min_length=least, max_length=most, json_schema_extra=said)], ...)
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

    def salvage(self, answer: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
        """What can be used of an answer that was never mended, and fields of the record that say what was left out."""
        return (), {}

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
