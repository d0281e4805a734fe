"""The sessions of the long-poll transport: what waits between two requests of a client.

A session carries frames as a WebSocket does, over requests that come and go, and ends
when nobody has polled for one and a half windows. Its token is a random capability: who
has it is whoever opened it. What is held for a client that does not poll is bounded.
Knows no HTTP; that is `longpoll.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
import secrets
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc

from safelight_protocol.effects import Hangup

from ..telemetry import log

MAX_SESSIONS = 10_000
"""A GET without a token opens one; more than this at a time are refused, to all together."""

FIRST_POLL_SECONDS = 5.0
"""A client polls as soon as it has its token; who does not was never one."""

MAX_HELD = 256
"""Frames that wait for the next poll."""

MAX_HELD_CHARACTERS = 1024 * 1024
"""Their size, to which one frame may add."""

TOKEN = re.compile(r"longpoll-[A-Za-z0-9_-]{43}")
"""What tells a session's token from the user's in a query that holds both as `token`."""


class Session:
    """One client's frames in both directions: a `Transport` made of requests."""

    takes_binary = False
    """Frames travel as strings of a JSON array."""

    idle_seconds = math.inf
    """The client sends no heartbeats here: its polls show that it lives."""

    def __init__(self, token: str, owner: str, window: float, sharer: str = "") -> None:
        self.token = token
        self.owner = owner
        self.sharer = sharer
        self.over = False
        self._window = window
        self.patience = min(1.5 * window, FIRST_POLL_SECONDS)
        self._absent_since = time.monotonic()
        self._poll: object | None = None
        self._inbox: deque[str | bytes] = deque()
        self._held: deque[str] = deque()
        self._size = 0
        self._changed = _Signal()

    @property
    def is_polled(self) -> bool:
        """Whether a poll is held at this moment."""
        return self._poll is not None

    @property
    def untaken(self) -> int:
        """What waits for the next poll."""
        return self._size

    # -- the client's side: requests ------------------------------------------

    async def give(self, frames: list[str | bytes]) -> bool:
        """Hand in what the client sent, in order, once there is room for it; False when
        the session is over."""
        while self._inbox and not self.over:
            await self._changed.wait()
        if not self.over:
            self._inbox.extend(frames)
            self._changed.set()
        return not self.over

    def begin(self) -> object:
        """A poll came. It takes the place of one that is still held: that one's client
        has gone without our noticing, and must not get frames any more."""
        self._poll = poll = object()
        self.patience = 1.5 * self._window
        self._changed.set()
        return poll

    async def wait(self, poll: object) -> None:
        """Until there is something to answer this poll with."""
        while not (self._held or self.over or self._poll is not poll):
            await self._changed.wait()

    def take(self, poll: object) -> list[str]:
        """All that waits; nothing for a poll that was replaced."""
        if self._poll is not poll:
            return []
        frames = list(self._held)
        self._held.clear()
        self._size = 0
        self._changed.set()
        return frames

    def end(self, poll: object) -> None:
        """The poll is answered, or its client has gone."""
        if self._poll is poll:
            self._poll = None
            self._absent_since = time.monotonic()
            self._changed.set()

    # -- the server's side: a transport ---------------------------------------

    async def receive(self) -> str | bytes | None:
        """The next frame that came in a POST; None when nobody polls any more."""
        while not self._inbox:
            left = self._absent_since + self.patience - time.monotonic()
            if not self.is_polled and left <= 0:
                return None
            with anyio.move_on_after(math.inf if self.is_polled else left):
                await self._changed.wait()
        frame = self._inbox.popleft()
        self._changed.set()
        return frame

    async def send(self, frame: str | bytes) -> None:
        """Keep it for the next poll, as soon as there is room."""
        assert isinstance(frame, str), "binary frames are not sent to clients that poll"
        while len(self._held) >= MAX_HELD or self._size >= MAX_HELD_CHARACTERS:
            await self._changed.wait()
        self._held.append(frame)
        self._size += len(frame)
        self._changed.set()

    async def close(self, why: Hangup) -> None:
        """Nothing more will come; a poll takes what is left, the next learns the end.

        There is no place for a code: clients report 3410 and come back.
        """
        while self._held:
            await self._changed.wait()
        self.finish()

    def finish(self) -> None:
        """Answer every request that waits, and be found no more."""
        self.over = True
        self._changed.set()


class Polls:
    """All sessions of this process, and the task of each. One owner, or one address where
    all are one owner, may have `each` of them: nobody takes the places of all the others."""

    def __init__(self, group: anyio.abc.TaskGroup, window: float, each: int) -> None:
        self.window = window
        self._each = each
        self._taken: Counter[str] = Counter()
        self._group = group
        self._sessions: dict[bytes, Session] = {}

    def create(self, owner: str, address: str = "") -> Session | None:
        """A session that is found from now on; None when there are too many."""
        sharer = f"{owner} {address}"
        if len(self._sessions) >= MAX_SESSIONS or self._taken[sharer] >= self._each:
            return None
        session = Session(f"longpoll-{secrets.token_urlsafe(32)}", owner, self.window, sharer)
        self._taken[sharer] += 1
        self._sessions[_digest(session.token)] = session
        return session

    def start(self, session: Session, run: Callable[[], Awaitable[None]]) -> None:
        """Run its connection; the session ends with it."""
        self._group.start_soon(self._run, session, run)

    def find(self, token: str) -> Session | None:
        """The live session of a token."""
        return self._sessions.get(_digest(token))

    def statistics(self) -> dict[str, int]:
        """How many sessions live."""
        return {"longpolls": len(self._sessions)}

    async def _run(self, session: Session, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except Exception as defect:  # one session's, and not the end of the house
            log("socket.defect", exc=defect)
        finally:
            session.finish()
            del self._sessions[_digest(session.token)]
            self._leave(session.sharer)

    def _leave(self, sharer: str) -> None:
        self._taken[sharer] -= 1
        if not self._taken[sharer]:
            del self._taken[sharer]


class _Signal:
    """Wakes everybody who waits at this moment."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        await self._event.wait()


def _digest(token: str) -> bytes:
    """So that the time a look-up takes tells nothing of the tokens that live."""
    return hashlib.sha256(token.encode()).digest()
