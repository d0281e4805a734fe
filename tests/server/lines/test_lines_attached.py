"""The extension: who takes a line over is called back, and nothing else is kept for it."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import AsyncExitStack
from typing import Any

import pytest

from safelight import framing
from safelight.call import Call
from safelight.edges.line import LINE
from tests.doubles.clock import ManualClock
from tests.doubles.endpoints import Attached, Received, Sent
from tests.doubles.lined import frame, lined

HELLO = frame(0x81, b"hello")
MOST_BYTES_AN_IDLE_LINE = 1024
LARGE = framing.binary(bytes(50_000))


async def test_the_endpoint_returns_and_the_line_stays() -> None:
    """No task waits for it, and what comes is called back and answered."""
    app = Attached()
    async with lined(app) as house, house.opened() as client:
        await house.until(lambda: app.line and not house.state.tasks)
        await client.say(HELLO, frame(0x82, b"\xff"), frame(0x89, b"p"))
        assert await client.hear(2) == ["hello", b"\xff"]
        await client.say(HELLO)
        assert (await client.hear(3))[2] == "hello" and client.pongs == [b"p"]
        assert len(house.lines) == 1 and app.calls == []


async def test_an_idle_line_keeps_next_to_nothing() -> None:
    """No call, no scope, no header, no buffer: what Python holds for an attached line is
    counted, in objects and in bytes."""
    app = Attached(quiet=True)
    async with lined(app, max_connections=500) as house, AsyncExitStack() as stack:
        await stack.enter_async_context(house.opened())
        sockets: list[Any] = []
        gc.collect()
        calls = sum(isinstance(o, Call) for o in gc.get_objects())
        tracemalloc.start()
        try:
            before = traced()
            for _ in range(100):
                sockets.append(await stack.enter_async_context(house.opened(X_Long="x" * 500)))
            await house.until(lambda: not house.state.tasks)
            after = traced()
        finally:
            tracemalloc.stop()
        assert sum(isinstance(o, Call) for o in gc.get_objects()) == calls
        assert all(line._reader is not None and line._reader.held == 0 for line in house.lines)
        assert not any(hasattr(line, "__dict__") for line in house.lines)
    assert after - before <= 100 * MOST_BYTES_AN_IDLE_LINE


def traced() -> int:
    """Bytes that our own modules and uvicorn allocated and still hold."""
    gc.collect()
    wanted = [tracemalloc.Filter(True, f"*/{part}/*") for part in ("safelight", "uvicorn")]
    taken = tracemalloc.take_snapshot().filter_traces(wanted)
    return sum(trace.size for trace in taken.traces)


async def test_what_had_come_is_called_back_at_once() -> None:
    """Whoever takes the line late gets the messages that waited for the application, in
    their order, and then those that come."""
    late = asyncio.Event()
    attached = Attached(quiet=True)

    async def app(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await late.wait()
        attached.line = scope["extensions"][LINE]["line"]
        attached.line.attach(attached)
        assert attached.heard[:2] == ["0", "1"]

    async with lined(app) as house, house.opened() as client:
        (line,) = house.lines
        await client.say(*(frame(0x81, str(n).encode()) for n in range(200)))
        await house.until(lambda: line._paused)
        late.set()
        await house.until(lambda: len(attached.heard) == 200)
        await client.say(frame(0x81, b"200"))
        await house.until(lambda: len(attached.heard) == 201)
    assert attached.heard == [str(n) for n in range(201)]


async def test_whoever_comes_too_late_is_told_all_the_same() -> None:
    """A line that has ended before it is taken over gives what had come, and its end."""
    attached = Attached(quiet=True)

    async def app(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        line = scope["extensions"][LINE]["line"]
        await house.until(lambda: line.ended is not None and not house.lines)
        line.attach(attached)
        assert (attached.heard, attached.calls) == (["hello"], ["lost"])
        line.write(LARGE)
        line.close(4000, "")

    async with lined(app) as house:
        async with house.opened() as client:
            await client.say(HELLO, frame(0x88))
            await client.hear_to_the_end()
        await house.until_nobody()
    assert attached.calls == ["lost"]


async def test_a_line_is_taken_over_once() -> None:
    """Only by whom it was given to, and not before it is open."""
    caught: list[str] = []

    async def app(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        line = scope["extensions"][LINE]["line"]
        with pytest.raises(RuntimeError):
            line.attach(Attached())
        await receive()
        await send({"type": "websocket.accept"})
        line.attach(Attached(quiet=True))
        with pytest.raises(RuntimeError):
            line.attach(Attached())
        with pytest.raises(RuntimeError):
            await send({"type": "websocket.send", "text": "x"})
        caught.append("all")

    async with lined(app) as house, house.opened():
        await house.until(lambda: caught)


async def test_an_endpoint_that_fails_ends_the_line() -> None:
    """Also after it was taken over; an endpoint that is cancelled then says 1012."""

    def fail(attached: Attached) -> None:
        raise LookupError("a bug of the endpoint")

    app = Attached(begin=fail)
    async with lined(app) as house, house.opened() as client:
        assert await client.hear_to_the_end() == 1011
        await app.ended.wait()


async def test_a_receiver_is_told_when_to_stop_writing() -> None:
    """Once more is written than the client takes, and again when it has taken it; what was
    written meanwhile is all there."""
    app = Attached(quiet=True)
    async with lined(app, kernel_buffer=16 * 1024) as house, house.opened() as client:
        await house.until(lambda: app.line)
        written = 0
        while "pause" not in app.calls:
            app.line.write(LARGE)
            written += 1
            await asyncio.sleep(0)
        assert app.line.untaken > 0
        await client.hear(written)
        await house.until(lambda: app.calls == ["pause", "resume"])
        assert app.line.untaken == 0


async def test_whoever_attaches_to_a_stuck_line_is_told() -> None:
    """The client took too little already."""
    attached = Attached()

    async def app(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        line = scope["extensions"][LINE]["line"]
        while not line._stuck:
            line.write(LARGE)
            await asyncio.sleep(0)
        line.attach(attached)

    async with lined(app, kernel_buffer=16 * 1024) as house, house.opened() as client:
        await house.until(lambda: attached.calls)
        assert attached.calls == ["pause"]
        while "resume" not in attached.calls:
            await client.read()


async def test_a_receiver_that_pauses_gets_nothing_more() -> None:
    """Not even what came in the same read; once it resumes it gets all of it, in order, and
    what had come is not lost by a second pause."""
    app = Attached(quiet=True, pauses=2)
    count = 1000
    async with lined(app) as house, house.opened() as client:
        await house.until(lambda: app.line)
        await client.say(*(frame(0x81, str(n).encode()) for n in range(count)))
        await house.until(lambda: app.heard)
        for _ in range(5):
            await asyncio.sleep(0)
        assert app.heard == ["0"]
        app.line.resume_reading()
        await house.until(lambda: len(app.heard) == 2)
        app.line.resume_reading()
        await house.until(lambda: len(app.heard) == count)
    assert app.heard == [str(n) for n in range(count)]


async def test_a_receiver_is_lost_once_and_last() -> None:
    """Whoever closes: the receiver, the client, or the network."""

    async def end_by_receiver(app: Attached, client: Any) -> None:
        app.line.close(4000, "x")
        app.line.close(4001, "y")
        assert app.calls == [], "not from within"

    async def end_by_client(app: Attached, client: Any) -> None:
        await client.say(frame(0x88))

    async def end_by_network(app: Attached, client: Any) -> None:
        app.line.transport.abort()

    for end in (end_by_receiver, end_by_client, end_by_network):
        app = Attached()
        async with lined(app, ManualClock()) as house, house.opened() as client:
            await house.until(lambda app=app: app.line)
            await end(app, client)
            await app.ended.wait()
            app.line.write(LARGE)
            app.line.pause_reading()
            app.line.resume_reading()
            await client.say(HELLO, frame(0x88))
            await client.hear_to_the_end()
            await house.until_nobody()
        assert app.calls == ["lost"] and app.heard == []


async def test_a_thousand_frames_in_one_read() -> None:
    """Each is called back once, and their answers leave in order."""
    app = Attached()
    async with lined(app) as house, house.opened() as client:
        await client.say(*(frame(0x81, str(n).encode()) for n in range(1000)))
        assert await client.hear(1000) == [str(n) for n in range(1000)]


async def test_a_drip_of_single_bytes() -> None:
    """The opening and the frames may come one byte at a time."""
    app = Attached()
    async with lined(app) as house, house.opened() as client:
        parts = frame(0x01, b"dr") + frame(0x89, b"p") + frame(0x80, "ö".encode())
        for at in range(len(parts)):
            await client.say(parts[at : at + 1])
            await asyncio.sleep(0)
        assert await client.hear(1) == ["drö"] and client.pongs == [b"p"]


@pytest.mark.parametrize("tiny", [frame(0x81, b"x"), frame(0x8A), frame(0x89, b"p")])
async def test_a_flood_of_one_leaves_turns_to_the_others(tiny: bytes) -> None:
    """Messages, pongs and pings that come all at once are worked off over many turns of the
    event loop, in order and to the last."""
    turns = 0
    app = Attached(quiet=True)
    async with lined(app) as house, house.opened() as client:
        await house.until(lambda: app.line is not None)
        (line,) = house.lines
        running = True

        def turn() -> None:
            nonlocal turns
            turns += 1
            if running:
                asyncio.get_running_loop().call_soon(turn)

        line.data_received(tiny * 5_000 + HELLO)
        turn()
        await house.until(lambda: "hello" in app.heard)
        running = False
        assert turns >= 15
        assert app.heard.count("x") == (5_000 if tiny[0] == 0x81 else 0)
        await client.say(frame(0x82, b"still here"))
        await house.until(lambda: b"still here" in app.heard)


async def test_a_flood_that_is_paused_stays_paused() -> None:
    """Who stops the reading in the middle of a flood hears nothing more until it goes on."""
    app = Attached(quiet=True, pauses=1)
    async with lined(app) as house, house.opened():
        await house.until(lambda: app.line is not None)
        (line,) = house.lines
        line.data_received(frame(0x81, b"x") * 1_000)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(app.heard) == 1
        app.line.resume_reading()
        await house.until(lambda: len(app.heard) == 1_000)
