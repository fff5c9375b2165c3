"""Asking a live model one question after another; each answer is filed as soon as it is settled."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nrsed_lib.errors import LlmError
from nrsed_lib.llm.client import Client
from nrsed_lib.llm.records import Question, R, write_records
from nrsed_lib.profile import Llm


def ask_all(
    questions: Sequence[Question[R]],
    llm: Llm,
    paths: Sequence[Path],
    keep_going: bool = True,
    again: bool = False,
    **options: Any,
) -> list[R]:
    """An answer to every question from the model `llm.model`; each is filed as soon as it is settled.

    paths: files of records; what this model answered in any of them is not asked again, nor, unless `again`, what
    it could not answer; new records go to the last. keep_going: a question that has no usable answer after
    `llm.max_repairs` repairs is filed as such, and the next one asked. options: further fields of each request,
    e.g. temperature=0. Raises LlmError when the endpoint cannot be asked, or, without keep_going, naming the first
    question that has no usable answer.
    """
    if not questions:
        return []
    kind = questions[0].record_type
    there = [kind.read(path) if path.exists() else [] for path in paths]
    filed = {r.key: r for records in there for r in records if r.asked == llm.model}
    last = {(r.asked, r.key): r for r in there[-1]}
    todo = {q.key: q for q in questions if q.key not in filed or (again and filed[q.key].fault)}
    client = Client(llm, **options) if todo else None
    for key, question in tqdm(todo.items(), desc=f"asking {llm.model}", unit="question", mininterval=1.0):
        assert client is not None
        record = ask(client, question)
        if record.fault and not keep_going:
            raise LlmError(
                f"{record.model} gave no usable answer to {question} in {record.attempts} attempts; the last fault: "
                f"{record.fault}. Raise llm.max_repairs or use another llm.model; the other answers are filed"
            )
        filed[key] = last[llm.model, key] = record
        write_records(paths[-1], last.values(), kind.ABOUT)
    return [filed[question.key] for question in questions]


def ask(client: Client, question: Question[R]) -> R:
    """The record of one question, asked and, where the answer has a fault, asked again. Raises LlmError."""
    reply = client.settle(question.conversation(), question.form, question.faults)
    return question.record(
        reply.answer,
        author=None,
        model=reply.model,
        asked=client.llm.model,
        options=client.options,
        attempts=reply.attempts,
        fault=reply.fault,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
