"""Following a task over HTTP: server-sent events, JSON long-poll, and waiting for its end.

All three register their wake first and read from their cursor second. A stream that
ends is not a task that ended: only a terminal event is. SSE and long-poll never fold.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from safelight_protocol.codes import Refused
from safelight_protocol.events import TERMINAL
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Task

from ..log import Place
from ..tail import Entry
from .bodies import answer, plain, query_number
from .context import Context, context_of

BATCH = 256
"""Events of one JSON answer, at most."""

MAX_ANSWER_BYTES = 1024 * 1024
"""Of all events of one JSON answer, unless it is a single one; the cursor says where the
next answer goes on."""

STREAM_BATCH = 64
"""Events that are held for one stream while its reader takes them; a reader that takes
nothing for `slow_reader_seconds` is cut off by `doors.py`."""

PIECE_BYTES = 16 * 1024
"""Of one write; what an event adds to it is the most that a stream holds of its own."""

HEARTBEAT_SECONDS = 10.0
"""Proxies have been seen to cut streams that were silent for 16 s."""

SSE_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def events(request: Request) -> Response:
    """GET /api/tasks/{id}/events: a stream, or one JSON answer if `wait` is sent or JSON
    is what the client accepts."""
    context = context_of(request)
    task = await context.orchestrator.find(context.owner(request), request.path_params["id"])
    if _wants_json(request):
        return await _poll(request, context, task)
    return await _stream(request, context, task)


async def wait_for_end(
    context: Context, task: Task, snapshot: Snapshot, seconds: float
) -> Snapshot:
    """The task's snapshot at its end, or as it is when the time is over or the server is
    going down."""
    with _woken(context, task.uid) as changed, anyio.move_on_after(seconds):
        while snapshot.status not in TERMINAL and not changed.leaving:
            snapshot = await context.log.snapshot(task)
            if snapshot.status not in TERMINAL:
                await changed.wait()
    return await context.log.snapshot(task)


class _Changed:
    """An event that can be waited for again and again; `leaving` once we shall go."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self.leaving = False

    def go(self) -> None:
        self.leaving = True
        self.set()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event = anyio.Event()


@contextmanager
def _woken(context: Context, topic: str) -> Iterator[_Changed]:
    changed = _Changed()
    subscription = context.subscriptions.follow(topic, changed.set)
    try:
        with context.guests.staying(changed.go):
            yield changed
    finally:
        subscription.close()


def _wants_json(request: Request) -> bool:
    if "wait" in request.query_params:
        return True
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/event-stream" not in accept


async def _poll(request: Request, context: Context, task: Task) -> Response:
    wait = query_number(request, "wait", 0, low=0, high=60) or 0
    place = await _place(request, context, task)
    with _woken(context, task.uid) as changed, anyio.move_on_after(wait):
        while not place.gap and not await context.log.read(task.uid, place.seq, 1):
            if changed.leaving or await _is_over(context, task, place.seq):
                break
            await changed.wait()
    snapshot = await context.log.snapshot(task)
    told = [] if place.gap else await _answered(context, task.uid, place.seq)
    seq = snapshot.seq if place.gap else told[-1].seq if told else place.seq
    data = {
        "events": [msgspec.Raw(entry.body) for entry in told],
        "cursor": context.log.cursor(seq),
        "log": context.log.id,
        "gap": place.gap,
        "ended": snapshot.status in TERMINAL and seq == snapshot.seq,
    }
    if place.gap:
        data["task"] = plain(snapshot)
    return answer(data, f"{len(told)} events")


async def _answered(context: Context, uid: str, seq: int) -> list[Entry]:
    """The events after `seq` that one JSON answer holds; the next begins at its cursor."""
    told: list[Entry] = []
    size = 0
    while len(told) < BATCH:
        read = await context.log.read(uid, told[-1].seq if told else seq, STREAM_BATCH)
        for entry in read:
            size += len(entry.body)
            if told and size > MAX_ANSWER_BYTES:
                return told
            told.append(entry)
        if len(read) < STREAM_BATCH:
            return told
    return told


async def _stream(request: Request, context: Context, task: Task) -> Response:
    place = await _place(request, context, task)
    snapshot = await context.log.snapshot(task)
    if snapshot.status in TERMINAL and place.seq == snapshot.seq and not place.gap:
        return Response(status_code=204)  # or EventSource would come back for ever
    if request.method == "HEAD":  # what a GET would begin with; there is nothing to wait for
        return StreamingResponse(iter(()), media_type="text/event-stream", headers=SSE_HEADERS)
    return _Stream(_sse(context, task, place), media_type="text/event-stream", headers=SSE_HEADERS)


class _Stream(StreamingResponse):
    """Ends its generator however it ends itself. A client that goes while a chunk is being
    sent leaves the generator between two events, and its subscription would stay until
    the next garbage collection."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            if isinstance(self.body_iterator, AsyncGenerator):
                with anyio.CancelScope(shield=True):
                    await self.body_iterator.aclose()


async def _sse(context: Context, task: Task, place: Place) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    seq = place.seq
    if place.gap:
        snapshot = await context.log.snapshot(task)
        seq = snapshot.seq
        yield _gap(context, snapshot)
        if snapshot.status in TERMINAL:
            return
    with _woken(context, task.uid) as changed:
        while not changed.leaving:
            try:
                told = await context.log.read(task.uid, seq, STREAM_BATCH)
            except Refused:
                return  # unreadable, or swept meanwhile: it comes back with its cursor
            for piece in _pieces(context, told):
                yield piece
            if told:
                seq = told[-1].seq
            else:
                if await _is_over(context, task, seq):
                    return
                with anyio.move_on_after(HEARTBEAT_SECONDS) as silence:
                    await changed.wait()
                if silence.cancelled_caught:
                    yield b": still here\n\n"


async def _is_over(context: Context, task: Task, seq: int) -> bool:
    try:
        snapshot = await context.log.snapshot(task)
    except Refused:
        return True  # deleted, or unreadable: the stream ends, the task need not have
    return snapshot.status in TERMINAL and seq >= snapshot.seq


def _pieces(context: Context, told: list[Entry]) -> Iterator[bytes]:
    """The events, joined to few writes."""
    piece = bytearray()
    for entry in told:
        piece += _sse_event(context.log.cursor(entry.seq), b"progress", entry.body)
        if len(piece) >= PIECE_BYTES or entry is told[-1]:
            yield bytes(piece)
            piece.clear()


def _gap(context: Context, snapshot: Snapshot) -> bytes:
    cursor = context.log.cursor(snapshot.seq)
    body = msgspec.json.encode({"task": snapshot, "cursor": cursor, "gap": True})
    return _sse_event(cursor, b"gap", body)


def _sse_event(cursor: str, name: bytes, body: bytes) -> bytes:
    return b"id: " + cursor.encode() + b"\nevent: " + name + b"\ndata: " + body + b"\n\n"


async def _place(request: Request, context: Context, task: Task) -> Place:
    after: str | int | None = request.headers.get("last-event-id") or None
    if after is None:
        after = request.query_params.get("after")
    log = request.query_params.get("log")
    place = await context.log.place(task, 0 if after is None else after, log)
    assert place is not None, "a cursor was given"
    return place
