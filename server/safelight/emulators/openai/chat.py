"""Chat completions of the OpenAI emulator, streamed or not: POST /v1/chat/completions.

The form that other people's servers speak as well. A stream ends with `[DONE]`; what was
used comes in a last chunk without choices, only where it was asked for. A run goes on and
is billed to its end when nobody listens any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..speech import Speech
from ..telling import Later, Stream, as_json, event
from . import said
from .desk import Desk
from .errors import failed, invalid, missing, prompt_blocked, unknown
from .prices import Tokens

KNOWN = frozenset(
    "messages model stream stream_options max_tokens max_completion_tokens stop n temperature"
    " top_p seed user safety_identifier metadata store presence_penalty frequency_penalty"
    " logit_bias logprobs top_logprobs response_format service_tier reasoning_effort verbosity"
    " tools tool_choice parallel_tool_calls prompt_cache_key modalities prediction".split()
)
FINISH = {"stop": "stop", "stopped": "stop", "length": "length", "filter": "content_filter"}


class Chat:
    """The route."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def complete(self, request: Request) -> Response:
        """Answer to messages."""
        desk = self._desk
        asked = await desk.body(request)
        _check(asked)
        model = said.text_model(asked)
        words = said.read(asked["messages"], "messages")
        most = said.most_tokens(asked, "max_completion_tokens", "max_tokens")
        instead = desk.fault_of_create(prompt_blocked())
        speech = Speech(words.prompt, most=most, stops=_stops(asked), mishap=desk.fault_of_run())
        used = Tokens(text_in=words.tokens, cached=desk.cached(words.whole, words.tokens))
        run = ChatRun(desk, model, speech, used)
        desk.begun(run.id, model, request, asked, words.prompt)
        desk.bench.background(run.go())
        fault = desk.fault_of_stream()
        if instead is not None:
            return instead
        if asked.get("stream"):
            options = asked.get("stream_options") or {}
            lines = run.lines(bool(options.get("include_usage")))
            return Stream(lines, fault=fault, middle=1 + len(speech.pieces) // 2)
        return Later(run.answer, fault)


class ChatRun:
    """One run."""

    def __init__(self, desk: Desk, model: str, speech: Speech, used: Tokens) -> None:
        self.id = desk.id("chatcmpl-")
        self._desk = desk
        self._model = model
        self._speech = speech
        self._used = used
        self._tells_usage = desk.tells_usage()
        self._at = desk.now()

    async def go(self) -> None:
        """Say it all, and settle."""
        await self._speech.say(self._desk.bench)
        if self._speech.why == "error":
            self._desk.ended(self.id, "failed", self._model, Tokens())
        else:
            self._desk.ended(self.id, "succeeded", self._model, self._tokens())

    async def lines(self, with_usage: bool) -> AsyncIterator[bytes]:
        """The run as it is streamed."""
        empty = {"usage": None} if with_usage else {}
        first = {"role": "assistant", "content": "", "refusal": None}
        yield event(self._chunk(first) | empty)
        async for piece in self._speech.tape.read():
            yield event(self._chunk({"content": piece}) | empty)
        if self._speech.why == "error":
            yield event(failed())
            return
        yield event(self._chunk({}, FINISH[self._speech.why]) | empty)
        if with_usage and self._tells_usage:
            yield event(self._told("chat.completion.chunk", []) | {"usage": self._usage()})
        yield event("[DONE]")

    async def answer(self) -> Response:
        """The run as one answer."""
        await self._speech.tape.wait_over()
        if self._speech.why == "error":
            return as_json(failed(), 500)
        message: dict[str, object] = {
            "role": "assistant",
            "content": self._speech.said,
            "refusal": None,
            "annotations": [],
        }
        finish = FINISH[self._speech.why]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        told = self._told("chat.completion", [choice])
        return as_json(told | ({"usage": self._usage()} if self._tells_usage else {}))

    def _chunk(self, delta: Mapping[str, object], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._told("chat.completion.chunk", [choice])

    def _told(self, kind: str, choices: list[Any]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self._at,
            "model": self._model,
            "service_tier": "default",
            "system_fingerprint": None,
            "choices": choices,
        }

    def _tokens(self) -> Tokens:
        used = self._used
        return Tokens(text_in=used.text_in, cached=used.cached, text_out=self._speech.used)

    def _usage(self) -> dict[str, object]:
        used = self._tokens()
        return {
            "prompt_tokens": used.text_in,
            "completion_tokens": used.text_out,
            "total_tokens": used.text_in + used.text_out,
            "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }


def _check(asked: Mapping[str, Any]) -> None:
    for name in asked:
        if name not in KNOWN:
            raise unknown(name)
    if "messages" not in asked:
        raise missing("messages")
    if asked.get("n") not in (None, 1):
        raise invalid("Only one choice is made here.", "n")
    if asked.get("stream_options") is not None and not asked.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise invalid(message, "stream_options", None)


def _stops(asked: Mapping[str, Any]) -> list[str]:
    given = asked.get("stop")
    return [given] if isinstance(given, str) else [str(each) for each in given or []]
