"""Text by the Responses API, in the background and kept there: it outlives the stream, us too.

The handle is the id of the response, and comes with the first event of the one create. From
then on any stream may end at any moment: it is taken up again behind the last event that was
heard, or the response itself is asked. Only its status is an end. Starts nothing twice.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import msgspec
from openai import APIStatusError, AsyncStream

from ..base import Failure, Outcome, Prediction, Report, Unclear
from ..http import data_url
from . import refusals
from .answers import Broken, Events, body_of, is_stream, plain, text_at
from .client import TROUBLE, Line
from .following import Following
from .params import Options

KEPT_KEYS = ("safelight_task", "safelight_attempt")
"""The marks of an attempt, among the metadata that OpenAI keeps of a response."""


class Held(msgspec.Struct):
    """The stream that a create came with, until somebody follows it: a stream that is
    dropped in its first instant may leave its response in the queue for ever."""

    stream: AsyncStream[Any]
    events: AsyncIterator[dict[str, Any]]
    first: dict[str, Any]


class Responses:
    """All responses of one configured server."""

    def __init__(
        self,
        line: Line,
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        self._line = line
        self._sleep = sleep
        self._monotonic = monotonic
        self._held: dict[str, Held] = {}
        self._followed: dict[str, Following] = {}

    async def start(self, prediction: Prediction, model: str, options: Options) -> str:
        """Create it; its id. Raises Failure, with Unclear if it may have begun."""
        body = await _body(prediction, model, options)
        create: Callable[..., Awaitable[Any]] = self._line.sdk.responses.create
        name, lost = self._line.name, self._line.lost("it did not answer in time")
        with anyio.move_on_after(self._line.timings.answer):
            try:
                stream: AsyncStream[Any] = await create(**body)
            except TROUBLE as trouble:
                raise Failure(self._kept(refusals.of_create(trouble, name, model))) from None
            return await self._begun(stream)
        raise Failure(lost)

    def _kept(self, outcome: Any) -> Any:
        """Who bills nobody may be asked again."""
        lost = isinstance(outcome, Unclear) and not self._line.billed
        return self._line.lost(outcome.message) if lost else outcome

    async def _begun(self, stream: AsyncStream[Any]) -> str:
        """The id, as soon as it is told; the stream is kept for who follows."""
        handle = ""
        try:
            handle = await self._named(stream)
        except Broken as broken:
            if broken.told is not None:
                raise Failure(self._instead(broken.told)) from None
        finally:
            if handle not in self._held:
                with anyio.CancelScope(shield=True):
                    await stream.close()
        if not handle:
            raise Failure(self._line.lost("its answer ended before it named the response"))
        return handle

    def _instead(self, error: Any) -> Any:
        """What an error comes to that was told in place of the response. A refusal began
        nothing; behind the server's own trouble the response may run, as behind a 500."""
        outcome = refusals.of_failure(error, self._line.name)
        unsure = outcome.code == "provider_failed"
        return self._line.lost("it told of trouble before it named it") if unsure else outcome

    async def _named(self, stream: AsyncStream[Any]) -> str:
        """The id, empty if none is told. Raises Broken, and Failure for an error that comes
        first."""
        if not is_stream(stream):
            return text_at(await body_of(stream), "id")
        async for event in (events := Events(stream)):
            handle = text_at(event, "response", "id")
            if handle:
                self._held[handle] = Held(stream, events, event)
                return handle
            if text_at(event, "type") == "error":
                raise Failure(self._instead(event))
        return ""

    async def follow(self, handle: str, report: Report) -> Outcome:
        """Report until it ends."""
        following = Following(self._line, self, handle, report, self._sleep, self._monotonic)
        self._followed[handle] = following
        held = self._held.pop(handle, None)
        try:
            if held is None:
                return await following.run()
            return await following.run(held.stream, _again(held))
        finally:
            if self._followed.get(handle) is following:
                del self._followed[handle]

    async def cancel(self, handle: str) -> None:
        """Ask for its end until that is heard, and let who follows look at once. However long
        that takes: who asks for it knows how long to wait."""
        followed = handle in self._followed
        try:
            for tries in itertools.count():
                try:
                    await self.ask_to_end(handle)
                    break
                except (*TROUBLE, TimeoutError):
                    await self._sleep(self._line.timings.pause(tries))
                if followed and handle not in self._followed:
                    return  # it has ended by itself
        finally:
            await self._let_go(handle)
        following = self._followed.get(handle)
        if following is not None:
            following.look_now()

    async def _let_go(self, handle: str) -> None:
        held = self._held.pop(handle, None)
        if held is not None:
            with anyio.CancelScope(shield=True):
                await held.stream.close()

    async def ask_to_end(self, handle: str) -> dict[str, Any] | None:
        """What it is after we asked; None if it cannot be cancelled any more. Raises the
        trouble there was."""
        with anyio.fail_after(self._line.timings.answer):
            try:
                return plain(await self._line.sdk.responses.cancel(handle))
            except APIStatusError as refused:
                if refused.status_code in (400, 404, 409):
                    return None
                raise

    async def look(self, handle: str) -> dict[str, Any] | None:
        """The response as it is now; None if it is not kept any more. Raises TROUBLE, and
        TimeoutError."""
        with anyio.fail_after(self._line.timings.answer):
            try:
                return plain(await self._line.sdk.responses.retrieve(handle))
            except APIStatusError as refused:
                if refused.status_code == 404:
                    return None
                raise

    async def reopen(self, handle: str, after: int | None) -> AsyncStream[Any]:
        """Its stream behind that event, or from its beginning. Raises like `look`."""
        retrieve: Callable[..., Awaitable[Any]] = self._line.sdk.responses.retrieve
        where = {} if after is None else {"starting_after": after}
        with anyio.fail_after(self._line.timings.answer):
            stream: AsyncStream[Any] = await retrieve(handle, stream=True, **where)
            return stream

    async def close(self) -> None:
        """Close what nobody followed."""
        while self._held:
            await self._held.popitem()[1].stream.close()


async def _again(held: Held) -> AsyncIterator[dict[str, Any]]:
    yield held.first
    async for event in held.events:
        yield event


async def _body(prediction: Prediction, model: str, options: Options) -> dict[str, Any]:
    """What the create says."""
    said: Any = prediction.prompt
    if prediction.inputs:
        parts: list[dict[str, Any]] = [{"type": "input_text", "text": prediction.prompt}]
        for given in prediction.inputs:
            url = data_url(await anyio.Path(given.path).read_bytes(), given.media_type)
            parts.append({"type": "input_image", "image_url": url})
        said = [{"role": "user", "content": parts}]
    marks = dict(zip(KEPT_KEYS, (prediction.uid, str(prediction.attempt)), strict=True))
    body = {"model": model, "input": said, "metadata": marks, **options.body}
    if options.more:
        body["extra_body"] = options.more
    return body | {"background": True, "store": True, "stream": True}
