"""An answer: which noise classes for which label set, who gave it, and the rules it has to keep."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nrsed_lib.data.ontology import Ontology
from nrsed_lib.errors import AnswerError
from nrsed_lib.store import atomic


class Choice(BaseModel):
    """What is asked of the LLM: structured output with this schema."""

    model_config = ConfigDict(extra="forbid")

    noise_classes: list[str]


def check_origin(author: str | None, model: str | None) -> None:
    """Raises ValueError unless exactly one of the two is given."""
    if (author is None) == (model is None):
        raise ValueError(f"give author (people) or model, not {author!r} and {model!r}")


class Answer(BaseModel):
    """One recorded answer. Either a person wrote it (`author`) or a model gave it (`model`), never both."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label_set: list[str] = Field(min_length=1)
    noise_classes: list[str] = Field(min_length=1)
    author: str | None  # who wrote it, when people did
    model: str | None  # the name the endpoint itself gave in its reply
    asked: str | None = None  # the name that was asked for (an alias, perhaps)
    prompt: str  # hash of the conversation it answers
    date: str

    @model_validator(mode="after")
    def _one_origin(self) -> Answer:
        check_origin(self.author, self.model)
        return self


def faults(
    noise_classes: Sequence[str], label_set: Collection[str], vocabulary: Collection[str], ontology: Ontology
) -> list[str]:
    """What is wrong with a choice, in words that can be said to the LLM; empty when nothing is."""
    found = []
    if not noise_classes:
        found.append("the list is empty; select at least one class")
    unknown = sorted(set(noise_classes) - set(vocabulary))
    if unknown:
        found.append(f"{unknown} are not in Uγ; use its classes as they are spelled there")
    for noise in sorted(set(noise_classes) - set(unknown)):
        like = [label for label in sorted(label_set) if ontology.similar(noise, label)]
        if like:
            found.append(f"{noise!r} is similar to {', '.join(like)}, which the clip already has")
    return found


def read_answers(path: Path) -> dict[str, Answer]:
    """Recorded answers by prompt hash. Raises AnswerError naming the file and the fault."""
    if not path.is_file():
        raise AnswerError(
            f"{path} does not exist: no answers are recorded for this profile; record them with a live run "
            "(llm.mode=live and OPENAI_API_KEY) or name another file in llm.answers"
        )
    try:
        answers = [Answer.model_validate(record) for record in json.loads(path.read_text())["answers"]]
    except (json.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise AnswerError(f"{path} is not a file of answers: {error}") from error
    return {answer.prompt: answer for answer in answers}


def write_answers(path: Path, answers: Iterable[Answer], about: str) -> None:
    """One answer a line, atomically: a run that is killed leaves the old file or the new one."""
    lines = ",\n".join("  " + json.dumps(a.model_dump(), ensure_ascii=False) for a in answers)
    with atomic(path) as temporary:
        temporary.write_text(f'{{"about": {json.dumps(about, ensure_ascii=False)},\n "answers": [\n{lines}\n]}}\n')
