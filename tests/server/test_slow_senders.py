"""Clients that do not send what they owe: how long they are waited for, and how many.

Time stands still here until a test moves it on.
"""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from safelight.doors import (
    FULL_SECONDS,
    LEAST_CONNECTIONS,
    MOST_FILES,
    OTHER_FILES,
    Config,
    room,
)
from safelight.settings import Settings
from tests.doubles.clock import ManualClock
from tests.doubles.deaf import Line, deaf, line_to
from tests.doubles.process import ServerProcess, started
from tests.doubles.served import PATIENCE, Served, served

REQUEST_SECONDS = 8.0
GET = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
POST = b"POST /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def house(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Served]:
    async with served(tmp_path, request_seconds=REQUEST_SECONDS, clock=clock) as running:
        yield running


async def heard(clock: ManualClock, line: Line, sent: bytes) -> None:
    """Write it, and wait until the server has it."""
    if sent:
        async with clock.heard():
            await line.write(sent)


def is_waited_for(house: Served) -> bool:
    """Whether the only connection there is has not been cut."""
    return [connection.transport.is_closing() for connection in house.connections] == [False]


async def answered(line: Line) -> bool:
    """Whether a request on this line is answered; False once it is cut."""
    try:
        await line.write(GET)
    except OSError:
        return False
    return (await line.read()).startswith(b"HTTP/1.1 200")


async def until_answered(url: str) -> None:
    """Come again until there is a place."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with line_to(url) as line:
                if await answered(line):
                    return


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /readyz HT", GET[:-2], POST % 99 + b"{"],
    ids=["nothing", "half a line", "half a header", "half a body"],
)
async def test_what_is_not_sent_to_its_end_is_not_waited_for(
    house: Served, clock: ManualClock, sent: bytes
) -> None:
    """A client that stops in the middle, or never begins, is cut off after its time, and
    not before."""
    async with line_to(house.url) as line:
        await clock.until_runs(REQUEST_SECONDS)
        await heard(clock, line, sent)
        clock.advance(REQUEST_SECONDS - 1)
        assert is_waited_for(house)
        clock.advance(1)
        assert await line.read_to_end() == b""
    assert not house.connections


@pytest.mark.parametrize(
    "sent",
    [b"\r\n", GET[:-2], POST % 99 + b"{"],
    ids=["empty lines", "half a header", "half a body"],
)
async def test_a_later_request_is_waited_for_as_long(
    house: Served, clock: ManualClock, sent: bytes
) -> None:
    """On a kept connection it is the same, and what begins no request does not keep it."""
    async with line_to(house.url) as line:
        assert await answered(line)
        clock.advance(2 * REQUEST_SECONDS)
        await heard(clock, line, sent)
        clock.advance(REQUEST_SECONDS - 1)
        assert is_waited_for(house)
        clock.advance(1)
        assert await line.read_to_end() == b""


async def test_a_header_may_not_trickle(house: Served, clock: ManualClock) -> None:
    """A line of it now and then is not enough: the request has to begin in its time."""
    async with line_to(house.url) as line:
        await clock.until_runs(REQUEST_SECONDS)
        await heard(clock, line, GET[:-2])
        for n in range(3):
            clock.advance(REQUEST_SECONDS / 4)
            await heard(clock, line, b"X-%d: x\r\n" % n)
        clock.advance(REQUEST_SECONDS / 4)
        assert await line.read_to_end() == b""


async def test_a_body_that_goes_on_is_waited_for(house: Served, clock: ManualClock) -> None:
    """As long as parts of it come it may take any time."""
    body = json.dumps({"kind": "image", "prompt": "x", "model": "scripted/image"}).encode()
    async with line_to(house.url) as line:
        await heard(clock, line, POST % len(body))
        for n in range(0, len(body), 8):
            clock.advance(REQUEST_SECONDS * 3 / 4)
            await heard(clock, line, body[n : n + 8])
        assert (await line.read()).startswith(b"HTTP/1.1 202")


async def test_whoever_owes_nothing_stays(house: Served, clock: ManualClock) -> None:
    """A stream, a socket and a kept connection are there long after that time."""
    await house.create(id="t1", params={"script": [{"do": "wait", "gate": "go"}]})
    async with line_to(house.url) as stream, deaf(house.url) as socket, line_to(house.url) as kept:
        await heard(clock, stream, GET.replace(b"/readyz", b"/api/tasks/t1/events"))
        assert await answered(kept)
        clock.advance(3 * REQUEST_SECONDS)
        assert await answered(kept)
        await socket.say(None, "1", "phoenix", "heartbeat", {})
        await socket.hear("phx_reply")
        house.scripted.gate("go").set()
        told = b""
        while b'"completed"' not in told:
            told += (more := await stream.read())
            assert more


async def test_there_are_only_so_many_connections(tmp_path: Path) -> None:
    """One more is cut off at once, sockets counted; when somebody goes there is a place."""
    async with served(tmp_path, max_connections=3) as house, AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line_to(house.url)) for _ in range(2)]
        assert [await answered(line) for line in lines] == [True, True]
        async with deaf(house.url) as socket:
            async with line_to(house.url) as late:
                assert not await answered(late)
            await socket.line.write(b"\x81\x00")  # not masked: the server closes
            await socket.line.read_to_end()
        await until_answered(house.url)


async def test_silent_lines_lock_nobody_out_for_long(tmp_path: Path, clock: ManualClock) -> None:
    """When the silent ones have had their time others are answered."""
    limits = {"max_connections": 3, "request_seconds": REQUEST_SECONDS}
    async with served(tmp_path, clock=clock, **limits) as house, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(line_to(house.url)) for _ in range(3)]
        async with line_to(house.url) as late:
            assert not await answered(late)
        clock.advance(REQUEST_SECONDS)
        assert [await line.read_to_end() for line in silent] == [b"", b"", b""]
        async with line_to(house.url) as later:
            assert await answered(later)


async def test_no_place_is_told_once_in_a_while(
    tmp_path: Path, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of many who find no place the log has one line a minute."""
    limits = {"max_connections": 1, "request_seconds": 10 * FULL_SECONDS}
    async with served(tmp_path, clock=clock, **limits) as house, AsyncExitStack() as stack:
        line = await stack.enter_async_context(line_to(house.url))
        assert await answered(line)
        told = []
        for seconds in (0, FULL_SECONDS - 1, 1):
            clock.advance(seconds)
            for _ in range(3):
                async with line_to(house.url) as late:
                    assert not await answered(late)
            told.append(capsys.readouterr().out.count("server.full"))
    assert told == [1, 0, 1]


