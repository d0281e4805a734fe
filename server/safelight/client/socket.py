"""The Phoenix socket of a client: drives the protocol's client end over a WebSocket.

Owns the connection and nothing else: what to send, when to try again and what a frame
means is decided by `safelight_protocol.client`, what a task's events mean by its Feed.
It connects when the first task is watched, and comes back by itself after every loss,
with jitter and with each task's cursor. The wire is told in docs/wire.md.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from random import random
from typing import assert_never

import anyio
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from safelight_protocol import happenings
from safelight_protocol.client import TASK_EVENT, Client, Output
from safelight_protocol.effects import Hangup, Send

from .errors import NotOpen, RequestRefused, refusal_of_reply
from .times import USUAL, Times
from .watch import Feed

MAX_FRAME_BYTES = 4 * 1024 * 1024
"""Several times what a server of ours sends (512 KiB), and not what memory allows."""

CLOSE_SECONDS = 1.0

TASK_DELETED = "task_deleted"
"""The last push on the channel of a task that is no more."""

_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
"""Refusals in the 400s after which it makes sense to come back."""


class Socket:
    """One socket to one server. `on_line` hears True when it is up, False when it is lost."""

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        times: Times = USUAL,
        on_line: Callable[[bool], None] = lambda up: None,
        clock: Callable[[], float] = time.monotonic,
        die: Callable[[], float] = random,
    ) -> None:
        self._url = url
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._times = times
        self._on_line = on_line
        self._clock = clock
        self._die = die
        self._client = Client(heartbeat_seconds=times.heartbeat, answer_seconds=times.answer)
        self._feeds: dict[str, Feed] = {}
        self._outbox: deque[Send | Hangup] = deque()
        self._stir = anyio.Event()
        self._connection: ClientConnection | None = None
        self._connect_now = True
        self._is_up = False

    def follow(self, feed: Feed) -> None:
        """Join a task's topic, and feed it until `leave`."""
        topic = _topic(feed.id)
        self._feeds[topic] = feed
        self._take(self._client.join(topic, _join_payload, self._clock()))
        self._stir.set()

    def leave(self, feed: Feed) -> None:
        """Feed it no longer."""
        topic = _topic(feed.id)
        if self._feeds.get(topic) is feed:
            del self._feeds[topic]
            self._take(self._client.leave(topic))

    def feed_of(self, id: str) -> Feed | None:
        """The feed of a task that is being followed."""
        return self._feeds.get(_topic(id))

    async def run(self) -> None:
        """Connect as long as anything is followed; ended by cancelling it."""
        while True:
            await self._wait_for_reason()
            code = await self._connect()
            self._outbox.clear()
            self._take(self._client.disconnected(self._clock(), code, jitter=self._die()))
            await self._wait_for_turn()

    async def close(self) -> None:
        """Say goodbye, and tell all watchers that nothing more will come."""
        for feed in self._feeds.values():
            feed.fail(NotOpen(f"the client was closed while {feed.id} was watched"))
        self._feeds.clear()
        if self._connection is not None:
            with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                await self._connection.close()

    async def _wait_for_reason(self) -> None:
        while not self._feeds:
            self._stir = anyio.Event()
            await self._stir.wait()

    async def _wait_for_turn(self) -> None:
        self._connect_now = False
        while not self._connect_now:
            await self._wait_until_due()

    async def _wait_until_due(self) -> None:
        """Until something is due or `_stir` is set; then do what is due."""
        self._stir = anyio.Event()
        with anyio.move_on_after(max(0.0, self._client.deadline - self._clock())):
            await self._stir.wait()
        self._take(self._client.tick(self._clock()))

    async def _connect(self) -> int | None:
        """One connection, from its opening to its end; the close code if there was one."""
        try:
            async with connect(
                self._url,
                additional_headers=self._headers,
                compression=None,
                proxy=None,
                open_timeout=self._times.open,
                ping_interval=None,
                close_timeout=CLOSE_SECONDS,
                max_size=MAX_FRAME_BYTES,
            ) as connection:
                self._connection = connection
                return await self._converse(connection)
        except InvalidStatus as refused:
            self._refused(refused.response.status_code)
        except (OSError, WebSocketException):
            pass  # there is no server now; `disconnected` says when to try again
        finally:
            self._connection = None
        return None

    async def _converse(self, connection: ClientConnection) -> int | None:
        self._take(self._client.connected(self._clock()))
        self._line(True)
        async with anyio.create_task_group() as group:
            group.start_soon(self._write, connection)
            code = await self._read(connection)
            group.cancel_scope.cancel()
        return code

    async def _read(self, connection: ClientConnection) -> int | None:
        while True:
            try:
                data = await connection.recv()
            except ConnectionClosed as closed:
                return None if closed.rcvd is None else closed.rcvd.code
            self._take(self._client.receive(data, self._clock()))

    async def _write(self, connection: ClientConnection) -> None:
        try:
            while True:
                while self._outbox:
                    output = self._outbox.popleft()
                    if isinstance(output, Hangup):
                        await connection.close(output.code, output.reason)
                        return
                    await connection.send(output.data)
                await self._wait_until_due()
        except ConnectionClosed:
            pass  # the reader learns it too, and with the code

    def _refused(self, status: int) -> None:
        """The server will not have us: coming back would not help."""
        if not 400 <= status < 500 or status in _PASSING:
            return
        code = "unauthorized" if status == HTTPStatus.UNAUTHORIZED else "forbidden"
        trouble = RequestRefused(code, f"the server refuses the socket ({status})", status=status)
        feeds, self._feeds = self._feeds, {}
        for topic, feed in feeds.items():
            self._client.leave(topic)
            feed.fail(trouble)

    def _line(self, up: bool) -> None:
        if up is not self._is_up:
            self._is_up = up
            self._on_line(up)

    def _take(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send | Hangup):
                self._outbox.append(output)
                self._stir.set()
            else:
                self._hear(output)

    def _hear(self, happening: happenings.Happening) -> None:
        match happening:
            case happenings.Connect():
                self._connect_now = True
            case happenings.Disconnected():
                self._line(False)
            case happenings.Joined(topic=topic, response=response):
                self._with(topic, lambda feed: feed.joined(response))
            case happenings.Told(topic=topic, event=event, payload=payload):
                if event == TASK_EVENT:
                    self._with(topic, lambda feed: feed.told(payload))
                elif event == TASK_DELETED:
                    gone = RequestRefused("gone", "the task was deleted or has expired")
                    self._with(topic, lambda feed: feed.fail(gone))
            case happenings.Hole(topic=topic):
                self._with(topic, lambda feed: feed.jump())
            case happenings.NotJoined(topic=topic, response=response, retry_at=None):
                self._with(topic, lambda feed: feed.fail(refusal_of_reply(response)))
                self._feeds.pop(topic, None)
            case happenings.Closed(topic=topic):
                shut = RequestRefused("forbidden", "the server closed the channel")
                self._with(topic, lambda feed: feed.fail(shut))
                self._feeds.pop(topic, None)
            case happenings.NotJoined() | happenings.Crashed():
                pass  # it is tried again
            case happenings.Answered() | happenings.Unanswered():
                pass  # we push nothing
            case _:
                assert_never(happening)

    def _with(self, topic: str, act: Callable[[Feed], None]) -> None:
        feed = self._feeds.get(topic)
        if feed is not None:
            act(feed)


def _topic(id: str) -> str:
    return f"task:{id}"


def _join_payload(cursor: str | None) -> bytes:
    return msgspec.json.encode({} if cursor is None else {"after": cursor})
