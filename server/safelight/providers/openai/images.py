"""Pictures: one request, answered once, with partial pictures while it is made.

One picture is asked for as a stream, so that previews come; of several, all come at the end,
with one count of what they used. A server that refuses to stream is asked without, which it
has not begun then. Decides nothing about what a lost answer means for the task.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
from openai import AsyncStream

from ..base import Done, Found, Made, Moved, Never, Outcome, Prediction, Report, Shown
from ..streams import MARK, Call
from . import refusals, usage
from .answers import Broken, Events, at, body_of, is_stream, plain, text_at
from .client import TROUBLE, Line
from .params import Options

PREVIEWS = 2
"""Partial pictures that are asked for unless the request says; each costs some tokens."""

Send = Callable[..., Awaitable[Any]]


class Pictures(msgspec.Struct, frozen=True):
    """A request that is ready to be sent; `files` are what it starts from."""

    model: str
    body: dict[str, Any]
    more: dict[str, Any]
    previews: int
    files: tuple[tuple[str, bytes, str], ...]
    mark: str


async def pictures(prediction: Prediction, model: str, options: Options, mark: str) -> Pictures:
    """Make it ready. Raises FileNotFoundError for an input that is there no more."""
    body = dict(options.body)
    previews = body.pop("partial_images", PREVIEWS) if prediction.n == 1 else 0
    body |= {"model": model, "prompt": prediction.prompt, "n": prediction.n}
    if not prediction.inputs:
        body.pop("input_fidelity", None)
    files = []
    for place, given in enumerate(prediction.inputs):
        data = await anyio.Path(given.path).read_bytes()
        ending = given.media_type.partition("/")[2]
        files.append((f"input-{place}.{ending}", data, given.media_type))
    return Pictures(model, body, options.more, previews, tuple(files), mark)


class Painting:
    """One request for pictures, sent and heard out."""

    def __init__(self, line: Line, call: Call[Any], request: Pictures, report: Report) -> None:
        self._line = line
        self._call = call
        self._request = request
        self._report = report
        self._made = 0

    async def run(self) -> Outcome:
        """Until all are there; exactly one outcome."""
        try:
            stream, answer = await self._sent()
        except TROUBLE as trouble:
            return refusals.of_create(trouble, self._line.name, self._request.model)
        if stream is None:
            return await self._whole(plain(answer))
        try:
            return await self._streamed(stream)
        except Broken as broken:
            if broken.told is not None:
                return refusals.of_failure(broken.told, self._line.name)
            return self._line.lost("its stream broke")
        finally:
            with anyio.CancelScope(shield=True):
                await stream.close()

    async def _sent(self) -> tuple[AsyncStream[Any] | None, Any]:
        """The answer as it begins, as a stream if it can be had as one, or else whole."""
        if self._request.body["n"] == 1:
            try:
                return await self._send(stream=True, partial_images=self._request.previews), None
            except TROUBLE as trouble:
                if not refusals.refuses(trouble, "stream", "partial_images"):
                    raise
        return None, await self._send()

    async def _send(self, **how: Any) -> Any:
        images, request = self._line.painting.images, self._request
        method: Send = images.edit if request.files else images.generate
        files = {"image": list(request.files)} if request.files else {}
        headers = {MARK: request.mark}
        more = {"extra_body": request.more} if request.more else {}

        async def sent() -> Any:
            return await method(**request.body, **files, **how, **more, extra_headers=headers)

        return await self._call.wait(sent)

    async def _streamed(self, stream: AsyncStream[Any]) -> Outcome:
        if not is_stream(stream):
            return await self._whole(await self._call.wait(lambda: body_of(stream)))
        async for event in self._call.each(Events(stream)):
            outcome = await self._hear(event)
            if outcome is not None:
                return outcome
        return self._line.lost("its stream ended before the picture came")

    async def _hear(self, event: dict[str, Any]) -> Outcome | None:
        kind = text_at(event, "type")
        if kind.endswith(".partial_image"):
            await self._show(event)
        elif kind.endswith(".completed"):
            return await self._whole({"data": [event], **event})
        elif kind == "error":
            return refusals.of_failure(at(event, "error") or event, self._line.name)
        return None

    async def _show(self, event: dict[str, Any]) -> None:
        data = _decoded(text_at(event, "b64_json"))
        place, most = at(event, "partial_image_index"), max(1, self._request.previews)
        step = min(place + 1, most) if isinstance(place, int) and place >= 0 else 1
        if data is not None:
            await self._report(Shown(step, _media_type(event), data))
        await self._report(Moved(step / (most + 1), step, most + 1))

    async def _whole(self, answer: dict[str, Any]) -> Outcome:
        """Report every picture of an answer."""
        pictures = at(answer, "data")
        listed = pictures if isinstance(pictures, list) else []
        for item in listed:
            await self._keep(item, answer)
        used = usage.of_images(at(answer, "usage"), self._made)
        if not self._made:
            if not listed:
                return self._line.lost("its answer has no picture")
            message = f"{self._line.name} sent what is no picture"
            return Never("provider_failed", message, usage=used)
        return Done(usage=used)

    async def _keep(self, item: Any, answer: dict[str, Any]) -> None:
        data, url = _decoded(text_at(item, "b64_json")), text_at(item, "url")
        if data is not None:
            await self._report(Made("image", _media_type(answer), data))
        elif url.startswith(("http://", "https://")):
            await self._report(Found(kind="image", key=f"{self._made}", url=url))
        else:
            return
        self._made += 1


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _media_type(said: dict[str, Any]) -> str:
    return f"image/{text_at(said, 'output_format') or 'png'}"
