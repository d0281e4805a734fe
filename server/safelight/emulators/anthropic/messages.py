"""Messages of the Anthropic emulator, streamed or not: POST /v1/messages.

There is nothing to come back to: no stream can be taken up again, no message can be asked
for later. A run that was begun goes on when nobody listens any more, and is billed to its
end; one that fails costs nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..faults import Fault
from ..prose import pieces
from ..speech import Speech
from ..telling import Later, Stream, as_json, event
from . import said
from .desk import Desk
from .errors import answer, body
from .prices import Tokens
from .said import Said

REASONS = {
    "stop": "end_turn",
    "stopped": "stop_sequence",
    "length": "max_tokens",
    "filter": "refusal",
}
THOUGHT = "The question is short, so the answer may be as well."
PING_EVERY = 40
"""After how many pieces a ping comes again; the first comes with the first block."""


class Messages:
    """The route."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def create(self, request: Request) -> Response:
        """Answer to messages."""
        desk = self._desk
        asked = await desk.body(request)
        model = said.check(asked)
        words = said.read(asked)
        instead = desk.fault_of_create()
        run = MessageRun(desk, model, words, asked)
        desk.begun(run.id, model, request, asked, words.prompt)
        desk.bench.background(run.go())
        fault = desk.fault_of_stream()
        if instead is not None:
            return instead
        if asked.get("stream"):
            return Stream(run.lines(), fault=fault, middle=run.expected // 2)
        return Later(run.answer, fault)

    async def count(self, request: Request) -> Response:
        """POST /v1/messages/count_tokens: what a request would take; free."""
        asked = await self._desk.body(request)
        said.check(asked, counts_only=True)
        return as_json({"input_tokens": said.read(asked).tokens})


class MessageRun:
    """One run."""

    def __init__(self, desk: Desk, model: str, words: Said, asked: Mapping[str, Any]) -> None:
        self.id = desk.id("msg_")
        self._desk = desk
        self._model = model
        self._mishap = desk.fault_of_run("http-529")
        stops, most = said.stops_of(asked), asked["max_tokens"]
        thinks = (asked.get("thinking") or {}).get("type") in ("enabled", "adaptive")
        self._thought = pieces(THOUGHT) if thinks else []
        self._speech = Speech(words.prompt, most=most, stops=stops, mishap=_known(self._mishap))
        self._taken = desk.cache(words)
        self._tells_usage = desk.tells_usage()

    @property
    def expected(self) -> int:
        """About how many events there will be."""
        return len(self._speech.pieces) + len(self._thought) + 6

    async def go(self) -> None:
        """Say it all, and settle."""
        await self._speech.say(self._desk.bench)
        failed = self._speech.why == "error"
        outcome = "failed" if failed else "succeeded"
        self._desk.ended(self.id, outcome, self._model, Tokens() if failed else self._used())

    async def lines(self) -> AsyncIterator[bytes]:
        """The run as it is streamed."""
        start = self._message([], None, None) | {"usage": self._usage(self._taken, 1)}
        yield _event("message_start", message=start)
        if self._thought:
            for line in self._thinking():
                yield line
        index = 1 if self._thought else 0
        block = {"type": "text", "text": ""}
        yield _event("content_block_start", index=index, content_block=block)
        yield _event("ping")
        number = 0
        async for piece in self._speech.tape.read():
            if number and number % PING_EVERY == 0:
                yield _event("ping")
            number += 1
            delta = {"type": "text_delta", "text": piece}
            yield _event("content_block_delta", index=index, delta=delta)
        if self._speech.why == "error":
            yield event(body(self._error()), "error")
            return
        yield _event("content_block_stop", index=index)
        used = self._used()
        reason = {"stop_reason": self._reason(), "stop_sequence": self._speech.stopped_by}
        yield _event("message_delta", delta=reason, usage=self._usage(used, used.given))
        yield _event("message_stop")

    async def answer(self) -> Response:
        """The run as one answer."""
        await self._speech.tape.wait_over()
        if self._speech.why == "error":
            return answer(self._error())
        content: list[dict[str, Any]] = []
        if self._thought:
            content.append({"type": "thinking", "thinking": THOUGHT, "signature": _signature()})
        content.append({"type": "text", "text": self._speech.said})
        used = self._used()
        message = self._message(content, self._reason(), self._speech.stopped_by)
        return as_json(message | {"usage": self._usage(used, used.given)})

    def _thinking(self) -> list[bytes]:
        block = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in self._thought]
        deltas.append({"type": "signature_delta", "signature": _signature()})
        told = [_event("content_block_delta", index=0, delta=delta) for delta in deltas]
        first = _event("content_block_start", index=0, content_block=block)
        return [first, *told, _event("content_block_stop", index=0)]

    def _message(
        self, content: list[dict[str, Any]], reason: str | None, sequence: str | None
    ) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
        }

    def _reason(self) -> str:
        return REASONS[self._speech.why]

    def _error(self) -> str:
        overloaded = self._mishap is not None and self._mishap.name == "http-529"
        return "overloaded_error" if overloaded else "api_error"

    def _used(self) -> Tokens:
        taken = self._taken
        given = self._speech.used + len(self._thought)
        return Tokens(taken=taken.taken, written=taken.written, found=taken.found, given=given)

    def _usage(self, used: Tokens, given: int) -> dict[str, Any]:
        if not self._tells_usage:
            return {"input_tokens": 0, "output_tokens": 0}
        return {
            "input_tokens": used.taken,
            "cache_creation_input_tokens": used.written,
            "cache_read_input_tokens": used.found,
            "output_tokens": given,
            "service_tier": "standard",
        }


def _event(type: str, **what: object) -> bytes:
    return event({"type": type, **what}, type)


def _signature() -> str:
    return "RW11bGF0ZWQ="


def _known(mishap: Fault | None) -> Fault | None:
    """An overload after the beginning ends the run as a failure does."""
    if mishap is None or mishap.name != "http-529":
        return mishap
    return Fault("fail", mishap.at, mishap.number, mishap.turn)
