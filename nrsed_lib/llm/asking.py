"""Asking a live model one question after another; each answer is filed as soon as it is settled."""

from __future__ import annotations

import datetime
import os
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nrsed_lib.errors import AnswerError, LlmError, StoreError, one_line
from nrsed_lib.llm.client import Client
from nrsed_lib.llm.records import Question, R, write_records
from nrsed_lib.profile import Llm
from nrsed_lib.store import one_at_a_time


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
    it could not answer. The last has all answers in the end; while one process asks for it, others wait. keep_going:
    of a question that has no usable answer after `llm.max_repairs` repairs what can be used is filed, or that there
    is nothing, and the next one asked.
    options: further fields of each request, e.g. temperature=0. Raises LlmError when the endpoint cannot be asked, or,
    without keep_going, naming the first question that has no usable answer; AnswerError for a file that cannot be read
    or written.
    """
    if not questions:
        return []
    kind, path, model = questions[0].record_type, paths[-1], llm.model
    asked, record = {question.key: question for question in questions}, None

    def look() -> tuple[dict[Hashable, R], dict[Hashable, R], list[Question[R]]]:
        """What this model answered, by question; what the last file holds, by model too; what is to be asked."""
        there = [kind.read(file) if os.path.exists(file) else [] for file in paths]
        own = [r for records in there for r in records if r.asked == model and r.key in asked]
        filed = {r.key: r for r in sorted(own, key=lambda r: r.fault is None)}  # an answer goes before a fault
        todo = [q for q in asked.values() if q.key not in filed or (again and filed[q.key].fault)]
        return filed, {(r.asked or r.by, r.key): r for r in there[-1]}, todo

    filed, last, todo = look()
    if not todo and all(last.get((model, key)) == record for key, record in filed.items()):
        return [filed[question.key] for question in questions]
    client = Client(llm, **options) if todo else None
    try:
        with one_at_a_time(path.with_name(f".{path.name}.lock"), f"another process files answers in {path}"):
            filed, last, todo = look()  # what that one has asked is not asked again
            elsewhere: dict[Hashable, R] = {(model, key): r for key, r in filed.items() if last.get((model, key)) != r}
            if elsewhere:
                last |= elsewhere
                write_records(path, last.values(), kind.ABOUT)
            for question in tqdm(todo, desc=f"asking {model}", unit="question", mininterval=1.0):
                client = client or Client(llm, **options)
                record = ask(client, question, salvage=keep_going)
                if record.fault and not keep_going:
                    raise LlmError(
                        f"{one_line(record.model or model)} gave no usable answer to {question} in {record.attempts} "
                        f"attempts; the last fault: {one_line(record.fault, 400)}. Raise llm.max_repairs or use "
                        "another llm.model; the other answers are filed"
                    )
                filed[question.key] = last[model, question.key] = record
                write_records(path, last.values(), kind.ABOUT)
    except (OSError, StoreError) as error:
        unfiled = f" and add what it does not hold yet: {record.model_dump_json()}" if record else ""
        raise AnswerError(f"{path} cannot be written ({error}): make room, or name another file{unfiled}") from None
    return [filed[question.key] for question in questions]


def ask(client: Client, question: Question[R], salvage: bool = False) -> R:
    """The record of one question, asked and, where the answer has a fault, asked again. Raises LlmError.

    salvage: of an answer that was never mended file what can be used, if anything can.
    """
    reply = client.settle(question.conversation(), question.form, question.faults)
    answer, beside = reply.answer, dict[str, Any]()
    if reply.fault:
        answer, beside = question.salvage(reply.answer) if salvage else ((), {})
    return question.record(
        answer,
        author=None,
        model=reply.model,
        asked=client.llm.model,
        options=client.options,
        attempts=reply.attempts,
        fault=None if answer else reply.fault,
        **beside,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
