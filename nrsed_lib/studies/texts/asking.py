"""Asking a live model for texts, one question after another; each is filed as soon as it is settled."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nrsed_lib.errors import AnswerError
from nrsed_lib.llm.client import Client, Unusable
from nrsed_lib.profile import Data, Llm
from nrsed_lib.studies.texts.answers import TextAnswer, read_texts, write_texts
from nrsed_lib.studies.texts.captions import questions
from nrsed_lib.studies.texts.questions import PARSE, Question, augmentations, task_of
from nrsed_lib.studies.texts.sounds import sounds_of

ABOUT_LIVE = (
    "Texts of a language model, as recorded by `nrsed llm texts`; `model` is the name the endpoint gave in its reply. "
    "Where `fault` is not null no text was accepted in so many attempts, and that is the last fault."
)


def questions_on(
    data: Data,
    names: Sequence[str],
    shots: Sequence[int] = (0,),
    words: tuple[int, int] | None = None,
    inputs: Path | None = None,
) -> list[Question]:
    """The questions of the named tasks on a profile's sounds, each with every one of `shots`.

    names: "augment" stands for all its prompts. words: as in `captions.questions`. inputs: a file of captions to be
    parsed, one a line. Raises AnswerError for an unknown task, too many shots, or "parse" without a file of captions.
    """
    all_prompts = [f"augment/{prompt}" for prompt in augmentations()]
    asked: list[Question] = []
    for name in dict.fromkeys(full for short in names for full in (all_prompts if short == "augment" else [short])):
        for nb_shots in shots:
            if name == PARSE:
                if inputs is None or not inputs.is_file():
                    raise AnswerError(f"{inputs or 'no file'}: name a file of captions to be parsed with --inputs")
                lines = dict.fromkeys(filter(None, map(str.strip, inputs.read_text().splitlines())))
                asked += [Question(task_of(PARSE), line, nb_shots) for line in lines]
            else:
                asked += questions(name, sounds_of(data.classes + data.noise_classes), nb_shots, words)
    return asked


def ask_all(
    questions: Sequence[Question],
    llm: Llm,
    paths: Sequence[Path],
    keep_going: bool = True,
    again: bool = False,
    **options: Any,
) -> list[TextAnswer]:
    """An answer to every question from the model `llm.model`; each is filed as soon as it is settled.

    paths: files of records; what this model answered in any of them is not asked again, nor, unless `again`, what
    it could not answer; new records go to the last. keep_going: a question that has no usable answer after
    `llm.max_repairs` repairs is filed as such, and the next one asked; otherwise Unusable is raised. options:
    further fields of each request, e.g. temperature=0. Raises LlmError when the endpoint cannot be asked.
    """
    records = {path: read_texts(path) if path.exists() else [] for path in paths}
    filed = {a.key: a for answers in records.values() for a in answers if a.asked == llm.model}
    todo = {q.key: q for q in questions if q.key not in filed or (again and filed[q.key].fault)}
    client = Client(llm, **options) if todo else None
    others = [a for a in records[paths[-1]] if a.asked != llm.model]
    mine = {a.key: a for a in records[paths[-1]] if a.asked == llm.model}
    for key, question in tqdm(todo.items(), desc=f"asking {llm.model}", unit="question", mininterval=1.0):
        assert client is not None
        answer = ask(client, question)
        if answer.fault and not keep_going:
            raise Unusable(answer.model or "", f"{answer.fault} (asked {question.text!r})", answer.attempts or 0)
        filed[key] = mine[key] = answer
        write_texts(paths[-1], [*others, *mine.values()], ABOUT_LIVE)
    return [filed[question.key] for question in questions]


def ask(client: Client, question: Question) -> TextAnswer:
    """The record of one question, asked and, where the answer has a fault, asked again. Raises LlmError."""
    texts: tuple[str, ...] = ()
    fault = None
    try:
        settled = client.settle(question.conversation(), question.form, lambda form: question.faults(form.texts))
        texts, model, attempts = tuple(settled.value.texts), settled.model, settled.attempts
    except Unusable as error:
        model, attempts, fault = error.model, error.attempts, error.reason
    return TextAnswer(
        task=question.task.name,
        input=question.text,
        sound=question.sound,
        shots=question.shots,
        texts=texts,
        author=None,
        model=model,
        asked=client.llm.model,
        options=client.options,
        words=question.task.words,
        attempts=attempts,
        fault=fault,
        prompt=question.prompt,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
