"""The crowd of `bench_storm.py`, in a process of its own: many sockets, each with a cursor.

As light as can be, so that it is not what is measured: one asyncio protocol per socket that
reads frames by hand, no tasks, no timers. Orders come on standard input and facts leave on
standard output, one JSON object a line:

    {"port", "ids", "sockets"} -> "joined"  when every socket has its first event
                               -> "lost"    when the last of them has lost its connection
    {"again": monotonic}       -> figures   when every socket has its task's end
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

PORTS_PER_ADDRESS = 20_000
"""Connections that leave from one loopback address; then comes the next one."""

AT_ONCE = 200
"""Sockets that are opened together in the beginning; in the storm it is all of them."""


PATIENCE_SECONDS = 100.0
"""How long one round may take."""


class Told(msgspec.Struct):
    """What matters of a payload, of a reply or an event."""

    seq: int = 0
    from_seq: int = 0
    status: str = ""
    response: Any = None


_frame = msgspec.json.Decoder(tuple[Any, Any, str, str, Told])


class Follower(asyncio.Protocol):
    """One socket that follows one task, through its connections. `told` is the last seq."""

    def __init__(self, id: str, on_loss: Callable[[], None]) -> None:
        self.id = id
        self.told = 0
        self.ended = False
        self.gaps = 0
        self.twice = 0
        self.rejoined_at = 0.0
        self.ended_at = 0.0
        self.frames = 0
        self.on_first: Callable[[], None] = lambda: None
        self.on_loss = on_loss
        self.on_end: Callable[[], None] = lambda: None
        self._cursor: str | int = 0
        self._log = ""
        self._buffer = bytearray()
        self._open = False

    def connection_made(self, transport: Any) -> None:
        """Ask for the socket; the topic is asked for when it is there."""
        self._buffer.clear()
        self._open = False
        join = ["1", "1", f"task:{self.id}", "phx_join", {"after": self._cursor}]
        upgrade = (
            "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        self._transport = transport
        self._join = _masked(json.dumps(join).encode())
        transport.write(upgrade.encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for the order to come back."""
        self.on_loss()

    def data_received(self, data: bytes) -> None:
        """Bytes of the server: the answer to the upgrade, then frames."""
        self._buffer += data
        if not self._open:
            head, mark, rest = self._buffer.partition(b"\r\n\r\n")
            if not mark:
                return
            assert head.startswith(b"HTTP/1.1 101"), bytes(head)
            self._buffer, self._open = rest, True
            self._transport.write(self._join)
        while (frame := self._next()) is not None:
            self._take(frame)

    def _next(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        size, start = buffer[1], 2
        if size == 126:
            size, start = struct.unpack_from(">H", buffer, 2)[0], 4
        elif size == 127:
            size, start = struct.unpack_from(">Q", buffer, 2)[0], 10
        if len(buffer) < start + size:
            return None
        frame = bytes(buffer[start : start + size])
        del buffer[: start + size]
        return frame if frame[:1] == b"[" else self._next()

    def _take(self, frame: bytes) -> None:
        self.frames += 1
        _, ref, _, event, told = _frame.decode(frame)
        if event == "phx_reply" and ref == "1":
            self._replied(told.response)
        elif event == "progress":
            self._event(told)

    def _replied(self, reply: dict[str, Any]) -> None:
        self._log = reply["log"]
        self.gaps += reply["gap"]
        self.rejoined_at = time.monotonic()

    def _event(self, told: Told) -> None:
        first = told.from_seq or told.seq
        if self.told == 0:
            self.on_first()
        self.gaps += first > self.told + 1
        self.twice += first <= self.told
        self.told = told.seq
        self._cursor = f"{self._log}-{told.seq}"
        if told.status in ("completed", "failed", "canceled"):
            self.ended = True
            self.ended_at = time.monotonic()
            self.on_end()


class Countdown:
    """Something to wait for that happens so many times."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._done = asyncio.Event()

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._done.set()

    async def wait(self) -> None:
        """Return once it has happened as often."""
        await self._done.wait()


async def main() -> None:
    """Follow the orders on standard input to their end; one mistake ends the process."""
    asyncio.get_running_loop().set_exception_handler(_fail)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await obey()


async def obey() -> None:
    """One round."""
    given = json.loads(await asyncio.to_thread(sys.stdin.readline))
    port, ids, count = given["port"], given["ids"], given["sockets"]
    lost = Countdown(count)
    followers = [Follower(ids[i % len(ids)], lost) for i in range(count)]
    for start in range(0, count, AT_ONCE):
        some = followers[start : start + AT_ONCE]
        joined = Countdown(len(some))
        for follower in some:
            follower.on_first = joined
        await asyncio.gather(*(connect(port, start + i, f) for i, f in enumerate(some)))
        await joined.wait()
    say("joined")
    await lost.wait()
    say("lost")
    began = json.loads(await asyncio.to_thread(sys.stdin.readline))["again"]
    say(await storm(port, followers, began))


async def storm(port: int, followers: list[Follower], began: float) -> dict[str, Any]:
    """All come back at once; figures in seconds since `began`."""
    ended = Countdown(len(followers))
    frames = sum(follower.frames for follower in followers)
    for follower in followers:
        follower.on_loss, follower.on_end = (lambda: None), ended
    used = time.process_time()
    await asyncio.gather(*(connect(port, i, f) for i, f in enumerate(followers)))
    await ended.wait()
    return {
        "cpu": time.process_time() - used,
        "rejoined": sorted(follower.rejoined_at - began for follower in followers),
        "caught_up": sorted(follower.ended_at - began for follower in followers),
        "frames": sum(follower.frames for follower in followers) - frames,
        "gaps": sum(follower.gaps for follower in followers),
        "twice": sum(follower.twice for follower in followers),
    }


async def connect(port: int, number: int, follower: Follower) -> None:
    """Open one socket, from a loopback address that still has ports."""
    source = (f"127.0.0.{1 + number // PORTS_PER_ADDRESS}", 0)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: follower, "127.0.0.1", port, local_addr=source)


def _fail(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    print(context, file=sys.stderr)
    os._exit(1)


def say(fact: object) -> None:
    """One line for the benchmark."""
    print(json.dumps(fact), flush=True)


def _masked(payload: bytes) -> bytes:
    """A text frame of a client; a mask of zeros is one."""
    assert len(payload) < 65536
    size = bytes([len(payload) | 0x80]) if len(payload) < 126 else b""
    size = size or b"\xfe" + struct.pack(">H", len(payload))
    return b"\x81" + size + bytes(4) + payload


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
