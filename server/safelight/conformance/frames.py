"""Checks of frames: versions, refs, compactness, and what closes a socket."""

from __future__ import annotations

from typing import Any

import msgspec
from websockets.exceptions import InvalidStatus

from .checking import Nonconforming, check, expect, expect_that
from .endpoint import Endpoint, Frame, Line

SECTION = "The socket"
BEAT: dict[str, Any] = {"status": "ok", "response": {}}


@check(SECTION)
async def heartbeat(endpoint: Endpoint) -> None:
    """A heartbeat is answered before any join, with its own ref and a null join_ref."""
    async with endpoint.line() as line:
        for ref in ("1", "007", "ref with blanks"):
            await line.send(None, ref, "phoenix", "heartbeat", {})
            frame = await _text(line)
            found = [frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload]
            expect(found, [None, ref, "phoenix", "phx_reply", BEAT], "the reply")


@check(SECTION)
async def version_one(endpoint: Endpoint) -> None:
    """Without `vsn` frames are objects of topic, event, payload and ref, and no more."""
    async with endpoint.line(vsn=None) as line:
        await line.send(None, "3", "phoenix", "heartbeat", {})
        frame = await _text(line)
        plain = msgspec.json.decode(frame.raw)
        wanted = {"topic": "phoenix", "event": "phx_reply", "payload": BEAT, "ref": "3"}
        expect(plain, wanted, "the frame")


@check(SECTION)
async def wrong_versions(endpoint: Endpoint) -> None:
    """A version that is not spoken is refused with 403 before the socket is accepted."""
    for vsn in ("3.0.0", "abc"):
        try:
            async with endpoint.line(vsn=vsn):
                raise Nonconforming(f"vsn {vsn} was accepted")
        except InvalidStatus as refused:
            expect(refused.response.status_code, 403, f"status for vsn {vsn}")


@check(SECTION)
async def compact_json(endpoint: Endpoint) -> None:
    """Frames are compact JSON in raw UTF-8: some clients cut them at commas by hand."""
    async with endpoint.line() as line:
        id = (await endpoint.create(endpoint.body(prompt="ein Mönch, 修道士")))["task_id"]
        await line.join(f"task:{id}")
        for frame in line.received:
            assert isinstance(frame, Frame)
            compact = msgspec.json.format(frame.raw.encode(), indent=-1).decode()
            expect(frame.raw, compact, "the frame")
            expect_that("\\u" not in frame.raw, "texts are not escaped", frame.raw)
            expect_that(isinstance(frame.payload, dict), "payloads are objects", frame.raw)


@check(SECTION)
async def subprotocol(endpoint: Endpoint) -> None:
    """Of offered sub-protocols `phoenix` is accepted, and only that one is echoed."""
    async with endpoint.line(subprotocols=["phoenix", "base64url.bearer.phx.bm9uZQ"]) as line:
        expect(line.connection.subprotocol, "phoenix", "the sub-protocol")
    async with endpoint.line() as line:
        expect(line.connection.subprotocol, None, "the sub-protocol when none was offered")


@check(SECTION)
async def no_frame(endpoint: Endpoint) -> None:
    """What is no frame closes the socket with 1011, whatever it is."""
    for junk in ("", "{}", "[]", "null", '["1","2"]', "[1,2,3,4,5]", b"\xff", b""):
        async with endpoint.line() as line:
            await line.send_anything(junk)
            expect(await line.closed(), 1011, f"close code after {junk!r}")


@check(SECTION)
async def too_large_a_frame(endpoint: Endpoint) -> None:
    """A frame above the limit closes the socket with 1009."""
    async with endpoint.line() as line:
        await line.send_anything("x" * (20 * 1024 * 1024))
        expect(await line.closed(), 1009, "close code")


@check(SECTION)
async def further_elements(endpoint: Endpoint) -> None:
    """Elements after the fifth are ignored."""
    async with endpoint.line() as line:
        await line.send_anything('[null,"5","phoenix","heartbeat",{},"more"]')
        expect((await _text(line)).ref, "5", "ref of the reply")


@check(SECTION)
async def client_goes_first(endpoint: Endpoint) -> None:
    """A client that closes is let go, with the code that it gave."""
    async with endpoint.line() as line:
        await line.connection.close(1001)
        expect(line.connection.close_code, 1001, "close code")


async def _text(line: Line) -> Frame:
    frame = await line.receive()
    if isinstance(frame, bytes):
        raise Nonconforming(f"a binary frame came: {frame[:40]!r}")
    return frame
