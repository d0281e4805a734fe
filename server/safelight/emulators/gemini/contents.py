"""Content of the Gemini emulator: generateContent, streamGenerateContent, countTokens.

There is nothing to come back to. A run that was begun goes on when nobody listens any
more, and is billed to its end; one that fails with an error costs nothing, one that was
blocked what it had read and said. Every chunk of a stream is a whole response.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..canvas import MEGABYTE, Canvas, painted
from ..speech import Speech
from ..tape import Tape
from ..telling import Later, Stream, as_json, event
from . import said
from .desk import Desk
from .errors import answer, body, refused
from .models import MODELS
from .prices import Tokens
from .said import Said

PIECES = 6
"""How many pieces of text come in one chunk."""

CAPTION = 12
"""At most so many tokens are said about a picture."""

THOUGHTS = 24
"""How many tokens a model thinks that thinks; they are not shown."""

HUGE = 3.0
REASONS = {"stop": "STOP", "stopped": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY"}
METHODS = ("generateContent", "streamGenerateContent", "countTokens")


class Contents:
    """The routes: the method stands behind the model's name."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def call(self, request: Request) -> Response:
        """POST /v1beta/models/{model}:{method}."""
        desk = self._desk
        asked = await desk.body(request)
        name, _, method = request.path_params["call"].rpartition(":")
        if name not in MODELS or method not in METHODS:
            version = request.url.path.split("/")[1]
            message = f"models/{name} is not found for API version {version}, or is not supported"
            raise refused(404, f"{message} for {method}. Call ListModels to see what is.")
        if method == "countTokens":
            return _counted(asked, name)
        words = said.read(asked, MODELS[name])
        instead = desk.fault_of_create()
        run = ContentRun(desk, name, words)
        desk.begun(run.id, name, request, words.prompt)
        desk.bench.background(run.go())
        fault = desk.fault_of_stream()
        if instead is not None:
            return instead
        if method == "generateContent":
            return Later(run.answer, fault)
        if request.query_params.get("alt") != "sse":
            return Later(run.chunks, fault)
        return Stream(run.lines(), fault=fault, middle=run.expected // 2)


class ContentRun:
    """One run. Its tape has the chunks, each with its parts and what was used by then."""

    def __init__(self, desk: Desk, model: str, words: Said) -> None:
        self.id = desk.id()
        self._desk = desk
        self._model = model
        self._said = words
        self._mishap = desk.fault_of_run()
        huge = desk.bench.faults.strikes("huge")
        self._megabytes = 0.0 if huge is None else huge.seconds(HUGE)
        self._tells_usage = desk.tells_usage()
        self._cached = desk.cached(words.whole, words.words)
        self._painted = 0
        most = min(words.most or CAPTION, CAPTION) if words.paints else words.most
        self._speech = Speech(words.prompt, most=most, stops=words.stops, mishap=self._mishap)
        self._tape: Tape[dict[str, Any]] = Tape()

    @property
    def expected(self) -> int:
        """About how many chunks there will be."""
        return -(-len(self._speech.pieces) // PIECES) + (2 if self._said.paints else 1)

    async def go(self) -> None:
        """Say and paint it all, and settle."""
        if self._mishap is not None and self._mishap.at == "create":
            self._settle(self._blocked(), "failed", self._used())
            return
        await self._speak()
        why = self._speech.why
        if why == "error":
            self._settle(body(500), "failed", Tokens())
            return
        if self._said.paints and why != "filter":
            await self._paint()
            why = "stop"
        reason = "IMAGE_SAFETY" if self._said.paints and why == "filter" else REASONS[why]
        self._settle(self._chunk([], reason), "succeeded", self._used())

    async def lines(self) -> AsyncIterator[bytes]:
        """The run as server-sent events."""
        async for chunk in self._tape.read():
            yield event(chunk)

    async def chunks(self) -> Response:
        """The run as one list, for whoever does not ask for events."""
        return as_json([chunk async for chunk in self._tape.read()])

    async def answer(self) -> Response:
        """The run as one response: all parts, and the last word."""
        chunks = [chunk async for chunk in self._tape.read()]
        last = chunks[-1]
        if "error" in last:
            return answer(500)
        if "candidates" not in last:
            return as_json(last)
        parts: list[dict[str, Any]] = []
        for chunk in chunks:
            for part in chunk["candidates"][0]["content"].get("parts", []):
                if "text" in part and parts and "text" in parts[-1]:
                    parts[-1] = {"text": parts[-1]["text"] + part["text"]}
                else:
                    parts.append(part)
        last["candidates"][0]["content"]["parts"] = parts
        return as_json(last)

    async def _speak(self) -> None:
        self._desk.bench.background(self._speech.say(self._desk.bench))
        waiting: list[str] = []
        async for piece in self._speech.tape.read():
            waiting.append(piece)
            if len(waiting) == PIECES:
                self._tape.tell(self._chunk([{"text": "".join(waiting)}]))
                waiting = []
        if waiting:
            self._tape.tell(self._chunk([{"text": "".join(waiting)}]))

    async def _paint(self) -> None:
        await self._desk.bench.step(4)
        canvas = Canvas(
            text=self._said.prompt,
            width=self._said.width,
            height=self._said.height,
            sources=self._said.pictures,
            at_least=int(self._megabytes * MEGABYTE),
        )
        data = base64.b64encode(await asyncio.to_thread(painted, canvas)).decode()
        self._painted = 1
        self._tape.tell(self._chunk([{"inlineData": {"mimeType": "image/png", "data": data}}]))

    def _settle(self, last: dict[str, Any], outcome: str, used: Tokens) -> None:
        self._desk.ended(self.id, outcome, self._model, used)
        self._tape.tell(last)
        self._tape.end()

    def _chunk(self, parts: list[dict[str, Any]], reason: str | None = None) -> dict[str, Any]:
        """A last one has a reason, and no parts."""
        content: dict[str, Any] = {"role": "model"}
        candidate: dict[str, Any] = {"content": content, "index": 0}
        if parts:
            content["parts"] = parts
        if reason is not None:
            candidate["finishReason"] = reason
        return {"candidates": [candidate]} | self._about()

    def _blocked(self) -> dict[str, Any]:
        """What is answered to a prompt that is not allowed: no candidate at all."""
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}} | self._about()

    def _about(self) -> dict[str, Any]:
        usage = {"usageMetadata": _usage(self._used())} if self._tells_usage else {}
        return usage | {"modelVersion": self._model, "responseId": self.id}

    def _used(self) -> Tokens:
        """So far."""
        model = MODELS[self._model]
        return Tokens(
            taken=self._said.tokens,
            seen=self._said.seen,
            cached=self._cached,
            given=self._speech.used,
            thought=THOUGHTS if model.thinks and self._speech.used else 0,
            pictures=self._painted * model.picture,
        )


def _usage(used: Tokens) -> dict[str, Any]:
    """As a response tells it; what is 0 is left out, as the real one leaves it out."""
    given = used.given + used.pictures
    told: dict[str, Any] = {"promptTokenCount": used.taken}
    if given:
        told["candidatesTokenCount"] = given
    told["totalTokenCount"] = used.taken + given + used.thought
    if used.cached:
        told["cachedContentTokenCount"] = used.cached
    told["promptTokensDetails"] = _by_kind(used.taken - used.seen, used.seen)
    if used.pictures:
        told["candidatesTokensDetails"] = _by_kind(0, used.pictures)
    if used.thought:
        told["thoughtsTokenCount"] = used.thought
    return told


def _by_kind(words: int, pictures: int) -> list[dict[str, Any]]:
    kinds = (("TEXT", words), ("IMAGE", pictures))
    return [{"modality": kind, "tokenCount": count} for kind, count in kinds if count]


def _counted(asked: dict[str, Any], name: str) -> Response:
    whole = asked.get("generateContentRequest") or asked
    words = said.read({k: v for k, v in whole.items() if k != "model"}, MODELS[name])
    details = _by_kind(words.words, words.seen)
    return as_json({"totalTokens": words.tokens, "promptTokensDetails": details})
