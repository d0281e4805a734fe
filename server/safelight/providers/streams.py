"""Requests that are answered once and looked up by nobody: from the handle to the last word.

Such a provider keeps nothing, so the answer lives on the connection that asked for it. The
handle is ours: `start` gets everything ready and mints it, and the one request is sent when
the handle, saved by then, is first followed. So a cancel finds a request whose provider is
still thinking, a deleted input is met before anything is sent, and no answer is ever open
that nobody reads. What is not here any more (a restart, a second `follow`) was lost for good.
Owns the end by us, and the client that waits for silence to end. Knows neither SDK nor provider.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

import anyio
import httpx2

from safelight_protocol.events import Charge

from .base import Ended, Outcome, Prediction, Unclear, Unknowable
from .http import MAX_ANSWER, Oversized
from .recent import Recent

CONNECT_SECONDS = 10.0
"""How long a connection may take to come about. Later than that, nothing was sent."""

MOST_BYTES = 512 * 1024 * 1024
"""Of one answer that is followed, unpacked: ten large pictures in base64, and their previews."""

STREAM = "text/event-stream"

NO_KEY = "none"
"""What an SDK is given where the settings have no key, as for a proxy that has one: without any
it looks for one in the environment."""

NEVER_SENT = Charge("free", reason="it was ended before it was sent")

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class Stopped(Exception):
    """We were asked to end it."""


class Garbled(Exception):
    """What came is not what the SDK can read."""


class Call(Generic[Request]):
    """One request and the answer to it. `taken` once somebody follows it, `answer` once it
    has begun to come."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.taken = False
        self.answer: httpx2.Response | None = None
        self._stopped = False
        self._scope: anyio.CancelScope | None = None

    def stop(self) -> None:
        """End it: whoever waits for it gets Stopped. Safe to repeat."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    @property
    def begun(self) -> bool:
        """Whether it is being answered, and not with a refusal."""
        return self.answer is not None and self.answer.is_success

    async def wait(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Await one piece of the answer. Raises Stopped; what the caller does with a piece is
        not cut off. How long it may take is for the client to say, which sees each byte: SDKs
        keep it to themselves when a stream says that it lives."""
        if self._stopped:
            raise Stopped
        with anyio.CancelScope() as self._scope:
            return await work()
        raise Stopped

    async def each(
        self, stream: AsyncIterator[Answer], *, known: tuple[type[Exception], ...] = (Exception,)
    ) -> AsyncIterator[Answer]:
        """The pieces of a stream, each waited for like that. Errors of reading that are none
        of the `known` ones are raised as Garbled."""
        while True:
            try:
                piece = await self.wait(stream.__anext__)
            except StopAsyncIteration:
                return
            except Exception as trouble:
                if isinstance(trouble, (Stopped, *known)):
                    raise
                raise Garbled("what it said cannot be read") from trouble
            yield piece

    async def close(self) -> None:
        """Hang up. An SDK's generators may be left to be collected: not its connection."""
        if self.answer is not None:
            with anyio.CancelScope(shield=True):
                await self.answer.aclose()


_followed: ContextVar[Call[Any] | None] = ContextVar("followed", default=None)
"""Whose answer it is that comes to this task: SDKs keep it to themselves."""


class Calls(Generic[Request]):
    """The calls that are ready or under way, by their handles."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: dict[str, Call[Request]] = {}
        self._ended: Recent[str, None] = Recent()

    def ready(self, prediction: Prediction, request: Request) -> str:
        """Keep a request that can be sent; the handle to follow it by."""
        handle = handle_of(prediction, self._name)
        self._ended.discard(handle)
        self._calls[handle] = Call(request)
        return handle

    def has(self, handle: str) -> bool:
        """Whether it is under way: its answer comes to this process, or to nobody."""
        call = self._calls.get(handle)
        return call is not None and call.taken

    async def follow(
        self, handle: str, talk: Callable[[Call[Request], Request], Awaitable[Outcome]]
    ) -> Outcome:
        """Send it and hear it out, once; `talk` does both. However it ends, nothing of it
        stays open."""
        if handle in self._ended:
            self._ended.discard(handle)
            return Ended(charge=NEVER_SENT)
        call = self._calls.get(handle)
        if call is None or call.taken:
            return Unclear(f"its answer was lost: {self._name} gives it once")
        call.taken = True
        followed = _followed.set(call)
        try:
            return await talk(call, call.request)
        except Garbled as trouble:
            return Unclear(f"{self._name} may have run it, but {trouble}")
        finally:
            _followed.reset(followed)
            del self._calls[handle]
            await call.close()

    def cancel(self, handle: str) -> None:
        """End it; whoever follows it, then or later, is told so. Of one that nobody follows
        yet nothing is kept but that: it may be as large as its pictures."""
        call = self._calls.get(handle)
        if call is None:
            return
        if call.taken:
            call.stop()
        else:
            del self._calls[handle]
            self._ended.put(handle, None)

    def unknowable(self) -> Unknowable:
        """What became of a call that was lost."""
        return Unknowable(f"{self._name} keeps nothing that could be looked up")


def handle_of(prediction: Prediction, name: str) -> str:
    """What an attempt is called here. A request may carry it as well, for whoever has to find
    that in a provider's log; nothing can be asked by it."""
    return f"{name}-{prediction.uid}-{prediction.attempt}"


MARK = "x-client-request-id"
"""The header that carries it."""


class Bounded(httpx2.AsyncByteStream):
    """The bytes of an answer, unpacked, up to a number of them: an SDK reads whatever comes,
    and a few that are packed may be as many as one likes."""

    def __init__(self, answer: httpx2.Response, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._packed = httpx2.Response(
            answer.status_code, headers=answer.headers, stream=stream, extensions=answer.extensions
        )
        self.most = most
        answer.headers.pop("content-encoding", None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._packed.aiter_bytes():
            size += len(part)
            if size > self.most:
                raise Oversized("the answer is larger than any that is expected")
            yield part

    async def aclose(self) -> None:
        await self._packed.aclose()


def client(
    url: str, silence_seconds: float | None = None, most: int = MOST_BYTES
) -> httpx2.AsyncClient:
    """For SDKs whose requests must not be sent twice. Every request has a connection of its
    own: one that is sent on a connection which its server has just closed cannot be told from
    one that arrived. Follows no redirect and reads nothing of the environment. Whatever the
    SDK says of time, a connection comes about soon or not at all, and one on which not a byte
    moves for `silence_seconds` is given up, and so is an answer of more than `most` bytes, or
    of more than MAX_ANSWER where it is neither followed nor a stream."""
    silence = {"read": silence_seconds, "write": silence_seconds}
    bounds = httpx2.Timeout(None, connect=CONNECT_SECONDS, **silence).as_dict()

    async def bound(request: httpx2.Request) -> None:
        request.extensions["timeout"] = bounds

    async def note(answer: httpx2.Response) -> None:
        call = _followed.get()
        told = call is not None or answer.headers.get("content-type", "").startswith(STREAM)
        if isinstance(answer.stream, httpx2.AsyncByteStream):
            bound = most if told and answer.is_success else min(most, MAX_ANSWER)
            answer.stream = Bounded(answer, answer.stream, bound)
        if call is not None:
            call.answer = answer

    return httpx2.AsyncClient(
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
        verify=url.startswith("https:"),
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [bound], "response": [note]},
    )
