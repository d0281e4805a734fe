"""Carries a connection's frames over a transport that is awaited, one frame at a time.

For every way to a client that is not our own server's `Line`: another server's WebSocket,
a long-poll session, a test. A task reads, another writes; what waits for the writer is
what the client has not taken. Knows neither frames' meaning nor tasks of ours.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

import anyio

from safelight_protocol.effects import Hangup

from ..broadcast import Frames, message_of
from ..telemetry import log
from .carrier import Pull
from .line import Receiver

CLOSE_SECONDS = 2.0
"""How long the farewell may take."""


class Gone(Exception):
    """Nobody is at the other end any more."""


class Transport(Protocol):
    """What carries the frames of one client. `takes_binary` says whether it can carry
    binary ones to it; `idle_seconds` is how long it may be silent, heartbeats included;
    `untaken` is what was sent and not taken, in any unit."""

    @property
    def takes_binary(self) -> bool: ...
    @property
    def idle_seconds(self) -> float: ...
    @property
    def untaken(self) -> int: ...

    async def receive(self) -> str | bytes | None:
        """The client's next frame; None once it is gone. May be cancelled without loss."""

    async def send(self, frame: str | bytes) -> None:
        """Hand over a frame. Waits while the client has too much untaken, and may be
        cancelled while it does, without trace; raises Gone."""

    async def close(self, why: Hangup) -> None:
        """Say goodbye with a code, if anybody still listens; never raises."""


class Guest(Receiver, Protocol):
    """Whose frames are pumped: a `Connection`."""

    def begin(self) -> None:
        """Be there; the transport is open."""


class Pump:
    """A carrier over one transport. Give it to a connection, then `run` it."""

    wire = None

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._guest: Guest | None = None
        self._outbox: deque[str | bytes] = deque()
        self._waiting = 0
        self._paused = False
        self._pull: Pull | None = None
        self._close_with: Hangup | None = None
        self._sending = anyio.CancelScope()
        self._reading = anyio.CancelScope()
        self._has_read = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._something = asyncio.Event()

    @property
    def takes_binary(self) -> bool:
        """Whether binary frames reach the client."""
        return self._transport.takes_binary

    @property
    def idle_seconds(self) -> float:
        """How long it may be silent."""
        return self._transport.idle_seconds

    @property
    def untaken(self) -> int:
        """What waits here and behind."""
        return self._waiting + self._transport.untaken

    @property
    def backlog(self) -> int:
        """What waits here. What the transport holds it lets go of without a word."""
        return self._waiting

    def write(self, frames: Frames) -> int:
        """Put them behind what waits; returns their size."""
        messages = [message_of(frame) for frame in frames]
        added = sum(map(len, messages))
        self._outbox.extend(messages)
        self._waiting += added
        self._something.set()
        return added

    def start(self, pull: Pull) -> None:
        """In the writing task, behind what waits."""
        self._pull = pull
        self._something.set()

    async def flush(self) -> None:
        """Hand over all that waits. From the moment that the transport makes us wait, the
        client counts as taking nothing."""
        if not self._outbox:
            return
        stuck = asyncio.get_running_loop().call_soon(self._stuck)
        try:
            while self._outbox:
                await self._transport.send(self._outbox[0])
                if self._outbox:  # unless all was dropped meanwhile
                    self._waiting -= len(self._outbox.popleft())
        except Gone:
            log("socket.gone")
            self._lose()
        finally:
            stuck.cancel()
        self._paused = False
        if self._guest is not None:
            self._guest.resume_writing()

    def pause_reading(self) -> None:
        """Await nothing from the transport after what is being awaited."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Await again."""
        self._may_read.set()

    def close(self, why: Hangup, *, unsaid: bool = False) -> None:
        """Say goodbye behind what waits, or instead of it."""
        if self._close_with is None:
            self._close_with = why
            self._something.set()
            self._reading.cancel()  # some servers close nothing while a receive of theirs waits
            self._sending.deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS
            if unsaid:
                self._outbox.clear()
                self._sending.cancel()

    async def run(self, guest: Guest) -> None:
        """Until the client goes or is hung up on."""
        self._guest = guest
        guest.begin()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._read, guest, group.cancel_scope)
                await self._write()
                group.cancel_scope.cancel()
        finally:
            self._lose()

    async def _read(self, guest: Guest, scope: anyio.CancelScope) -> None:
        with self._reading:
            while self._close_with is None:
                await self._may_read.wait()
                message = await self._transport.receive()
                if message is None:
                    return scope.cancel()
                guest.received(message)
        self._has_read.set()

    async def _write(self) -> None:
        """The one task that sends: what waits, then what is pulled."""
        with self._sending:
            while self._close_with is None and self._guest is not None:
                await self._something.wait()
                self._something.clear()
                await self.flush()
                pull, self._pull = self._pull, None
                if pull is not None:
                    await pull()
            await self.flush()
        if self._close_with is not None and self._guest is not None:
            with anyio.move_on_after(CLOSE_SECONDS):
                await self._has_read.wait()
                await self._transport.close(self._close_with)

    def _stuck(self) -> None:
        if self._guest is not None and not self._paused:
            self._paused = True
            self._guest.pause_writing()

    def _lose(self) -> None:
        guest, self._guest = self._guest, None
        if guest is not None:
            guest.lost()
