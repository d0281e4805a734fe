"""Crash points: a server that stops dead where the test says, so that it can be killed there.

Both ends of one socket pair. The child's end wraps what the server is made of (store,
provider, subscriptions) and calls `pass_by` at every point; at an armed one it announces the
name and blocks the whole process until it is told to go on. The parent sends SIGKILL instead.

    before-commit:<kind>   after-commit:<kind>    kind: create, claim, handle, progress, text,
    before-wake            after-wake                   artifact, cancel, retry, end, delete,
    before-start           after-start                  other

After a commit comes its wake, then its effects and the answer to who asked. `after-start` is
a provider that has accepted, its handle not yet saved.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from safelight.providers.base import Outcome, Prediction, Provider, Report
from safelight.store import Change, Creation, Removal, Store
from safelight.subscriptions import Subscriptions
from safelight_protocol.task import State
from tests.doubles.hands import hand_over

PATIENCE_SECONDS = 20.0
Item = Change | Creation | Removal


def kind_of(item: Item) -> str:
    """What a write is about, in the words of this module's docstring."""
    match item:
        case Creation():
            return "create"
        case Removal():
            return "delete"
        case Change():
            pass
        case _:
            return "other"
    before, after = item.before, item.after
    if after.ended:
        return "end"
    if item.artifact is not None:
        return "artifact"
    if after.attempt > before.attempt:
        return "retry"
    if after.state is not before.state and after.state in (State.STARTING, State.CANCELING):
        return "claim" if after.state is State.STARTING else "cancel"
    if after.handle != before.handle:
        return "handle"
    for kind in ("progress", "text"):
        if item.event is not None and f'"type":"{kind}"'.encode() in item.event:
            return kind
    return "other"


class PointsEnd:
    """The parent's end: `arm` says where to stop, `reached` waits for it."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)

    def arm(self, point: str, nth: int = 1) -> None:
        """Stop at the nth time of a point, counted from now; replaces what was armed."""
        self._ours.send(f"{point} {nth}\n".encode())

    async def reached(self) -> str:
        """The point at which the process now stands still."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_SECONDS):
            announced = await loop.sock_recv(self._ours, 100)
        return announced.decode().strip()

    def go_on(self) -> None:
        """Let it run again; nothing is armed any more."""
        self._ours.send(b"go\n")

    def close(self) -> None:
        """Close both ends; a child that stands still ends with it."""
        self._ours.close()
        self.theirs.close()


class Points:
    """The child's end. Without a socket every point is passed by."""

    def __init__(self, fd: int | None = None) -> None:
        self._socket = None if fd is None else socket.socket(fileno=fd)
        self._point = ""
        self._left = 0
        if self._socket is not None:
            self._socket.set_inheritable(False)

    def pass_by(self, point: str) -> None:
        """Stand still here if it is armed. Blocks the event loop, which is the purpose."""
        if self._socket is None:
            return
        self._hear(self._socket)
        if point != self._point:
            return
        self._left -= 1
        if self._left > 0:
            return
        self._point = ""
        self._socket.setblocking(True)
        self._socket.send(f"{point}\n".encode())
        if not self._socket.recv(100):
            os._exit(3)  # the test has gone

    def _hear(self, end: socket.socket) -> None:
        end.setblocking(False)
        try:
            orders = end.recv(1000)
        except BlockingIOError:
            return
        for line in orders.decode().splitlines():
            if line != "go":
                self._point, _, nth = line.partition(" ")
                self._left = int(nth)

    def opened(
        self, opened: Callable[[Path, int], AbstractAsyncContextManager[Any]]
    ) -> Callable[[Path, int], AbstractAsyncContextManager[Any]]:
        """The same way to open a store, with points around every write."""

        @asynccontextmanager
        async def watched(directory: Path, now: int) -> AsyncIterator[Any]:
            async with opened(directory, now) as store:
                yield _Store(store, self)

        return watched

    def provider(self, provider: Any) -> Provider:
        """The same provider, with points around every start."""
        return _Provider(provider, self)

    def subscriptions(self, followers: Subscriptions) -> Any:
        """The same subscriptions, with points around every wake of a task's followers."""
        return _Subscriptions(followers, self)


class _Store:
    def __init__(self, store: Store, points: Points) -> None:
        self._store = store
        self._points = points

    async def put(self, item: Item) -> Any:
        kind = kind_of(item)
        self._points.pass_by(f"before-commit:{kind}")
        outcome = await self._store.put(item)
        self._points.pass_by(f"after-commit:{kind}")
        return outcome

    def begin(self, item: Item) -> asyncio.Future[Any]:
        return asyncio.ensure_future(self.put(item))

    def hand(self, item: Any, learn: Callable[[Any], None]) -> None:
        """The same for who needs no future."""
        hand_over(self.begin, item, learn)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _Provider:
    def __init__(self, provider: Any, points: Points) -> None:
        self._provider = provider
        self._points = points

    async def start(self, prediction: Prediction) -> str:
        self._points.pass_by("before-start")
        handle: str = await self._provider.start(prediction)
        self._points.pass_by("after-start")
        return handle

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        outcome: Outcome = await self._provider.follow(prediction, handle, report)
        return outcome

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


class _Subscriptions:
    def __init__(self, followers: Subscriptions, points: Points) -> None:
        self._followers = followers
        self._points = points

    def wake(self, topic: str) -> None:
        """Points are for a task's topic, which is its uid and has no colon."""
        if ":" in topic:
            return self._followers.wake(topic)
        self._points.pass_by("before-wake")
        self._followers.wake(topic)
        self._points.pass_by("after-wake")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._followers, name)
