"""One connected client, whatever carries its frames: drives a `Session` over a `Transport`.

A reader feeds the session and carries out its effects one after another, as Phoenix
does: a join holds back what was sent after it. A writer sends. Frames of one topic are
pulled from its channel once the client has taken the last ones; so a slow client costs
its cursor. What the effects mean for tasks is in `conversation.py`.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import Protocol

import anyio

from safelight_protocol.codes import Refused, code
from safelight_protocol.effects import Effect, Hangup, Send
from safelight_protocol.frames import Serializer
from safelight_protocol.session import Session

from ..telemetry import log
from .channels import Channel
from .context import Context
from .conversation import Conversation

MAX_OUTBOX = 256
"""Replies and pushes that wait for the writer; a client that does not take them is not
read any further."""

MAX_OUTBOX_CHARACTERS = 1024 * 1024
"""The same for their size, to which the answers to one frame may add."""

CLOSE_SECONDS = 2.0
"""How long the farewell may take."""


class Gone(Exception):
    """Nobody is at the other end any more."""


class TooSlow(Exception):
    """Somebody is, and takes nothing."""


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


class Connection:
    """One client from its acceptance to its end."""

    def __init__(
        self, transport: Transport, context: Context, owner: str, serializer: Serializer
    ) -> None:
        settings = context.settings
        self._transport = transport
        self._guests = context.guests
        self._slow_seconds = settings.slow_reader_seconds
        self._session = Session(
            serializer,
            now=time.monotonic(),
            max_frame_bytes=settings.max_frame_bytes,
            idle_seconds=transport.idle_seconds,
        )
        self._channels: dict[str, Channel] = {}
        self._outbox: deque[str | bytes] = deque()
        self._waiting = 0
        self._dirty: dict[str, Channel] = {}
        self._something = asyncio.Event()
        self._drained = asyncio.Event()
        self._close_with: Hangup | None = None
        self._conversation = Conversation(context, owner, self._session, serializer, self)

    # -- what a conversation may do to its connection -------------------------

    @property
    def takes_binary(self) -> bool:
        """Whether binary frames reach this client."""
        return self._transport.takes_binary

    def send(self, frames: list[str | bytes]) -> None:
        """Write these after what is already waiting."""
        self._outbox.extend(frames)
        self._waiting += sum(map(len, frames))
        self._something.set()

    def open(self, topic: str, channel: Channel) -> None:
        """Begin to pull from a channel; all that was sent before goes out first."""
        self._channels[topic] = channel
        self.wake(topic)

    def wake(self, topic: str) -> None:
        """There is something to pull from the topic's channel."""
        channel = self._channels.get(topic)
        if channel is not None:
            self._dirty[topic] = channel
            self._something.set()

    def shut(self, topic: str) -> None:
        """Write nothing more of a topic from here on."""
        channel = self._channels.pop(topic, None)
        self._dirty.pop(topic, None)
        if channel is not None:
            channel.close()

    # -- its two tasks --------------------------------------------------------

    async def run(self) -> None:
        """Until the client goes, the session hangs up or the server goes down."""
        log("socket.opened")
        try:
            with self._guests.staying(self._restart):
                async with anyio.create_task_group() as group:
                    group.start_soon(self._write, group.cancel_scope)
                    await self._read()
                    self._something.set()
                    if self._close_with is None:
                        group.cancel_scope.cancel()
        finally:
            for topic in list(self._channels):
                self.shut(topic)
            log("socket.closed", code=self._close_with.code if self._close_with else None)

    def _restart(self) -> None:
        """The server goes down: say so after what is already waiting."""
        if self._close_with is None:
            row = code("shutting_down")
            self._close_with = Hangup(row.close or 1012, "restarting; come back")
            self._something.set()

    async def _read(self) -> None:
        while self._close_with is None:
            data = None
            with anyio.move_on_after(max(0.0, self._session.deadline - time.monotonic())):
                data = await self._transport.receive()
                if data is None:
                    return
            now = time.monotonic()
            effects = self._session.tick(now) if data is None else self._session.receive(data, now)
            for effect in effects:
                await self._carry_out(effect)
            await self._room()

    async def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(data=data):
                self.send([data])
            case Hangup():
                self._close_with = self._close_with or effect
            case _:
                await self._conversation.carry_out(effect)

    async def _room(self) -> None:
        """Wait until the outbox has room again."""
        while self._close_with is None and (
            len(self._outbox) > MAX_OUTBOX or self._waiting > MAX_OUTBOX_CHARACTERS
        ):
            self._drained.clear()
            await self._drained.wait()

    async def _write(self, scope: anyio.CancelScope) -> None:
        try:
            while not (self._close_with and not self._outbox):
                await self._flush()
                if self._dirty and self._close_with is None:
                    await self._pull(next(iter(self._dirty)))
                elif self._close_with is None:
                    self._something.clear()
                    await self._something.wait()
        except Gone:
            log("socket.gone")
            self._close_with = None
        except TooSlow:
            self._give_up(_too_slow())
        except Refused as trouble:
            log("socket.trouble", code=trouble.code.name)
            self._give_up(Hangup(code("slow_reader").close or 1013, trouble.code.name))
        except Exception as defect:
            log("socket.defect", exc=defect)
            self._give_up(Hangup(code("internal").close or 1011, "a defect of the server"))
        if self._close_with is not None:
            with anyio.move_on_after(CLOSE_SECONDS):
                await self._transport.close(self._close_with)
        scope.cancel()

    def _give_up(self, why: Hangup) -> None:
        """Hang up without what was to be written: the client comes back for it."""
        self._outbox.clear()
        self._waiting = 0
        self._dirty.clear()
        self._close_with = why
        self._drained.set()
        self._something.set()

    async def _pull(self, topic: str) -> None:
        channel = self._dirty.pop(topic)
        frames = await channel.pull()
        for frame in frames:
            # A leave or a new join of the topic may come while we wait for the reader.
            if self._channels.get(topic) is not channel or self._close_with is not None:
                return
            await self._send(frame)
            await self._flush()
        if frames:
            self.wake(topic)

    async def _flush(self) -> None:
        while self._outbox:
            frame = self._outbox.popleft()
            self._waiting -= len(frame)
            await self._send(frame)
        self._drained.set()

    async def _send(self, frame: str | bytes) -> None:
        """Whoever took a little of what waits has as long again for the rest."""
        before = math.inf
        while self._transport.untaken < before:
            before = self._transport.untaken
            with anyio.move_on_after(self._slow_seconds):
                return await self._transport.send(frame)
        raise TooSlow


def _too_slow() -> Hangup:
    return Hangup(code("slow_reader").close or 1013, "too slow; come back")
