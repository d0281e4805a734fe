"""How the process sends its clients away: who goes when, and what holds up the end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.doubles.deaf import Line, deaf, line_to
from tests.doubles.poller import Poller
from tests.doubles.process import ServerProcess, server_process
from tests.doubles.served import Served, served

PATIENCE = 30.0
SOCKETS = 200
LONG_TEXT = 2_500_000


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as lines:
        yield lines


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as running:
        yield running


def socket_url(server: ServerProcess) -> str:
    return server.url.replace("http", "ws") + "/socket/websocket?vsn=2.0.0"


async def stopped(server: ServerProcess) -> int:
    """The exit code, once it has ended; it has its signal already."""
    return await anyio.to_thread.run_sync(server.stop)


async def untaken_answer(server: ServerProcess, line: Line) -> None:
    """An answer, larger than what kernels hold, of which nothing is taken."""
    told = {"do": "text", "delta": "x" * LONG_TEXT}
    body = {"id": "t1", "kind": "text", "model": "scripted/text", "prompt": "x"}
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http:
        await http.post("/api/tasks", json=body | {"params": {"script": [told] * 3}})
        await http.get("/api/tasks/t1/events", headers={"Accept": "text/event-stream"})
    await line.write(b"GET /api/tasks/t1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


async def until_requested(server: ServerProcess) -> None:
    """An answer to a later request: the server has read everything that came before."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{server.url}/readyz")).status_code == 200


async def test_sockets_are_closed_one_group_after_another(tmp_path: Path) -> None:
    """The longest here go first; the last one is served while the others go; all hear
    1012, and the process ends with the last of them."""
    gone: list[int] = []
    seen: set[int] = set()

    async def leave(number: int, socket: ClientConnection) -> None:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        gone.append(number)

    async def witness(socket: ClientConnection) -> None:
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await socket.send(json.dumps([None, "1", "phoenix", "heartbeat", {}]))
                await socket.recv()
                seen.add(len(gone))
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012

    with server_process(tmp_path / "data", drain_seconds=10) as server:
        async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE):
            sockets = [
                await stack.enter_async_context(connect(socket_url(server), proxy=None))
                for _ in range(SOCKETS)
            ]
            leaving = [leave(n, socket) for n, socket in enumerate(sockets[:-1])]
            watching = asyncio.gather(*leaving, witness(sockets[-1]))
            os.kill(server.pid, signal.SIGTERM)
            await watching
            assert await stopped(server) == 0
    groups = [sorted(gone[n : n + 10]) for n in range(0, len(gone), 10)]
    assert sorted(gone) == list(range(SOCKETS - 1))
    assert [n for group in groups for n in group] == sorted(gone)
    assert len(seen - {0, SOCKETS - 1}) >= 3


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x85\0\0\0\0\xff\xff\xff\xff\xff", 1007),
        (b"\x81\x02{}", 1002),
        (b"\x82\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0", 1009),
    ],
    ids=["no UTF-8", "not masked", "far too large"],
)
async def test_what_breaks_the_websocket_is_told_by_its_code(
    house: Served, sent: bytes, code: int
) -> None:
    """What never reaches our code is closed by the library below, with a code of its own."""
    async with deaf(house.url) as client, asyncio.timeout(PATIENCE):
        await client.line.write(sent)
        await client.hear_to_the_end()
    assert client.close_code == code


async def test_a_closed_socket_ends_though_its_client_says_nothing(house: Served) -> None:
    """The answer to our close frame is not waited for longer than a moment."""
    async with deaf(house.url) as client, asyncio.timeout(PATIENCE):
        await client.say("no frame")
        await house.connections.wait_empty()


async def test_nobody_is_let_in_any_more(tmp_path: Path, stack: AsyncExitStack) -> None:
    """From the signal on connections are refused, while a request may still finish; the
    second SIGINT does not wait for it, and is no failure either."""
    settings = {"scripted": True, "max_body_bytes": 2**26, "slow_reader_seconds": 600}
    with server_process(tmp_path / "data", drain_seconds=600, **settings) as server:
        line = await stack.enter_async_context(line_to(server.url))
        await untaken_answer(server, line)
        await until_requested(server)
        os.kill(server.pid, signal.SIGINT)
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(ConnectionError):  # or reset, where it was still in the backlog
            async with asyncio.timeout(PATIENCE):
                while True:
                    _, probe = await asyncio.open_connection("127.0.0.1", port)
                    probe.close()
        assert not server.has_died
        assert await anyio.to_thread.run_sync(server.interrupt) == 0


async def test_half_a_request_is_seen_out(tmp_path: Path) -> None:
    """Whoever has not sent the whole of it is told to come back; the end is a clean one."""
    half = b"POST /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{"
    with server_process(tmp_path / "data", drain_seconds=600) as server:
        async with line_to(server.url) as line, asyncio.timeout(PATIENCE):
            await line.write(half)
            await until_requested(server)
            assert await stopped(server) == 0
            answer = await line.read_to_end()
    assert answer.startswith(b"HTTP/1.1 503 ") and b'"code":"shutting_down"' in answer
    assert "Traceback" not in server.stderr()


async def test_a_socket_that_still_comes_through_is_refused(house: Served) -> None:
    """A socket that still comes through is refused with 503: another server may take it."""
    house.context.drain()
    with pytest.raises(InvalidStatus) as refused:
        async with house.connect():
            pass
    assert refused.value.response.status_code == 503


async def test_an_end_with_nobody_there_waits_for_nothing(tmp_path: Path) -> None:
    """However long the drain may be, a server without clients ends; and so does one with
    an idle connection and a few sockets."""
    with server_process(tmp_path / "data", drain_seconds=600) as server:
        assert await stopped(server) == 0
        server.start()
        async with (
            httpx2.AsyncClient(trust_env=False) as http,
            connect(socket_url(server), proxy=None),
            connect(socket_url(server), proxy=None),
        ):
            await http.get(f"{server.url}/readyz")
            assert await stopped(server) == 0


async def test_a_long_poll_comes_back_to_the_next_server(tmp_path: Path) -> None:
    """A held poll is answered when the server goes down, with a status at which phoenix.js
    tries again; the next server does not know the session, and says so."""
    with server_process(tmp_path / "data", drain_seconds=600) as server:
        async with httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http:
            phone = Poller(http)
            await phone.open()
            held = asyncio.create_task(phone.get())
            await until_requested(server)
            os.kill(server.pid, signal.SIGTERM)
            assert (await held)["status"] == 500
            assert await stopped(server) == 0
            server.start()
            assert (await phone.get())["status"] == 410
