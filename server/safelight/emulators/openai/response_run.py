"""One run of the Responses API: its states, its events, and what it used.

Every event is told once, with the response as it was then, and its number is its place on
the tape. A cancelled run tells no last event: its stream just ends, and only whoever asks
again learns why. A cancelled run is billed for what it had said, a failed one for nothing.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from ..canvas import Canvas, painted
from ..speech import Speech
from ..tape import Tape
from ..telling import as_json
from . import said
from .desk import Desk
from .ordered import HUGE, PARTIAL_TOKENS, QUALITIES
from .prices import Tokens, cost
from .said import Said

PAINTER = "gpt-image-2"
"""What paints for the tool `image_generation`, unless the tool names another."""

OUTCOMES = {"completed": "succeeded", "incomplete": "succeeded", "cancelled": "canceled"}
INCOMPLETE = {"length": "max_output_tokens", "filter": "content_filter"}


class ResponseRun:
    """One response. `tape` has its events; `told` is the object as it is now."""

    def __init__(self, desk: Desk, model: str, words: Said, asked: Mapping[str, Any]) -> None:
        self.id = desk.id("resp_")
        self.is_background = bool(asked.get("background"))
        self.streams = bool(asked.get("stream"))
        self.is_stored = asked.get("store") is not False
        self.created_at = desk.now()
        self.tape: Tape[dict[str, Any]] = Tape()
        mishap = desk.fault_of_run(*(["abort-queued"] if self.is_background else []))
        most = said.most_tokens(asked, "max_output_tokens")
        self._desk = desk
        self._asked = asked
        self._model = model
        self._speech = Speech(words.prompt, most=most, mishap=mishap)
        self._stays_queued = mishap is not None and mishap.name == "abort-queued"
        self._tool = Painter.of(asked, words.prompt, desk)
        self._tells_usage = desk.tells_usage()
        self._text_in, self._cached = words.tokens, desk.cached(words.whole, words.tokens)
        self._status = "queued" if self.is_background else "in_progress"
        self._output: list[dict[str, Any]] = []
        self._error: dict[str, Any] | None = None
        self._completed_at: int | None = None
        self._cancelled = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def expected(self) -> int:
        """About how many events there will be."""
        return len(self._speech.pieces) + (9 if self.is_background else 8)

    async def go(self) -> None:
        """Run it to its end."""
        self._tell("response.created", response=self.told())
        if self.is_background:
            self._tell("response.queued", response=self.told())
            await self._desk.bench.sleep(0)
        if self._stays_queued:
            await self._cancelled.wait()
        if not self._cancelled.is_set():
            self._status = "in_progress"
            self._tell("response.in_progress", response=self.told())
            await self._paint()
            await self._speak()
        self._settle()

    async def cancel(self) -> None:
        """Stop it; returns when it has stopped. No change after the end."""
        self._cancelled.set()
        self._speech.cancel()
        await self._ended.wait()

    async def answer(self) -> Response:
        """The whole response, at its end."""
        await self._ended.wait()
        return as_json(self.told())

    def told(self) -> dict[str, Any]:
        """The response object as it is now."""
        asked = self._asked
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": self._status,
            "background": self.is_background,
            "completed_at": self._completed_at,
            "error": self._error,
            "incomplete_details": self._incomplete(),
            "instructions": asked.get("instructions"),
            "max_output_tokens": asked.get("max_output_tokens"),
            "metadata": dict(asked.get("metadata") or {}),
            "model": self._model,
            "output": [dict(item) for item in self._output],
            "parallel_tool_calls": asked.get("parallel_tool_calls", True),
            "previous_response_id": asked.get("previous_response_id"),
            "reasoning": {"effort": None, "summary": None},
            "safety_identifier": asked.get("safety_identifier"),
            "service_tier": "default",
            "store": self.is_stored,
            "temperature": asked.get("temperature", 1.0),
            "text": asked.get("text") or {"format": {"type": "text"}},
            "tool_choice": asked.get("tool_choice", "auto"),
            "tools": asked.get("tools") or [],
            "top_p": asked.get("top_p", 1.0),
            "truncation": asked.get("truncation", "disabled"),
            "user": asked.get("user"),
            **self._usage(),
        }

    async def _paint(self) -> None:
        """The call of the tool, if there is one."""
        if (tool := self._tool) is None:
            return
        place = {"output_index": 0, "item_id": self._desk.id("ig_")}
        call = {"id": place["item_id"], "type": "image_generation_call", "status": "in_progress"}
        self._output.append(call | {"result": None})
        self._tell("response.output_item.added", output_index=0, item=dict(self._output[0]))
        self._tell("response.image_generation_call.in_progress", **place)
        self._tell("response.image_generation_call.generating", **place)
        for index in range(tool.partials):
            await self._desk.bench.step()
            told = {"partial_image_index": index, "partial_image_b64": await tool.partial(index)}
            self._tell("response.image_generation_call.partial_image", **place, **told)
        await self._desk.bench.step()
        self._output[0] |= tool.about() | {"status": "completed", "result": await tool.picture()}
        self._tell("response.image_generation_call.completed", **place)
        self._tell("response.output_item.done", output_index=0, item=dict(self._output[0]))

    async def _speak(self) -> None:
        """The message, piece by piece."""
        index = len(self._output)
        message = {"id": self._desk.id("msg_"), "type": "message", "role": "assistant"}
        self._output.append(message | {"status": "in_progress", "content": []})
        self._tell("response.output_item.added", output_index=index, item=dict(self._output[-1]))
        place = {"item_id": message["id"], "output_index": index, "content_index": 0}
        self._tell("response.content_part.added", **place, part=_part(""))
        self._desk.bench.background(self._speech.say(self._desk.bench))
        async for piece in self._speech.tape.read():
            self._output[-1]["content"] = [_part(self._speech.said)]
            self._tell("response.output_text.delta", **place, delta=piece, logprobs=[])
        status = "completed" if self._speech.why == "stop" else "incomplete"
        self._output[-1] |= {"status": status, "content": [_part(self._speech.said)]}
        if self._speech.why in ("cancel", "error"):
            return
        self._tell("response.output_text.done", **place, text=self._speech.said, logprobs=[])
        self._tell("response.content_part.done", **place, part=_part(self._speech.said))
        self._tell("response.output_item.done", output_index=index, item=dict(self._output[-1]))

    def _settle(self) -> None:
        """Its last state, what it costs, and its last event if it has one."""
        match self._speech.why:
            case _ if self._cancelled.is_set() and not self._is_said():
                self._status = "cancelled"
            case "error":
                self._status = "failed"
                message = "The server had an error processing your request."
                self._error = {"code": "server_error", "message": message}
            case "length" | "filter":
                self._status = "incomplete"
            case _:
                self._status = "completed"
                self._completed_at = self._desk.now()
        self._bill()
        if self._status != "cancelled":
            self._tell(f"response.{self._status}", response=self.told())
        self.tape.end()
        self._ended.set()

    def _is_said(self) -> bool:
        return self._speech.tape.is_over and self._speech.why != "cancel"

    def _bill(self) -> None:
        outcome = OUTCOMES.get(self._status, "failed")
        micros = 0
        if self._has_begun():
            micros = cost(self._model, self._used())
            if self._tool is not None:
                micros += cost(self._tool.model, self._tool.used())
        self._desk.bench.log.ended(self.id, outcome, micros)

    def _has_begun(self) -> bool:
        """Whether it is billed at all: it ran, and did not fail."""
        return self._status != "failed" and len(self.tape) > 2

    def _used(self) -> Tokens:
        return Tokens(text_in=self._text_in, cached=self._cached, text_out=self._speech.used)

    def _usage(self) -> dict[str, Any]:
        if not self._tells_usage or not self._is_over() or not self._has_begun():
            return {"usage": None}
        used = self._used()
        told = {
            "input_tokens": used.text_in,
            "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": 0},
            "output_tokens": used.text_out,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": used.text_in + used.text_out,
        }
        if self._tool is None:
            return {"usage": told}
        searches = {"web_search": {"num_requests": 0}}
        return {"usage": told, "tool_usage": {"image_gen": self._tool.usage(), **searches}}

    def _is_over(self) -> bool:
        return self._status not in ("queued", "in_progress")

    def _incomplete(self) -> dict[str, str] | None:
        if self._status != "incomplete":
            return None
        return {"reason": INCOMPLETE[self._speech.why]}

    def _tell(self, type: str, **what: Any) -> None:
        self.tape.tell({"type": type, "sequence_number": len(self.tape), **what})


class Painter:
    """The tool `image_generation` of one run."""

    def __init__(self, tool: Mapping[str, Any], prompt: str, megabytes: float) -> None:
        self.model = str(tool.get("model") or PAINTER)
        self.partials = min(3, int(tool.get("partial_images") or 0))
        self._quality = tool.get("quality") if tool.get("quality") in QUALITIES else "medium"
        self._canvas = Canvas(text=prompt, at_least=int(megabytes * 1_000_000))
        self._made = 0
        self._shown = 0

    @classmethod
    def of(cls, asked: Mapping[str, Any], prompt: str, desk: Desk) -> Painter | None:
        """The one that a request has, if it has one."""
        for tool in asked.get("tools") or []:
            if isinstance(tool, dict) and tool.get("type") == "image_generation":
                huge = desk.bench.faults.strikes("huge")
                return cls(tool, prompt, 0.0 if huge is None else huge.seconds(HUGE))
        return None

    async def partial(self, index: int) -> str:
        """The picture half done, in base64."""
        self._shown += 1
        share = (index + 1) / (self.partials + 1)
        return base64.b64encode(await asyncio.to_thread(painted, self._canvas, share)).decode()

    async def picture(self) -> str:
        """The picture, in base64."""
        self._made += 1
        return base64.b64encode(await asyncio.to_thread(painted, self._canvas)).decode()

    def about(self) -> dict[str, object]:
        """What is told with a picture."""
        told = {"background": "opaque", "output_format": "png", "quality": self._quality}
        return told | {"size": "1024x1024", "revised_prompt": self._canvas.text}

    def used(self) -> Tokens:
        """What it has come to."""
        each = QUALITIES[str(self._quality)]
        return Tokens(image_out=self._made * each + self._shown * PARTIAL_TOKENS)

    def usage(self) -> dict[str, object]:
        """As the response tells it."""
        made = self.used().image_out
        return {
            "input_tokens": 0,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"image_tokens": made, "text_tokens": 0},
            "total_tokens": made,
        }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
