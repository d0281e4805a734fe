"""Text by chat completions, which every compatible server has: one request, answered once.

The text comes as a stream; where a server knows no count of tokens in a stream, or no
stream at all, it is asked without. Only its own word that it is finished is an end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
from openai import AsyncStream

from ..base import Delta, Done, Moved, Outcome, Prediction, Report
from ..http import data_url
from ..streams import MARK, Call, Stopped
from . import refusals, usage
from .answers import Broken, Events, at, body_of, is_stream, text_at
from .client import TROUBLE, Line
from .params import Options

SEEDS = 2**31
"""Seeds of other servers are numbers of 31 bits; one of ours always comes to the same."""


class Talk(msgspec.Struct, frozen=True):
    """A request that is ready to be sent. `seed` is None where it is not to be sent."""

    model: str
    body: dict[str, Any]
    more: dict[str, Any]
    mark: str
    seed: int | None


async def talk(
    prediction: Prediction, model: str, options: Options, mark: str, *, own: bool
) -> Talk:
    """Make it ready. Raises FileNotFoundError for an input that is there no more."""
    body = dict(options.body)
    system = body.pop("system", None)
    messages: list[dict[str, Any]] = [] if system is None else [_says("system", system)]
    said: Any = prediction.prompt
    if prediction.inputs:
        said = [{"type": "text", "text": prediction.prompt}]
        for given in prediction.inputs:
            url = data_url(await anyio.Path(given.path).read_bytes(), given.media_type)
            said.append({"type": "image_url", "image_url": {"url": url}})
    messages.append(_says("user", said))
    body |= {"model": model, "messages": messages}
    return Talk(model, body, options.more, mark, None if own else prediction.seed % SEEDS)


def _says(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


class Talking:
    """One completion, sent and heard out."""

    def __init__(self, line: Line, call: Call[Any], request: Talk, report: Report) -> None:
        self._line = line
        self._call = call
        self._request = request
        self._report = report
        self._usage: Any = None
        self._wrote = False
        self._refusal = ""
        self._reason = ""

    async def run(self) -> Outcome:
        """Until it has ended; exactly one outcome."""
        try:
            stream = await self._sent()
        except TROUBLE as trouble:
            return refusals.of_create(trouble, self._line.name, self._request.model)
        try:
            return await self._heard(stream)
        except Broken as broken:
            return await self._broken(broken)
        except Stopped:
            if not self._reason:
                raise
            return await self._end()
        finally:
            with anyio.CancelScope(shield=True):
                await stream.close()

    async def _sent(self) -> AsyncStream[Any]:
        """The answer as it begins. What is refused because of a field that not every server
        knows was not begun, and is asked for without it."""
        optional: dict[str, Any] = {"stream_options": {"include_usage": True}}
        if self._request.seed is not None:
            optional["seed"] = self._request.seed
        while True:
            try:
                return await self._send(optional)
            except TROUBLE as trouble:
                unknown = [name for name in optional if refusals.refuses(trouble, name)]
                if not unknown:
                    raise
                for name in unknown:
                    del optional[name]

    async def _send(self, optional: dict[str, Any]) -> AsyncStream[Any]:
        create: Callable[..., Awaitable[Any]] = self._line.sdk.chat.completions.create
        body, more = self._request.body, {}
        if self._request.more:
            more["extra_body"] = self._request.more
        headers = {MARK: self._request.mark}

        async def sent() -> Any:
            return await create(**body, **optional, stream=True, **more, extra_headers=headers)

        stream: AsyncStream[Any] = await self._call.wait(sent)
        return stream

    async def _heard(self, stream: AsyncStream[Any]) -> Outcome:
        if not is_stream(stream):
            await self._take(await self._call.wait(lambda: body_of(stream)), "message")
            return await self._end()
        async for chunk in self._call.each(Events(stream)):
            await self._take(chunk, "delta")
        return await self._end()

    async def _take(self, chunk: dict[str, Any], part: str) -> None:
        self._usage = at(chunk, "usage") or self._usage
        choice = at(chunk, "choices", 0)
        self._reason = text_at(choice, "finish_reason") or self._reason
        self._refusal += text_at(choice, part, "refusal")
        text = text_at(choice, part, "content")
        if text:
            self._wrote = True
            await self._report(Delta(text, part=True))

    async def _broken(self, broken: Broken) -> Outcome:
        """The stream ended in an error: the server's own word, or none."""
        if self._reason:  # all was said, and only the count of tokens is missing
            return await self._end()
        if broken.told is not None:
            return refusals.of_failure(broken.told, self._line.name)
        return self._line.lost("its stream broke")

    async def _end(self) -> Outcome:
        used = usage.of_chat(self._usage)
        if self._refusal or self._reason == "content_filter":
            return refusals.of_refusal(self._refusal, self._line.name, used)
        if not self._reason:
            return self._line.lost("its stream ended before the text did")
        if self._reason == "length":
            if not self._wrote:
                return refusals.of_silence(self._line.name, used)
            await self._report(Moved(message=refusals.CUT_SHORT))
        return Done(usage=used)
