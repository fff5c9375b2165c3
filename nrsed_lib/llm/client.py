"""Asking an LLM: any endpoint that speaks OpenAI's chat completions, until it gives an answer that can be used.

The endpoint and the key come from the environment (OPENAI_BASE_URL, OPENAI_API_KEY). The key goes
nowhere but into the request: it is struck out of whatever the endpoint says before anybody sees it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from nrsed_lib.errors import LlmError
from nrsed_lib.llm.records import Message
from nrsed_lib.profile import Llm

REPAIR = "This answer cannot be used: {reason}. Please answer the same question again, without this fault."


@dataclass(frozen=True)
class Reply:
    """What came back: an answer, or the fault for which there is none."""

    model: str  # as the endpoint names it
    text: str  # what it said, word for word
    answer: tuple[str, ...] = ()
    fault: str | None = None
    attempts: int = 1  # how often it was asked until this


class Client:
    """Asks the model of a profile's `llm` section. options: further fields of every request, e.g. temperature=0.

    Time-outs, 429 and 5xx are tried again `max_retries` times, with the back-off of the openai client
    (exponential, or what Retry-After says). Raises LlmError when the environment has no key.
    """

    def __init__(self, llm: Llm, **options: Any):
        import openai  # takes a second to load, and who replays needs none

        self.llm, self.options, self.key = llm, options, os.environ.get("OPENAI_API_KEY", "")
        if not self.key:
            raise LlmError(
                "llm.mode is live but OPENAI_API_KEY is not set: export it (and OPENAI_BASE_URL for an endpoint "
                "other than OpenAI's), or use llm.mode=replay, which needs no key"
            )
        self._openai = openai.OpenAI(timeout=llm.timeout_s, max_retries=llm.max_retries)
        self._error = openai.OpenAIError

    def settle(
        self, question: Sequence[Message], form: type[BaseModel], faults: Callable[[Sequence[str]], Sequence[str]]
    ) -> Reply:
        """The first reply without `faults`, or the last one, as a fault without an answer.

        After a faulty one the question is put again, with what was wrong, at most `llm.max_repairs` times. Raises
        LlmError as `ask` does.
        """
        conversation = list(question)
        for attempt in range(1, self.llm.max_repairs + 2):
            reply = replace(self.ask(conversation, form), attempts=attempt)
            fault = reply.fault or "; ".join(faults(reply.answer))
            if not fault:
                return reply
            conversation = [
                *question,
                {"role": "assistant", "content": reply.text or "(no answer)"},
                {"role": "user", "content": REPAIR.format(reason=fault)},
            ]
        return replace(reply, answer=(), fault=fault)

    def ask(self, conversation: Sequence[Message], form: type[BaseModel]) -> Reply:
        """One reply, with structured output of this form (one field, a list of strings) asked for and checked here.

        `create`, not `parse`: truncated JSON, a refusal and a stray word are then faults of one kind,
        and the text is at hand to be shown back. Raises LlmError when the endpoint cannot be asked.
        """
        schema = {"name": form.__name__.lower(), "strict": True, "schema": form.model_json_schema()}
        try:
            completion = self._openai.chat.completions.create(
                model=self.llm.model,
                messages=cast(Any, list(conversation)),
                response_format=cast(Any, {"type": "json_schema", "json_schema": schema}),
                **self.options,
            )
        except self._error as error:  # `from None`: the chain could carry what an endpoint echoes
            where, what = self._openai.base_url.host, self._clean(f"{type(error).__name__}: {error}")
            raise LlmError(
                f"{where} gave no reply from {self.llm.model!r} after at most {self.llm.max_retries} retries: {what}. "
                "The answers so far are filed: run again to resume"
            ) from None
        model = self._clean(completion.model or self.llm.model)
        if not completion.choices:
            return Reply(model, "", fault="the reply had no choices")
        first = completion.choices[0]
        text = self._clean(first.message.content or "")
        if first.message.refusal or first.finish_reason == "content_filter":
            return Reply(model, text, fault=f"it was refused: {self._clean(first.message.refusal or 'content filter')}")
        if first.finish_reason == "length":
            return Reply(model, text, fault="it was cut off before its end; answer with the JSON alone")
        try:
            [(_, answer)] = form.model_validate_json(text)
            return Reply(model, text, tuple(answer))
        except ValidationError as error:
            return Reply(model, text, fault=f"it is not the JSON that was asked for ({error.errors()[0]['msg']})")

    def _clean(self, text: str) -> str:
        return text.replace(self.key, "***")
