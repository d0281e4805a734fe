"""The HTTP protocol class of our uvicorn: whose client must go on, and a short way through.

Holds no more for a client that takes nothing than its write buffer, and not for ever; waits
for no request without end. A request that came whole (`whole.py`) is first shown to the
application (`edges/short.py`): one that it takes becomes neither a cycle nor a task, and its
answer is one write. All others are uvicorn's. Requests of one connection are answered one
after another on either way. uvicorn's names that this leans on are pinned in
tests/server/lines. Knows neither routes nor tasks.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .edges.short import Answer, Short
from .machine import Clock, Timer
from .whole import Heads


class Manners(Protocol):
    """What a connection is told by the server's configuration (`doors.Config`)."""

    clock: Clock | None
    slow_seconds: float
    request_seconds: float
    most_connections: int
    short: Short | None
    heads: Heads

    def note_full(self, now: float) -> None:
        """There was no place for somebody."""

    def common(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Headers that all answers have, as they are sent."""


class HttpProtocol(HttpToolsProtocol):
    """HTTP whose client must go on: with the request that it owes us, and with taking
    what waits for it. Otherwise it is cut off."""

    config: Manners  # type: ignore[assignment]
    _limit: Timer | None = None
    _owed: Timer | None = None
    _heard_at = 0.0
    _begun = False
    _in_body = False
    _resting = False
    _rested_at = 0.0
    _asking = False  # a request is on its short way
    _last = False  # and its answer is the last one
    _kept = b""  # what came behind it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Whoever comes owes a request, and finds no place where there is none."""
        super().connection_made(transport)
        self._clock: Clock = self.config.clock or self.loop
        if len(self.connections) > self.config.most_connections:
            self.config.note_full(self._clock.time())
            transport.abort()
        else:
            self._owe()

    def data_received(self, data: bytes) -> None:
        """After empty lines, which begin no request, one is owed too."""
        if self._asking or self._kept:
            return self._keep(data)
        short = self.config.short
        if short is not None and data.startswith(short.short_starts) and self._is_free():
            if self._go_short(short, data):
                return
        self._heard_at = self._clock.time()
        super().data_received(data)
        if self._begun:
            return self._owe()
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self in self.connections and not self._resting:
            self._owe()

    def on_message_begin(self) -> None:
        """The rest of it is owed, unless it comes in the same moment, as most do."""
        super().on_message_begin()
        self._begun = True

    def on_headers_complete(self) -> None:
        """From here on it is enough that more of the body comes."""
        super().on_headers_complete()
        self._in_body = True

    def on_message_complete(self) -> None:
        """Nothing is owed; nor is it by a WebSocket, which begins here."""
        self._begun = self._in_body = False
        self._forgive()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The line goes on without this object, which lets go of its parser, or both would
        stay until the next collection of garbage."""
        super().handle_websocket_upgrade()
        self._forget_rest()
        self.parser = None  # type: ignore[assignment]

    def pause_writing(self) -> None:
        """The write buffer is full: from here on the reader's time runs."""
        super().pause_writing()
        self._wait_for_less()

    def resume_writing(self) -> None:
        """The reader took enough."""
        self._forget_limit()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is left to be cut off."""
        self._forget_limit()
        self._forgive()
        self._forget_rest()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """As uvicorn has it, but for the timer of an idle connection: one goes on over many
        requests, where a new one for each is a twentieth of what a small request costs."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self._rest()

    def shutdown(self) -> None:
        """An answer that is on its way still comes, and is the last one."""
        if self._asking:
            self._last = True
        else:
            super().shutdown()

    def _is_free(self) -> bool:
        """Whether nothing was begun that is not at its end, on either side."""
        idle = self.cycle is None or self.cycle.response_complete
        return idle and not (self._begun or self.flow.write_paused or self.transport.is_closing())

    def _go_short(self, short: Short, data: bytes) -> bool:
        """Whether the application takes the request that the bytes begin with."""
        found = self.config.heads.read(data)
        if found is None or self.root_path:
            return False
        head, start = found
        end = start + head.length
        self._asking, self._kept = True, data[end:]
        self._resting = False
        self._forgive()
        if not short.shortly(head, data[start:end], self.client, self._say):
            self._asking, self._kept = False, b""
            return False
        if self._kept:
            self.flow.pause_reading()
        return True

    def _keep(self, data: bytes) -> None:
        """What comes behind a request waits for its answer; more is not read meanwhile."""
        self._kept += data
        self.flow.pause_reading()

    def _say(self, answer: Answer) -> None:
        """The answer to a request that was taken; perhaps nobody is there any more."""
        self._asking = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.transport.write(self._rendered(answer))
        if self._last:
            self.transport.close()
        elif self._kept:
            self.loop.call_soon(self._go_on)
        else:
            self._rest()

    def _rendered(self, answer: Answer) -> bytes:
        parts: list[bytes | memoryview[int]] = [STATUS_LINE[answer.status_code]]
        parts.append(self.config.common(self.server_state.default_headers))
        for name, value in answer.raw_headers:
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"connection: close\r\n\r\n" if self._last else b"\r\n")
        parts.append(answer.body)
        return b"".join(parts)

    def _go_on(self) -> None:
        """Take up what was kept, after everybody else had a turn."""
        data, self._kept = self._kept, b""
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self.data_received(data)

    def _rest(self) -> None:
        self._resting = True
        self._rested_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._rest_for(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        """Something came; the timer will see that."""
        self._resting = False

    def _rest_for(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self._judge_rest)

    def _judge_rest(self) -> None:
        """Close the connection if it has been idle for long enough."""
        self.timeout_keep_alive_task = None
        left = self._rested_at + self.timeout_keep_alive - self.loop.time()
        if self._resting and left > 0:
            self._rest_for(left)
        elif self._resting:
            self.timeout_keep_alive_handler()

    def _forget_rest(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def _owe(self) -> None:
        if self._owed is None:
            self._owed = self._clock.call_later(self.config.request_seconds, self._demand)

    def _demand(self) -> None:
        """A body has as long again after each part of it, and while we do not read it."""
        now = self._clock.time()
        since = now if self.flow.read_paused else self._heard_at
        again_at = since + self.config.request_seconds
        if self._in_body and again_at > now:
            self._owed = self._clock.call_later(again_at - now, self._demand)
        else:
            self.transport.abort()

    def _forgive(self) -> None:
        if self._owed is not None:
            self._owed.cancel()
            self._owed = None

    def _wait_for_less(self) -> None:
        untaken = self.transport.get_write_buffer_size()
        self._limit = self._clock.call_later(self.config.slow_seconds, self._judge, untaken)

    def _judge(self, before: int) -> None:
        """Whoever took a little has as long again."""
        if self.transport.get_write_buffer_size() < before:
            self._wait_for_less()
        else:
            self.transport.abort()

    def _forget_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
