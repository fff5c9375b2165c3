"""Asking an LLM until it gives an answer that can be used."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from nrsed_lib.errors import LlmError
from nrsed_lib.llm.records import Message, Options, first_fault
from nrsed_lib.profile import Llm

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # all but tabs and line breaks
REPAIR = "This answer cannot be used: {reason}. Please answer the same question again, without this fault."
MOST_QUOTED = 2000  # characters of a faulty answer, and of what is wrong with it: they are sent, paid for and filed


@dataclass(frozen=True)
class Reply:
    """What came back: an answer, and the fault for which it cannot be used."""

    model: str  # as the endpoint names it
    text: str  # what it said, word for word
    answer: tuple[str, ...] = ()
    fault: str | None = None
    attempts: int = 1  # how often it was asked until this


class Client:
    """Asks the model of a profile's `llm` section. options: further fields of every request, e.g. temperature=0.

    Raises LlmError when the environment has no key (see `Endpoint`), or for an option that cannot be sent or filed.
    """

    def __init__(self, llm: Llm, **options: Any):
        from nrsed_lib.llm.endpoint import Endpoint  # takes seconds to load, and who replays needs none

        try:
            TypeAdapter(Options, config={"allow_inf_nan": False}).validate_python(options, strict=True)
        except ValidationError as error:
            raise LlmError(f"--option {first_fault(error)}; give a number or a text") from None
        if ours := sorted({"model", "messages", "response_format", "stream"} & {*options}):
            raise LlmError(f"--option {ours[0]} is not to be chosen: leave it out; llm.model names the model")
        self.llm, self.options, self.endpoint = llm, options, Endpoint(llm)

    def settle(
        self, question: Sequence[Message], form: type[BaseModel], faults: Callable[[Sequence[str]], Sequence[str]]
    ) -> Reply:
        """The first reply without `faults`, or the last one, with its fault.

        After a faulty one the question is put again, with what was wrong, at most `llm.max_repairs` times. Raises
        LlmError as `ask` does.
        """
        conversation = list(question)
        for attempt in range(1, self.llm.max_repairs + 2):
            reply = replace(self.ask(conversation, form), attempts=attempt)
            fault = _quoted(reply.fault or "; ".join(faults(reply.answer)))
            if not fault:
                return reply
            conversation = [
                *question,
                {"role": "assistant", "content": _quoted(reply.text) or "(no answer)"},
                {"role": "user", "content": REPAIR.format(reason=fault)},
            ]
        return replace(reply, fault=fault)

    def ask(self, conversation: Sequence[Message], form: type[BaseModel]) -> Reply:
        """One reply, with structured output of this form (one field, a list of strings) asked for and checked here.

        Truncated JSON, a refusal and a stray word are faults of one kind, and the text is at hand to be shown back.
        Raises LlmError when the endpoint cannot be asked.
        """
        schema = {"name": form.__name__.lower(), "strict": True, "schema": form.model_json_schema()}
        completion = self.endpoint.complete(
            model=self.llm.model,
            messages=list(conversation),
            response_format={"type": "json_schema", "json_schema": schema},
            **self.options,
        )
        clean = self.endpoint.clean
        model = clean(completion.model or self.llm.model)
        if not completion.choices:
            return Reply(model, "", fault="the reply had no choices")
        first = completion.choices[0]
        text, refusal = clean(first.message.content or ""), first.message.refusal
        if refusal or first.finish_reason == "content_filter":
            return Reply(model, text, fault=f"it was refused: {clean(refusal or 'content filter')}")
        if first.finish_reason == "length":
            return Reply(model, text, fault="it was cut off before its end; answer with the JSON alone")
        try:
            [(_, answer)] = form.model_validate_json(text)
            fault = "there is a control character in it, such as NUL" if CONTROL.search("".join(answer)) else None
            return Reply(model, text, tuple(map(clean, answer)), fault)  # cleaned again: \u0073 is an s too
        except ValidationError as error:
            return Reply(model, text, fault=f"it is not the JSON that was asked for ({error.errors()[0]['msg']})")


def _quoted(text: str) -> str:
    """A text, or its beginning and its end."""
    half = MOST_QUOTED // 2 - 20
    return text if len(text) <= MOST_QUOTED else f"{text[:half]} … ({len(text):,} characters) … {text[-half:]}"
