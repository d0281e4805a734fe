"""The Phoenix socket: drives one `Session` over one WebSocket.

A reader feeds the session and carries out its effects one after another, as Phoenix
does: a join holds back what was sent after it. A writer sends. Frames of one topic are
pulled from its channel once the client has taken the last ones; so a slow client costs
its cursor. What the effects mean for tasks is in `conversation.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

import anyio
import anyio.abc
from starlette.websockets import WebSocket, WebSocketDisconnect

from safelight_protocol.codes import Refused, code
from safelight_protocol.effects import Effect, Hangup, Send
from safelight_protocol.frames import FrameError, Serializer, serializer_for
from safelight_protocol.session import Session

from ..telemetry import log
from .channels import Channel
from .context import Context, context_of
from .conversation import Conversation

MAX_OUTBOX = 256
"""Replies and pushes that wait for the writer; a client that does not take them is not
read any further."""

SLOW_SECONDS = 30.0
"""How long one frame may take to be written before the reader counts as gone."""

CLOSE_SECONDS = 2.0
"""How long the farewell may take."""


async def socket(websocket: WebSocket) -> None:
    """/socket/websocket: accept, run, close with a code that says why."""
    context = context_of(websocket)
    try:
        owner = context.owner(websocket)
        serializer = serializer_for(websocket.query_params.get("vsn"))
    except (Refused, FrameError) as refused:
        log("socket.refused", reason=str(refused))
        return await websocket.close(code("forbidden").close or 1008)  # before accept: 403
    offered = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol="phoenix" if "phoenix" in offered else None)
    await Connection(websocket, context, owner, serializer).run()


class Connection:
    """One accepted socket."""

    def __init__(
        self, websocket: WebSocket, context: Context, owner: str, serializer: Serializer
    ) -> None:
        self._websocket = websocket
        self._session = Session(
            serializer, now=time.monotonic(), max_frame_bytes=context.settings.max_frame_bytes
        )
        self._channels: dict[str, Channel] = {}
        self._outbox: deque[str | bytes] = deque()
        self._dirty: dict[str, Channel] = {}
        self._something = asyncio.Event()
        self._drained = asyncio.Event()
        self._close_with: Hangup | None = None
        self._conversation = Conversation(context, owner, self._session, serializer, self)

    # -- what a conversation may do to its socket -----------------------------

    def send(self, frames: list[str | bytes]) -> None:
        """Write these after what is already waiting."""
        self._outbox.extend(frames)
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

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside everything else, for as long as the socket lives."""
        self._group.start_soon(_awaited, work)

    # -- its two tasks --------------------------------------------------------

    async def run(self) -> None:
        """Until the client goes or the session hangs up."""
        log("socket.opened")
        try:
            async with anyio.create_task_group() as self._group:
                group = self._group
                group.start_soon(self._write, group.cancel_scope)
                await self._read()
                self._something.set()
                if self._close_with is None:
                    group.cancel_scope.cancel()
        finally:
            for topic in list(self._channels):
                self.shut(topic)
            log("socket.closed", code=self._close_with.code if self._close_with else None)

    async def _read(self) -> None:
        while self._close_with is None:
            data = None
            with anyio.move_on_after(max(0.0, self._session.deadline - time.monotonic())):
                data = await self._receive()
                if data is None:
                    return
            now = time.monotonic()
            effects = self._session.tick(now) if data is None else self._session.receive(data, now)
            for effect in effects:
                await self._carry_out(effect)
            await self._room()

    async def _receive(self) -> str | bytes | None:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return text if text is not None else data

    async def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(data=data):
                self.send([data])
            case Hangup():
                self._close_with = effect
            case _:
                await self._conversation.carry_out(effect)

    async def _room(self) -> None:
        """Wait until the outbox has room again."""
        while len(self._outbox) > MAX_OUTBOX and self._close_with is None:
            self._drained.clear()
            await self._drained.wait()

    async def _write(self, scope: anyio.CancelScope) -> None:
        try:
            while not (self._close_with and not self._outbox):
                await self._flush()
                if self._dirty:
                    await self._pull(next(iter(self._dirty)))
                elif self._close_with is None:
                    self._something.clear()
                    await self._something.wait()
        except Refused as trouble:
            log("socket.trouble", code=trouble.code.name)
            self._close_with = Hangup(code("slow_reader").close or 1013, trouble.code.name)
        except (WebSocketDisconnect, RuntimeError, OSError):
            log("socket.gone")
        await self._close()
        scope.cancel()

    async def _close(self) -> None:
        """Say why, if the other side still takes it; a client that reads nothing does not."""
        why = self._close_with
        if why is None:
            return
        with anyio.move_on_after(CLOSE_SECONDS):
            try:
                await self._websocket.close(why.code, why.reason)
            except (WebSocketDisconnect, RuntimeError, OSError):
                log("socket.gone")

    async def _pull(self, topic: str) -> None:
        channel = self._dirty.pop(topic)
        frames = await channel.pull()
        for frame in frames:
            # A leave or a new join of the topic may come while we wait for the reader.
            if self._channels.get(topic) is not channel:
                return
            await self._send(frame)
            await self._flush()
        if frames:
            self.wake(topic)

    async def _flush(self) -> None:
        while self._outbox:
            await self._send(self._outbox.popleft())
        self._drained.set()

    async def _send(self, frame: str | bytes) -> None:
        with anyio.move_on_after(SLOW_SECONDS) as limit:
            if isinstance(frame, str):
                await self._websocket.send_text(frame)
            else:
                await self._websocket.send_bytes(frame)
        if limit.cancelled_caught:
            self._outbox.clear()
            self._dirty.clear()
            self._drained.set()
            self._close_with = Hangup(code("slow_reader").close or 1013, "too slow; come back")


async def _awaited(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Refused as trouble:  # deleted meanwhile, or the store is in trouble
        log("socket.trouble", code=trouble.code.name)