BESIDE = {
    "no body": {"Content-Length": "0"},
    "a body that never comes": {"Content-Length": "2"},
    "a body without end": {"Transfer-Encoding": "chunked"},
    "a large cookie": {"Cookie": "a=" + "x" * 60_000},
}
"""What an upgrade may carry that it should not, or hardly ever does."""


@pytest.mark.parametrize("headers", BESIDE.values(), ids=BESIDE)
async def test_an_upgrade_is_answered_whatever_it_carries(
    tmp_path: Path, clock: ManualClock, headers: dict[str, str]
) -> None:
    """No such request is kept waiting in silence: it becomes a socket, which nobody cuts as
    a request that did not come to its end."""
    limits = {"request_seconds": REQUEST_SECONDS}
    async with served(tmp_path, clock=clock, **limits) as house:
        async with house.connect(additional_headers=headers) as phone:
            clock.advance(2 * REQUEST_SECONDS)
            reply = await phone.join("task:none")
            assert reply["response"]["reason"] == "Task not found"


def test_the_connections_leave_room_for_files() -> None:
    """Without a setting there are as many as files may be open, less those of the house."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert room() == max(LEAST_CONNECTIONS, min(files, MOST_FILES) - OTHER_FILES)
    assert Config(None, Settings()).most_connections == room()
    assert Config(None, Settings(max_connections=7)).most_connections == 7


class Confined(ServerProcess):
    """A server that begins with few open files, and may ask for more up to a limit."""

    limits = (0, 0)

    def command(self) -> list[str]:
        """It sets its limits before anything else."""
        soft, hard = self.limits
        serve = "from safelight.__main__ import main; import sys; sys.exit(main())"
        limit = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))"
        return ["-c", f"{limit}\n{serve}", "serve"]


@pytest.mark.parametrize(("limits", "places"), [((100, 400), 336), ((100, 100), 36)])
async def test_a_crowd_of_silent_lines_takes_only_the_places(
    tmp_path: Path, limits: tuple[int, int], places: int
) -> None:
    """The process asks for all the files it may have; more lines than fit are cut off, and
    when the others have gone somebody is answered."""
    server = Confined(tmp_path / "data", log_level="debug")
    server.limits = limits
    with started(server):
        assert f"connections={places}" in server.stderr()
        async with AsyncExitStack() as crowd:
            for _ in range(places):
                await crowd.enter_async_context(line_to(server.url))
            for _ in range(20):
                async with line_to(server.url) as late:
                    assert await late.read_to_end() == b""
        await until_answered(server.url)
        assert server.stop() == 0
