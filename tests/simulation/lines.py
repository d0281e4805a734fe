"""Our own server's line to a simulated client: what `edges/line.py` promises, in memory.

What is written waits in a buffer with a mark, is taken in drawn times by whoever takes
it, comes in pieces that need not be frames, and is lost with a line that is cut. The
client's end reads the frames by the RFC, without help of ours. Unrealistic: the client's
own frames are never split, and its pings and answers to goodbyes do not travel.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any, Protocol

from safelight.edges.line import Receiver
from tests.simulation.server import Crashed, Life

Message = dict[str, Any]

MARKS = (0, 400, 64 * 1024)
"""Bytes above which a client counts as taking too little: every write, some, hardly any."""

GOODBYE_SECONDS = 2.0
PIECE = "line.piece"
TEXT, BINARY, GOODBYE = 1, 2, 8


class Pipe(Protocol):
    """Messages one way, in order."""

    def put(self, message: Message) -> float: ...
    async def get(self) -> Message: ...
    def end(self) -> None: ...


class Line:
    """The server's end. `is_taken_over` once somebody attached; `pauses` counts how often
    the buffer was too full."""

    def __init__(self, life: Life, up: Pipe, down: Pipe, dice: Random) -> None:
        self.is_taken_over = False
        self.pauses = 0
        self.untaken = 0
        self._life = life
        self._up = up
        self._down = down
        self._dice = dice
        self._mark = dice.choice(MARKS)
        self._receiver: Receiver | None = None
        self._is_open = True
        self._is_stuck = False
        self._reading = asyncio.Event()
        self._reading.set()

    def attach(self, receiver: Receiver) -> None:
        """From here on the receiver is called."""
        self.is_taken_over = True
        self._receiver = receiver
        self._life.here(self._read(), "line")

    def write(self, frames: bytes) -> None:
        """Off it goes, perhaps torn; nowhere, once the line has ended."""
        if not self._is_open:
            return
        cut = self._dice.randrange(len(frames)) if self._dice.random() < 0.3 else 0
        for piece in filter(None, (frames[:cut], frames[cut:])):
            there = self._down.put({"type": PIECE, "data": piece})
            self.untaken += len(piece)
            self._life.loop.call_at(there, self._take, len(piece))
        if self.untaken > self._mark and not self._is_stuck:
            self._is_stuck = True
            self.pauses += 1
            if self._receiver is not None:
                self._receiver.pause_writing()

    def pause_reading(self) -> None:
        """What comes waits."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """It waits no more."""
        self._reading.set()

    def close(self, code: int, reason: str) -> None:
        """A close frame behind what was written; after a moment the line is cut."""
        if self._is_open:
            told = code.to_bytes(2, "big") + reason.encode()
            self.write(bytes((0x80 | GOODBYE, len(told))) + told)
            self._is_open = False
            self._reading.set()
            self._life.loop.call_later(GOODBYE_SECONDS, self._down.end)
            self._life.loop.call_soon(self._tell_lost)

    async def _read(self) -> None:
        try:
            while (message := await self._up.get())["type"] == "websocket.receive":
                await self._reading.wait()
                if self._receiver is not None:
                    self._receiver.received(message.get("text") or message["bytes"])
        except Crashed:
            return
        self._is_open = False
        self._tell_lost()

    def _take(self, size: int) -> None:
        self.untaken -= size
        if self._is_stuck and self.untaken <= self._mark // 4:
            self._is_stuck = False
            if self._receiver is not None and self._is_open and not self._life.crashed:
                self._receiver.resume_writing()

    def _tell_lost(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None and not self._life.crashed:
            receiver.lost()


class Ear:
    """The client's end: whole messages, whatever carries them. Raises Crashed once the line
    is cut. A wait may be cancelled without loss."""

    def __init__(self, down: Pipe) -> None:
        self._down = down
        self._torn = bytearray()
        self._whole: deque[Message] = deque()

    async def get(self) -> Message:
        """The next message, as any ASGI server would have had it from the application."""
        while not self._whole:
            message = await self._down.get()
            if message["type"] != PIECE:
                return message
            self._torn += message["data"]
            self._whole.extend(_told(*frame) for frame in frames_of(self._torn))
        return self._whole.popleft()


def frames_of(torn: bytearray) -> Iterator[tuple[int, bytes]]:
    """Opcode and payload of each whole frame at the beginning, which is taken away."""
    while len(torn) >= 2:
        assert torn[0] & 0xF0 == 0x80 and torn[1] < 128, "a server's frames are whole and bare"
        begins = 2 + {126: 2, 127: 8}.get(torn[1], 0)
        size = int.from_bytes(torn[2:begins], "big") if begins > 2 else torn[1]
        if len(torn) < begins or len(torn) < begins + size:
            return
        opcode, payload = torn[0] & 0x0F, bytes(torn[begins : begins + size])
        del torn[: begins + size]
        yield opcode, payload


def _told(opcode: int, payload: bytes) -> Message:
    if opcode == GOODBYE:
        return {"type": "websocket.close", "code": int.from_bytes(payload[:2], "big")}
    assert opcode in (TEXT, BINARY), opcode
    kind, data = ("text", payload.decode()) if opcode == TEXT else ("bytes", payload)
    return {"type": "websocket.send", kind: data}
