"""One request to an LLM: any endpoint that speaks OpenAI's chat completions.

The endpoint and the key come from the environment (OPENAI_BASE_URL, OPENAI_API_KEY). The key goes
nowhere but into the request: it is struck out of whatever the endpoint says before anybody sees it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import openai
from pydantic import ValidationError

from nrsed_lib.llm.answers import Choice
from nrsed_lib.llm.prompts import Message
from nrsed_lib.profile import Llm

SCHEMA = {"name": "choice", "strict": True, "schema": Choice.model_json_schema()}


class LlmError(RuntimeError):
    """The LLM could not be asked, or gave no usable answer; the message says why and what to do."""


@dataclass(frozen=True)
class Reply:
    """What came back: a choice, or the fault for which there is none."""

    model: str  # as the endpoint names it
    text: str  # what it said, word for word
    choice: Choice | None = None
    fault: str | None = None


class Client:
    """Asks the model of a profile's `llm` section.

    Time-outs, 429 and 5xx are tried again `max_retries` times, with the back-off of the openai client
    (exponential, or what Retry-After says). Raises LlmError when the environment has no key.
    """

    def __init__(self, llm: Llm):
        self.llm, self.key = llm, os.environ.get("OPENAI_API_KEY", "")
        if not self.key:
            raise LlmError(
                "llm.mode is live but OPENAI_API_KEY is not set: export it (and OPENAI_BASE_URL for an endpoint "
                "other than OpenAI's), or use llm.mode=replay, which needs no key"
            )
        self._openai = openai.OpenAI(timeout=llm.timeout_s, max_retries=llm.max_retries)

    def ask(self, conversation: Sequence[Message]) -> Reply:
        """One reply, with structured output asked for and checked here.

        `create`, not `parse`: truncated JSON, a refusal and a stray word are then faults of one kind,
        and the text is at hand to be shown back. Raises LlmError when the endpoint cannot be asked.
        """
        try:
            completion = self._openai.chat.completions.create(
                model=self.llm.model,
                messages=cast(Any, list(conversation)),
                response_format=cast(Any, {"type": "json_schema", "json_schema": SCHEMA}),
            )
        except openai.OpenAIError as error:  # `from None`: the chain could carry what an endpoint echoes
            where, what = self._openai.base_url.host, self._clean(f"{type(error).__name__}: {error}")
            raise LlmError(
                f"{where} gave no reply from {self.llm.model!r} after at most {self.llm.max_retries} retries: {what}. "
                "The answers so far are kept: run again to resume"
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
            return Reply(model, text, choice=Choice.model_validate_json(text))
        except ValidationError as error:
            return Reply(model, text, fault=f"it is not the JSON that was asked for ({error.errors()[0]['msg']})")

    def _clean(self, text: str) -> str:
        return text.replace(self.key, "***")
