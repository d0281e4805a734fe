"""The sockets: who is registered under which client id, and what is sent to whom.

One queue and one publisher for all, so that every socket sees its messages in the order
in which they were made, and so that a reader who takes nothing holds all others up, as in
the real one; the queue has no bound there either. `send` and `send_bytes` may be called
from any thread. A socket that leaves takes the registration of its client id with it even
if a newer socket holds it by then: that is the real one's fault, and `client_id_bug` keeps
it.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import msgspec

JPEG, PNG = 1, 2
IMAGE_TYPES = {"JPEG": JPEG, "PNG": PNG}


class Wire(Protocol):
    """A WebSocket as Starlette has it."""

    async def send_text(self, data: str) -> None:
        """Send a text frame."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""


class Guest(msgspec.Struct):
    """An open socket, what it said it understands, and how to cut it off."""

    sid: str
    wire: Wire
    cut: Callable[[], None]
    flags: dict[str, Any] = msgspec.field(default_factory=dict)


class Hub:
    """All sockets of one server."""

    def __init__(self, client_id_bug: bool) -> None:
        self._bug = client_id_bug
        self._by_sid: dict[str, Guest] = {}
        self._out: asyncio.Queue[tuple[str | None, str | bytes]] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.client_id: str | None = None
        """Whose prompt runs."""
        self.node_id: str | None = None
        """The node that runs."""

    def enter(self, wire: Wire, client_id: str | None, cut: Callable[[], None]) -> Guest:
        """Register a socket; an older one of the same id is forgotten, though still open."""
        guest = Guest(client_id or uuid.uuid4().hex, wire, cut)
        self._by_sid[guest.sid] = guest
        return guest

    def leave(self, guest: Guest) -> None:
        """A socket has closed."""
        if self._bug or self._by_sid.get(guest.sid) is guest:
            self._by_sid.pop(guest.sid, None)

    def understands(self, sid: str | None, flag: str) -> bool:
        """Whether the socket of a client said so; nobody in particular never did."""
        guest = self._by_sid.get(sid or "")
        return guest is not None and guest.flags.get(flag) is True

    def cut(self, sid: str | None) -> None:
        """Cut a client's socket off without a close frame. From any thread."""
        guest = self._by_sid.get(sid or "")
        if guest is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(guest.cut)

    def flush(self, seconds: float = 2.0) -> None:
        """Wait until all that was sent so far is written. From any thread but the loop's."""
        if self._loop is not None:
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._out.join(), self._loop).result(seconds)

    def stall(self, seconds: float) -> None:
        """Let nobody be answered for a while, as when a node holds the interpreter's lock.
        From any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(time.sleep, seconds)

    def send(self, kind: str, data: object, sid: str | None) -> None:
        """A message to one client, or to all for None. From any thread."""
        self._put(sid, as_text(kind, data))

    def send_bytes(self, event: int, data: bytes, sid: str | None) -> None:
        """A binary message. From any thread."""
        self._put(sid, struct.pack(">I", event) + data)

    def send_preview(self, form: str, data: bytes, about: dict[str, Any] | None) -> None:
        """A picture to whoever's prompt runs, with or without what it is `about`."""
        if about is None:
            self.send_bytes(1, struct.pack(">I", IMAGE_TYPES[form]) + data, self.client_id)
            return
        told = json.dumps(about | {"image_type": f"image/{form.lower()}"}).encode()
        self.send_bytes(4, struct.pack(">I", len(told)) + told + data, self.client_id)

    def _put(self, sid: str | None, message: str | bytes) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._out.put_nowait, (sid, message))

    def attach(self) -> None:
        """Take the loop that runs now for the one of all sockets."""
        self._loop = asyncio.get_running_loop()

    async def publish(self) -> None:
        """Deliver messages until cancelled."""
        while True:
            sid, message = await self._out.get()
            guests = list(self._by_sid.values()) if sid is None else [self._by_sid.get(sid)]
            for guest in guests:
                if guest is not None:
                    await deliver(guest.wire, message)
            self._out.task_done()


async def deliver(wire: Wire, message: str | bytes) -> None:
    """Send one frame; a socket that is gone takes nothing, which is no trouble of ours."""
    try:
        if isinstance(message, str):
            await wire.send_text(message)
        else:
            await wire.send_bytes(message)
    except Exception:  # whatever a broken connection raises: its reader ends it
        return


def as_text(kind: str, data: object) -> str:
    """A text frame."""
    return json.dumps({"type": kind, "data": data})
