"""Recorded texts: one record for each question, who gave it, and replaying them within the rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from nrsed_lib.artefacts import Run
from nrsed_lib.errors import AnswerError
from nrsed_lib.llm.answers import check_origin
from nrsed_lib.store import atomic
from nrsed_lib.studies.texts.questions import Question
from nrsed_lib.studies.texts.sounds import FOLDER

RECORDED = FOLDER / "answers"  # project.json, and one file a model
PROJECT = "nrsed project"


class TextAnswer(BaseModel):
    """One recorded answer. Either a person wrote it (`author`) or a model gave it (`model`), never both."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    input: str
    sound: str | None = None  # the class that the input is about; two classes may have one caption
    shots: int
    texts: tuple[str, ...]
    author: str | None  # who wrote it, when people did
    model: str | None  # the name the endpoint itself gave in its reply
    asked: str | None = None  # the name that was asked for (an alias, perhaps)
    options: dict[str, float | int | str] = {}  # temperature and the like, as they were sent
    words: tuple[int, int]  # the least and most words a text might have
    attempts: int | None = None  # how often a model was asked until this
    fault: str | None = None  # why nothing was accepted
    prompt: str  # hash of the conversation it answers
    date: str

    @model_validator(mode="after")
    def _whole(self) -> TextAnswer:
        check_origin(self.author, self.model)
        if bool(self.texts) == bool(self.fault):
            raise ValueError("give texts, or the fault for which there are none")
        return self

    @property
    def key(self) -> tuple[str, str | None]:
        """The key of the question that is answered."""
        return self.prompt, self.sound

    @property
    def by(self) -> str:
        return self.author or self.model or ""


def read_texts(path: Path) -> list[TextAnswer]:
    """The records of a file, those without an accepted text too. Raises AnswerError naming file and fault."""
    if not path.is_file():
        raise AnswerError(
            f"{path} does not exist: no texts are recorded there; record them with `nrsed llm texts`, or, for those "
            "written by this project, run `python -m nrsed_lib.studies.texts.authored`"
        )
    try:
        return [TextAnswer.model_validate(record) for record in json.loads(path.read_text())["answers"]]
    except (json.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise AnswerError(f"{path} is not a file of recorded texts: {error}") from error


def write_texts(path: Path, answers: Iterable[TextAnswer], about: str) -> None:
    """One answer a line, atomically: a run that is killed leaves the old file or the new one."""
    lines = ",\n".join("  " + json.dumps(answer.model_dump(mode="json"), ensure_ascii=False) for answer in answers)
    with atomic(path) as temporary:
        temporary.write_text(f'{{"about": {json.dumps(about, ensure_ascii=False)},\n "answers": [\n{lines}\n]}}\n')


def recorded_files() -> list[Path]:
    """The committed files of texts: this project's own, then those of models."""
    return sorted(RECORDED.glob("*.json"), key=lambda path: (path.stem != "project", path.name))


def live_texts(run: Run) -> Path:
    """Where a live run files its texts: beside the tables, so that they outlive changes of the code."""
    return run.tables / f"texts-{re.sub(r'[^A-Za-z0-9._-]+', '-', run.profile.llm.model)}.json"


def replay_texts(question: Question, path: Path, answers: Sequence[TextAnswer]) -> tuple[str, ...]:
    """The texts recorded for exactly this question, checked again by its rules.

    path: what the answers were read from. Raises AnswerError naming the input and the file.
    """
    return replay_all([question], path, answers)[0]


def replay_all(questions: Sequence[Question], path: Path, answers: Sequence[TextAnswer]) -> list[tuple[str, ...]]:
    """`replay_texts` of each question."""
    by_key = {answer.key: answer for answer in answers if answer.fault is None}
    texts = []
    for question in questions:
        what = f"{question.task.name!r} of {question.text!r}" + (f" ({question.sound})" if question.sound else "")
        answer = by_key.get(question.key)
        if answer is None:
            raise AnswerError(
                f"{path} has no answer to {what} with {question.shots} shots (another wording or other examples make "
                "another prompt): record it with `nrsed llm texts`, or, for the texts written by this project, run "
                "`python -m nrsed_lib.studies.texts.authored`"
            )
        allowed = replace(question, task=replace(question.task, words=answer.words))
        if wrong := allowed.faults(answer.texts):
            raise AnswerError(f"{path}: the answer to {what} breaks a rule: {'; '.join(wrong)}; correct it")
        texts.append(answer.texts)
    return texts


def acceptance(answers: Iterable[TextAnswer]) -> pd.DataFrame:
    """What became of questions to models, one row for each (by, task, shots).

    nb_asked, at_first, after_repair, never: counts of questions.
    """
    rows = [
        {
            "by": answer.by,
            "task": answer.task,
            "shots": answer.shots,
            "nb_asked": 1,
            "at_first": answer.fault is None and (answer.attempts or 1) == 1,
            "after_repair": answer.fault is None and (answer.attempts or 1) > 1,
            "never": answer.fault is not None,
        }
        for answer in answers
        if answer.model
    ]
    columns = ["by", "task", "shots", "nb_asked", "at_first", "after_repair", "never"]
    return (
        pd.DataFrame(rows, columns=columns)
        .groupby(columns[:3], as_index=False, sort=False)
        .sum()
        .astype(dict.fromkeys(columns[3:], int))
    )
