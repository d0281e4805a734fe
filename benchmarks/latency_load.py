"""Both ends of the event path for `bench_latency.py`: the provider and the subscribers.

One loop in one process, so that one clock times both: it answers `GET /jobs/<n>` with a
stream of JSON lines, reads the frames that come of them from one raw WebSocket a job, and
never sleeps while a phase runs, so that nobody pays for waking it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import msgspec

SENT = re.compile(rb'"message":\s?"(\d+)"')
PATIENCE = 15.0
STEPS = 10_000_000


class Phase(msgspec.Struct, kw_only=True):
    """What one phase came to. Times in milliseconds; `kept` of those sent while it ran."""

    sent: int = 0
    received: int = 0
    seconds: float = 0.0
    latencies: list[float] = []

    def percentile(self, share: float) -> float:
        """A percentile of the latencies, 0 without any."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Load:
    """A provider that listens and subscribers that read."""

    def __init__(self) -> None:
        self._streams: dict[str, asyncio.Transport] = {}
        self._made = 0
        self._phase = Phase()
        self._more: Callable[[str], None] = lambda job: None
        self._sockets: list[asyncio.Transport] = []
        self._server: asyncio.Server | None = None
        self.url = ""

    async def open(self) -> None:
        """Listen as the provider."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Stream(self._streams), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def begin(self, address: str, jobs: int, streams: int) -> None:
        """Create the jobs, follow each by a socket of its own, wait for so many streams."""
        async with httpx2.AsyncClient(base_url=address, timeout=PATIENCE) as http:
            for job in range(jobs):
                body = {"kind": "image", "model": "local/paint", "prompt": str(job)}
                answer = await http.post("/api/tasks", json=body)
                assert answer.status_code in (200, 202), answer.text
                await self._follow(address, str(job), answer.json()["data"]["task_id"])
        async with asyncio.timeout(PATIENCE):
            while len(self._streams) < streams:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _follow(self, address: str, job: str, id: str) -> None:
        parts = urlsplit(address)
        loop = asyncio.get_running_loop()
        joined = loop.create_future()
        transport, _ = await loop.create_connection(
            lambda: Follower(id, joined, lambda stamps: self._take(job, stamps)),
            parts.hostname,
            parts.port,
        )
        self._sockets.append(transport)
        async with asyncio.timeout(PATIENCE):
            await joined

    def end(self) -> None:
        """Leave everything that was begun; the provider goes on listening."""
        for transport in [*self._sockets, *self._streams.values()]:
            transport.abort()
        self._sockets.clear()
        self._streams.clear()

    def close(self) -> None:
        """Listen no more."""
        self.end()
        if self._server is not None:
            self._server.close()

    async def at_rate(self, rate: float, seconds: float) -> Phase:
        """Send at a rate over all jobs, and a moment later say what came of it."""
        phase, jobs = self._start(), sorted(self._streams)
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            while phase.sent < passed * rate:
                self._send(jobs[phase.sent % len(jobs)])
            await asyncio.sleep(0)
        return await self._finish(began)

    async def saturated(self, seconds: float, outstanding: int) -> Phase:
        """Keep so many events of each job under way."""
        self._start()
        self._more = self._send
        began = time.perf_counter()
        for job in sorted(self._streams):
            for _ in range(outstanding):
                self._send(job)
        while time.perf_counter() - began < seconds:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return await self._finish(began)

    async def paced(self, rate: float, seconds: float) -> Phase:
        """Let a provider inside the server send, and count what it does as sent."""
        phase, pace = self._start(), self._streams["pace"]
        _chunk(pace, json.dumps({"rate": rate, "seconds": seconds}).encode())
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:  # noqa: ASYNC110
            await asyncio.sleep(0)
        phase.sent = int(rate * seconds)
        return await self._finish(began)

    def _start(self) -> Phase:
        self._phase = Phase(latencies=[])
        return self._phase

    async def _finish(self, began: float) -> Phase:
        """What was received by now counts; what is still under way is left to come in."""
        phase, self._more = self._phase, lambda job: None
        phase.seconds = time.perf_counter() - began
        phase.received = len(phase.latencies)
        self._phase = Phase(latencies=[])
        await asyncio.sleep(0.5)
        return phase

    def _send(self, job: str) -> None:
        self._made += 1
        self._phase.sent += 1
        progress = round(self._made / STEPS, 4)
        line = b'{"progress":%.4f,"step":%d,"steps":%d,"sent":"%d"}'
        stamp = time.monotonic_ns()
        _chunk(self._streams[job], line % (progress, self._made, STEPS, stamp))

    def _take(self, job: str, stamps: list[bytes]) -> None:
        now = time.monotonic_ns()
        for stamp in stamps:
            self._phase.latencies.append((now - int(stamp)) / 1e6)
            self._more(job)


def _chunk(stream: asyncio.Transport, line: bytes) -> None:
    stream.write(b"%x\r\n%b\n\r\n" % (len(line) + 1, line))


class _Stream(asyncio.Protocol):
    """A request to the provider; the answer is a stream under the last word of its path."""

    def __init__(self, streams: dict[str, asyncio.Transport]) -> None:
        self._streams = streams

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        name = data.split(b" ", 2)[1].rpartition(b"/")[2].decode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"
        self._transport.write(head + b"transfer-encoding: chunked\r\n\r\n")
        self._streams[name] = self._transport


class Follower(asyncio.Protocol):
    """A WebSocket that joins one task and hands on the stamps of its events, which `stamp`
    finds in them. Takes frames of servers only: whole ones, not masked."""

    def __init__(
        self,
        id: str,
        joined: asyncio.Future[Any],
        take: Callable[[list[bytes]], None],
        stamp: re.Pattern[bytes] = SENT,
    ) -> None:
        self._topic = f"task:{id}"
        self._joined = joined
        self._take = take
        self._stamp = stamp
        self._rest = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            f"sec-websocket-key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if not self._upgraded:
            head, end, rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head, head
            self._upgraded, self._rest = True, rest
            self._join()
        whole = _whole(self._rest)
        told, self._rest = self._rest[:whole], self._rest[whole:]
        if not self._joined.done() and b"phx_reply" in told:
            self._joined.set_result(None)
        stamps = self._stamp.findall(told)
        if stamps:
            self._take(stamps)

    def _join(self) -> None:
        text = json.dumps(["1", "1", self._topic, "phx_join", {}]).encode()
        mask = b"\x00\x00\x00\x00"
        self._transport.write(bytes((0x81, 0x80 | len(text))) + mask + text)


def _whole(data: bytes) -> int:
    """Where the last whole frame ends."""
    end = 0
    while len(data) - end >= 2:
        size, head = data[end + 1] & 0x7F, 2
        if size == 126:
            size, head = int.from_bytes(data[end + 2 : end + 4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(data[end + 2 : end + 10], "big"), 10
        if end + head + size > len(data):
            break
        end += head + size
    return end
