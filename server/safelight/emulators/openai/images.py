"""Pictures of the OpenAI emulator: /v1/images/generations and /v1/images/edits.

Both are synchronous, as the real ones are: there is no job to come back to. A run that was
begun goes on when nobody listens any more, and is billed like any other; so is one whose
answer was lost. A run that fails, or makes what is not allowed, costs nothing.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..asking import MOST_BYTES
from ..canvas import painted
from ..desk import Refusal
from ..faults import Fault
from ..speech import LATE
from ..tape import Tape
from ..telling import Later, Stream, as_json, event
from . import forms, ordered
from .desk import Desk
from .errors import failed, invalid, picture_blocked
from .ordered import HUGE, Order
from .prices import Tokens


class Pictures:
    """The routes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def generate(self, request: Request) -> Response:
        """POST /v1/images/generations."""
        return self._made(request, await self._desk.body(request), "image_generation")

    async def edit(self, request: Request) -> Response:
        """POST /v1/images/edits, a form or JSON."""
        content_type = request.headers.get("content-type", "")
        if not content_type.startswith("multipart/form-data"):
            return self._made(request, await self._desk.body(request), "image_edit")
        self._desk.check(request)
        content = await request.body()
        if len(content) > MOST_BYTES:
            raise invalid("The request is too large.", None, "request_too_large")
        asked = await asyncio.to_thread(forms.read, content_type, content)
        return self._made(request, asked, "image_edit")

    def _made(self, request: Request, asked: Mapping[str, Any], kind: str) -> Response:
        desk = self._desk
        order = ordered.read(asked, is_edit=kind == "image_edit")
        instead = desk.fault_of_create(Refusal(as_json(picture_blocked(), 400)))
        run = PictureRun(desk, order, kind)
        desk.begun(run.id, order.model, request, asked, order.prompt)
        desk.bench.background(run.go())
        fault = desk.fault_of_stream()
        if instead is not None:
            return instead
        if order.stream:
            middle = (order.partials + 1) * order.n // 2
            return Stream(run.lines(), fault=fault, middle=middle)
        return Later(run.answer, fault)


class PictureRun:
    """One run: its events are told to a tape as they come about."""

    def __init__(self, desk: Desk, order: Order, kind: str) -> None:
        self.id = desk.id("img_")
        self._desk = desk
        self._order = order
        self._kind = kind
        self._mishap = desk.fault_of_run()
        huge = desk.bench.faults.strikes("huge")
        self._megabytes = 0.0 if huge is None else huge.seconds(HUGE)
        self._tells_usage = desk.tells_usage()
        self._made: list[str] = []
        self._error: dict[str, object] | None = None
        self._tape: Tape[dict[str, Any]] = Tape()

    async def go(self) -> None:
        """Paint all pictures, tell of each, and settle."""
        bench = self._desk.bench
        await bench.sleep(_late(self._mishap))
        partials = 0
        for number in range(self._order.n):
            canvas = self._order.canvas(number, self._megabytes)
            for index in range(self._order.partials):
                await bench.step()
                share = (index + 1) / (self._order.partials + 1)
                shown = await asyncio.to_thread(painted, canvas, share)
                self._tell("partial_image", shown, partial_image_index=index)
                partials += 1
            await bench.step()
            if self._mishap is not None and self._mishap.name != "late":
                self._fail(self._mishap)
                return
            data = await asyncio.to_thread(painted, canvas)
            self._made.append(_text(data))
            self._tell("completed", data, **self._usage_of(number))
        used = self._order.used(self._order.n, partials)
        self._desk.ended(self.id, "succeeded", self._order.model, used)
        self._tape.end()

    async def lines(self) -> AsyncIterator[bytes]:
        """The run as server-sent events."""
        async for told in self._tape.read():
            yield event(told, told.get("type", "error"))

    async def answer(self) -> Response:
        """The run as one answer, at its end."""
        await self._tape.wait_over()
        if self._error is not None:
            return as_json(self._error, 400 if self._mishap_is("moderated") else 500)
        order = self._order
        told = {
            "created": self._desk.now(),
            "background": order.background,
            "data": [{"b64_json": text} for text in self._made],
            "output_format": order.form,
            "quality": order.quality,
            "size": order.size,
        }
        usage = {"usage": usage_of(order.used(order.n, 0))} if self._tells_usage else {}
        return as_json(told | usage)

    def _fail(self, mishap: Fault) -> None:
        self._error = picture_blocked() if mishap.name == "moderated" else failed()
        self._desk.ended(self.id, "failed", self._order.model, Tokens())
        self._tape.tell(self._error)
        self._tape.end()

    def _mishap_is(self, name: str) -> bool:
        return self._mishap is not None and self._mishap.name == name

    def _tell(self, what: str, data: bytes, **more: object) -> None:
        order = self._order
        self._tape.tell(
            {
                "type": f"{self._kind}.{what}",
                "b64_json": _text(data),
                "created_at": self._desk.now(),
                "size": order.size,
                "quality": order.quality,
                "background": order.background,
                "output_format": order.form,
                **more,
            }
        )

    def _usage_of(self, number: int) -> dict[str, object]:
        """What one picture of a stream used: what went in is told with the first."""
        if not self._tells_usage:
            return {}
        used = self._order.used(1, self._order.partials)
        return {"usage": usage_of(used if number == 0 else Tokens(image_out=used.image_out))}


def usage_of(used: Tokens) -> dict[str, object]:
    """As the Images API tells it."""
    return {
        "input_tokens": used.text_in + used.image_in,
        "input_tokens_details": {"image_tokens": used.image_in, "text_tokens": used.text_in},
        "output_tokens": used.image_out,
        "output_tokens_details": {"image_tokens": used.image_out, "text_tokens": 0},
        "total_tokens": used.text_in + used.image_in + used.image_out,
    }


def _late(mishap: Fault | None) -> float:
    return mishap.seconds(LATE) if mishap is not None and mishap.name == "late" else 0.0


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
