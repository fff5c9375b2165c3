"""An endpoint that speaks OpenAI's chat completions, asked for one: whole, in time, or an error in one line.

The endpoint and the key come from the environment (OPENAI_BASE_URL, OPENAI_API_KEY). The key goes nowhere but into
the request: it is struck out of whatever the endpoint says before anybody sees it.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from typing import Annotated, Any

import httpx2
import openai
from anyio.from_thread import start_blocking_portal
from pydantic import BaseModel, Field, ValidationError

from nrsed_lib.errors import LlmError, one_line
from nrsed_lib.llm.records import first_fault
from nrsed_lib.profile import Llm

MOST_BYTES = 4 * 2**20  # of a reply; the longest answer that is asked for takes some 20,000
STRUCK = "***"  # for the key
SHORTEST_KEY = 8  # what stands in for a key where none is needed, "none" or "dog", is a word like any other
OPENAI = "https://api.openai.com/v1"
REMEDIES = {
    **dict.fromkeys((301, 302, 303, 307, 308), "name the address that it redirects to in OPENAI_BASE_URL"),
    **dict.fromkeys((401, 403), "check OPENAI_API_KEY"),
    404: "check OPENAI_BASE_URL and llm.model",
    429: "wait, or see to your credit",
}
OTHERWISE = "check OPENAI_BASE_URL, raise llm.timeout_s, or wait"


_trusted = functools.cache(httpx2.create_ssl_context)  # reads all certificates: once is enough


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class Completion(BaseModel):
    """What is read of a completion; all else in it is left alone."""

    model: Annotated[str, Field(max_length=200)] | None = None  # as the endpoint calls it
    choices: list[_Choice]


class _Whole(openai.DefaultAsyncHttpxClient):
    """Lets through what is whole in `limit_s` seconds and, unless it is an error, a completion. All else is as if the
    connection had failed: which the openai client tries again. Redirects are not followed: a key went with them."""

    def __init__(self, limit_s: float, clean: Callable[[str], str]):
        super().__init__(timeout=limit_s, follow_redirects=False, verify=_trusted())
        self.limit_s, self.clean = limit_s, clean

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        body = b""
        try:
            async with asyncio.timeout(self.limit_s):
                came = await super().send(request, **{**how, "stream": True})
                try:
                    async for some in came.aiter_bytes():
                        body += some
                        if len(body) > MOST_BYTES:
                            raise httpx2.DecodingError(f"more than {MOST_BYTES >> 20} MB")
                finally:
                    await came.aclose()
        except TimeoutError:
            raise httpx2.ReadTimeout(f"no whole reply in {self.limit_s:g} s") from None
        body = self.clean(body.decode("latin-1")).encode("latin-1")  # before anything is cut out of it
        status, about = came.status_code, {}
        if came.is_success:
            try:
                about["completion"] = Completion.model_validate_json(body, strict=True)
            except ValidationError as error:
                came_instead = f"{status} {body[:400].decode(errors='replace')}"
                raise httpx2.DecodingError(f"not a chat completion ({first_fault(error)}): {came_instead}") from None
        wait = {name: value for name, value in came.headers.items() if name.startswith("retry-after")}
        return httpx2.Response(status, headers=wait, content=body, request=request, extensions=about)


class Endpoint:
    """Where the model of `llm` is asked. Raises LlmError when the environment has no key, or none that can be sent."""

    def __init__(self, llm: Llm):
        self.llm, self.key = llm, os.environ.get("OPENAI_API_KEY", "")
        self.secret = self.key if len(self.key) >= SHORTEST_KEY else None
        if not self.key:
            raise LlmError(
                "llm.mode is live but OPENAI_API_KEY is not set: export it (and OPENAI_BASE_URL for an endpoint "
                "other than OpenAI's), or use llm.mode=replay, which needs no key"
            )
        for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
            if not all("!" <= character <= "~" for character in os.environ.get(name, "")):
                raise LlmError(f"{name} holds what no key has (a space, a line break, an accent …): export it anew")
        given = os.environ.get("OPENAI_BASE_URL") or OPENAI
        try:
            self.url = httpx2.URL(given)
            good = self.url.scheme in ("http", "https") and 0 <= (self.url.port or 0) < 2**16
        except httpx2.InvalidURL:
            good = False
        if not good or not self.url.host or "%" in self.url.host:
            shown = one_line(given.rpartition("@")[2])  # before it a name and a password
            raise LlmError(f"OPENAI_BASE_URL={shown!r} is no address of an endpoint: write one like {OPENAI}")

    def complete(self, **asked: Any) -> Completion:
        """asked: the fields of the request.

        Time-outs, 408, 409, 429, 5xx, broken connections and what is no completion are tried again `llm.max_retries`
        times, with the back-off of the openai client (exponential, or what Retry-After says); each try has
        `llm.timeout_s` seconds from its beginning to its end. Raises LlmError.
        """
        try:
            with start_blocking_portal() as portal:  # a notebook has a loop of its own; Ctrl-C ends this one
                return portal.call(self._complete, asked)
        except (openai.OpenAIError, httpx2.InvalidURL, ValueError, OSError, ImportError) as error:
            what, status = error.__cause__ or error, getattr(error, "status_code", 0)
            said = f"status {status}: {error.response.text}" if isinstance(error, openai.APIStatusError) else str(what)
            raise LlmError(
                f"{self.url.host} gave no reply from {self.llm.model!r} after at most {self.llm.max_retries} retries: "
                f"{type(what).__name__}: {one_line(self.clean(said), 400)}; "
                f"{REMEDIES.get(status, OTHERWISE)}. The answers so far are filed: run again to resume"
            ) from None  # the chain could carry what an endpoint echoes

    async def _complete(self, asked: dict[str, Any]) -> Completion:
        tries, whole = self.llm.max_retries, _Whole(self.llm.timeout_s, self.clean)
        client = openai.AsyncOpenAI(api_key=self.key, base_url=self.url, max_retries=tries, http_client=whole)
        async with client:
            reply = await client.post("/chat/completions", cast_to=httpx2.Response, body=asked)
        completion: Completion = reply.extensions["completion"]
        return completion

    def clean(self, text: str) -> str:
        """Without the key."""
        return text.replace(self.secret, STRUCK) if self.secret else text
