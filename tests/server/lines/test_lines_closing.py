"""How lines of our protocol class end: by either side, in order or not, and in what time."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from safelight import framing
from safelight.lines import GOODBYE_SECONDS, MOST_UNREAD_BYTES
from tests.doubles.clock import ManualClock
from tests.doubles.endpoints import Attached, Echo, Received, Sent
from tests.doubles.lined import Lined, frame, lined, request

SMALL = 16 * 1024
MAX_FRAME = 100_000
HELLO = frame(0x81, b"hello")
LARGE = framing.binary(bytes(50_000))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def app() -> Attached:
    return Attached(quiet=True)


@pytest.fixture
async def house(app: Attached, clock: ManualClock) -> AsyncIterator[Lined]:
    async with lined(app, clock, SMALL, max_frame_bytes=MAX_FRAME) as running:
        yield running


async def stuck(house: Lined, app: Attached, many: int = 1) -> int:
    """Write until the client, which reads nothing, holds it up; how many frames that were."""
    await house.until(lambda: app.line)
    written = 0
    while written < many or "pause" not in app.calls:
        app.line.write(LARGE)
        written += 1
        await asyncio.sleep(0)
    return written


async def test_a_goodbye_is_over_with_its_answer(
    house: Lined, app: Attached, clock: ManualClock
) -> None:
    """The line ends at once when the client answers, and no timer is left."""
    async with house.opened() as client:
        await house.until(lambda: app.line)
        app.line.close(4001, "enough")
        assert await client.hear_to_the_end() == 4001
        assert client.close is not None and client.close.reason == "enough"
        await house.until_nobody()
        assert clock.begun == 2 and not clock.running  # one was for the request


async def test_a_goodbye_without_an_answer_is_over_in_a_moment(
    house: Lined, app: Attached, clock: ManualClock
) -> None:
    """A client that hears it and says nothing is cut, not earlier and not later; what it
    sends meanwhile is not heard."""
    async with house.opened() as client:
        client.polite = False
        await house.until(lambda: app.line)
        app.line.close(4001, "")
        while client.close is None:
            await client.read()
        await client.say(HELLO, frame(0x89, b"p"))
        clock.advance(GOODBYE_SECONDS - 0.1)
        await asyncio.sleep(0)
        assert len(house.lines) == 1
        clock.advance(0.1)
        assert await client.hear_to_the_end() == 4001
        await house.until_nobody()
    assert app.heard == [] and client.pongs == []


async def test_a_goodbye_reaches_somebody_who_read_nothing(house: Lined, app: Attached) -> None:
    """The close frame stands behind all that was written, whenever it is read in time."""
    async with house.opened() as client:
        written = await stuck(house, app)
        app.line.close(1013, "slow")
        app.line.write(LARGE)
        assert await client.hear_to_the_end() == 1013
    assert len(client.heard) == written and app.calls == ["pause", "lost"]


async def test_somebody_who_reads_nothing_is_cut(
    house: Lined, app: Attached, clock: ManualClock
) -> None:
    """What it has not taken by then is given up."""
    async with house.opened() as client:
        await stuck(house, app, many=20)
        app.line.close(1013, "slow")
        clock.advance(GOODBYE_SECONDS)
        await house.until_nobody()
        assert await client.hear_to_the_end() is None
    assert app.calls == ["pause", "lost"]


async def test_a_paused_line_still_hears_the_answer(house: Lined, app: Attached) -> None:
    """Whoever had stopped the reading is not waited for after its goodbye."""
    async with house.opened() as client:
        await house.until(lambda: app.line)
        app.line.pause_reading()
        app.line.close(4001, "")
        assert await client.hear_to_the_end() == 4001
        await house.until_nobody()


async def test_no_goodbye_has_a_code_that_cannot_be_sent(house: Lined, app: Attached) -> None:
    """It is refused in words, and the line goes on."""
    async with house.opened() as client:
        await house.until(lambda: app.line)
        with pytest.raises(ValueError, match="1006"):
            app.line.close(1006, "")
        await client.say(HELLO)
        await house.until(lambda: app.heard)


@pytest.mark.parametrize(
    ("body", "code"), [(b"", 1005), (b"\x03\xe8", 1000), (b"\x0f\xa0bye", 4000)]
)
async def test_a_clients_goodbye_is_answered_alike(
    house: Lined, app: Attached, body: bytes, code: int
) -> None:
    """With the code it has, and behind what was written before; then the line ends."""
    async with house.opened() as client:
        await client.say(HELLO, frame(0x88, body), HELLO)
        assert await client.hear_to_the_end() == code
        await house.until_nobody()
    assert app.heard == ["hello"] and app.calls == ["lost"]
    assert app.line.ended[0] == code


async def test_a_clients_goodbye_is_not_waited_for_long(
    house: Lined, app: Attached, clock: ManualClock
) -> None:
    """A client that says goodbye and then takes nothing is cut like any other."""
    async with house.opened() as client:
        await stuck(house, app, many=20)
        await client.say(frame(0x88))
        await app.ended.wait()
        clock.advance(GOODBYE_SECONDS)
        await house.until_nobody()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x02{}", 1002),
        (frame(0x83), 1002),
        (frame(0x81, b"\xff"), 1007),
        (b"\x82\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0", 1009),
        (frame(0x88, b"\x03\xee"), 1002),
    ],
    ids=["not masked", "no such opcode", "no UTF-8", "too large", "a code that none sends"],
)
async def test_a_fault_is_told_by_its_code(
    house: Lined, app: Attached, sent: bytes, code: int
) -> None:
    """What came before it counts; nothing behind it does."""
    async with house.opened() as client:
        await client.say(HELLO, sent, HELLO)
        assert await client.hear_to_the_end() == code
    await house.until_nobody()
    assert app.heard == ["hello"] and app.calls == ["lost"]


async def test_whoever_is_sending_still_hears_why(
    house: Lined, app: Attached, clock: ManualClock
) -> None:
    """A client in the middle of a message that is too large finds the close frame, though
    the server has read nothing of the rest; and it does not go on for ever."""
    async with house.opened() as client:
        await client.say(frame(0x82, bytes(50 * MAX_FRAME)))
        assert await client.hear_to_the_end() == 1009
        client.line._socket.shutdown(socket.SHUT_WR)
        await house.until_nobody()
        assert not clock.running
    async with house.opened() as client:
        await client.say(b"\x81\x02{}")
        assert await client.hear_to_the_end() == 1002
        clock.advance(GOODBYE_SECONDS)
        await house.until_nobody()


async def test_a_real_client_is_told_that_it_is_too_large() -> None:
    """In one part and in several."""
    async with lined(Echo(), max_frame_bytes=1000) as house:
        for message in ("x" * 100_000, ["x" * 40_000] * 3):
            async with connect(house.address, proxy=None) as client:
                with pytest.raises(ConnectionClosed) as closed:
                    await client.send(message)
                    await client.recv()
                assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


async def test_half_a_close_is_an_end(house: Lined, app: Attached, clock: ManualClock) -> None:
    """A client that only hangs up its side is gone; what was written before still leaves,
    for a moment."""
    async with house.opened() as client:
        written = await stuck(house, app)
        client.line._socket.shutdown(socket.SHUT_WR)
        await app.ended.wait()
        assert app.line.ended == (1006, "")
        assert await client.hear_to_the_end() is None
        assert len(client.heard) == written
        await house.until_nobody()
    app.line, app.calls = None, []
    async with house.opened() as client:
        await stuck(house, app, many=20)
        client.line._socket.shutdown(socket.SHUT_WR)
        await clock.until_runs(GOODBYE_SECONDS)
        clock.advance(GOODBYE_SECONDS)
        await house.until_nobody()


async def test_a_client_that_vanishes_is_noticed(house: Lined, app: Attached) -> None:
    """At its reset the receiver is told, in the middle of a message too."""
    async with house.opened() as client:
        await client.say(HELLO[:-1])
        await house.until(lambda: app.line)
        linger = b"\x01\0\0\0\0\0\0\0"
        client.line._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    await app.ended.wait()
    await house.until_nobody()
    assert app.heard == [] and app.line.ended == (1006, "")


async def test_pongs_that_nobody_takes_end_the_line(house: Lined, app: Attached) -> None:
    """They wait for no reader; a client that takes none of them loses its line before they
    are too many. One that takes them may ask for as many."""
    most = 0
    ping = frame(0x89, b"x" * 125)
    async with house.opened() as client:
        (line,) = house.lines
        with pytest.raises(OSError):
            for _ in range(2000):
                await client.say(*[ping] * 100)
                most = max(most, line.untaken)
        await house.until_nobody()
        assert MOST_UNREAD_BYTES / 2 < most < MOST_UNREAD_BYTES + 4 * 2**20
    async with house.opened() as client:
        for n in range(400):
            await client.say(*[ping] * 100)
            while len(client.pongs) < n * 100:
                await client.read()


async def test_pings_are_not_answered_after_a_goodbye(house: Lined, app: Attached) -> None:
    """Nothing is sent behind a close frame."""
    async with house.opened() as client:
        client.polite = False
        await house.until(lambda: app.line)
        app.line.close(4001, "")
        await client.say(frame(0x89, b"p"), frame(0x88, b"\x0f\xa1"))
        assert await client.hear_to_the_end() == 4001
        assert client.pongs == []


async def test_the_end_of_the_server_is_1012(app: Attached, clock: ManualClock) -> None:
    """uvicorn's own shutdown says so to whoever is still there, attached or not; somebody
    who is not in yet has a 503, and nobody is waited for longer than a moment."""

    async def slow(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        await receive()
        if scope["path"] == "/slow":
            await receive()
            return
        await (app if scope["path"] == "/attached" else Echo())(scope, again(receive), send)

    def again(receive: Received) -> Received:
        first = [{"type": "websocket.connect"}]

        async def received() -> dict[str, Any]:
            return first.pop() if first else await receive()

        return received

    async with lined(slow, clock) as house:
        async with house.raw() as outside, house.raw() as attached, house.raw() as plain:
            for client, path in ((attached, "/attached"), (plain, "/plain")):
                await client.line.write(request(path=path))
                await client.read_answer()
            await outside.line.write(request(path="/slow"))
            await house.until(lambda: len(house.lines) == 3 and app.line)
            house.server.should_exit = True
            assert await attached.hear_to_the_end() == 1012
            assert await plain.hear_to_the_end() == 1012
            assert (await outside.line.read_to_end()).startswith(b"HTTP/1.1 503 ")
            await house.until_nobody()
    assert app.calls == ["lost"]


async def test_an_endpoint_that_is_cancelled_says_1012(house: Lined) -> None:
    """uvicorn cancels what is left at the end of its time."""
    async with lined(Echo()) as other, other.opened() as client:
        (task,) = other.state.tasks
        task.cancel()
        assert await client.hear_to_the_end() == 1012
        await other.until_nobody()
        assert task.cancelled()


async def test_what_has_ended_is_let_go(house: Lined, app: Attached) -> None:
    """Nobody holds a line, its receiver or its call once it is over."""
    for _ in range(3):
        async with house.opened() as client:
            await client.say(frame(0x88))
            await client.hear_to_the_end()
        await house.until_nobody()
    app.line = None
    await asyncio.sleep(0)
    gc.collect()
    kinds = [type(o).__name__ for o in gc.get_objects()]
    assert "LineProtocol" not in kinds and "Call" not in kinds and "Reader" not in kinds


async def test_both_sides_may_say_goodbye_at_once(house: Lined, app: Attached) -> None:
    """Their close frames cross, and the line ends in order."""
    async with house.opened() as client:
        client.polite = False
        await house.until(lambda: app.line)
        await client.say(frame(0x88, b"\x03\xe9"))
        app.line.close(4001, "")
        assert await client.hear_to_the_end() in (4001, 1001)
        await house.until_nobody()
    assert app.calls == ["lost"]


async def test_a_closed_line_answers_no_fault(house: Lined, app: Attached) -> None:
    """What cannot be understood after our goodbye ends the line, without a second one."""
    async with house.opened() as client:
        client.polite = False
        await house.until(lambda: app.line)
        app.line.close(4001, "")
        await client.say(b"\x81\x02{}")
        assert await client.hear_to_the_end() == 4001
        await house.until_nobody()
