"""Receivers that mean us ill: slow, endless, or pointing inwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from safelight.webhooks.guarded import Guarded
from safelight.webhooks.posting import NotTaken, Poster, Taken
from tests.doubles.receiver import receiving
from tests.doubles.served import PATIENCE


@asynccontextmanager
async def answering(head: bytes, then: bytes = b"", pause: float = 0.0) -> AsyncIterator[str]:
    """A server that says `head` to everybody, and then the same again and again; its address."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            while then:
                writer.write(then)
                await writer.drain()
                await asyncio.sleep(pause)
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def _post(url: str, seconds: float = 0.3) -> Taken | NotTaken:
    poster = Poster(seconds, private=True)
    async with asyncio.timeout(PATIENCE), poster.open():
        return await poster.post(url, {"webhook-id": "msg_1"}, b"{}")


async def test_a_body_without_an_end_is_not_read() -> None:
    """The status line is what counts; what follows it may go on for ever."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"
    async with answering(head, b"x" * 65536) as url:
        assert await _post(url, PATIENCE) == Taken()


TEDIOUS = {
    "a head byte by byte": (b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.01),
    "nothing but forewords": (b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.001),
    "one character": (b"H", b"", 0.0),
}


@pytest.mark.parametrize("name", TEDIOUS)
async def test_who_never_comes_to_the_point_is_left(name: str) -> None:
    """A try has one limit of time for all of it, however lively the receiver is."""
    head, then, pause = TEDIOUS[name]
    async with answering(head, then, pause) as url:
        verdict = await _post(url)
    assert isinstance(verdict, NotTaken)
    assert not verdict.final


ODD = {
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "a head too large": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\n\r\n",
    "no status": b"HTTP/1.1 abc OK\r\n\r\n",
    "a strange status": b"HTTP/1.1 999 OK\r\n\r\n",
    "a wait that is none": b"HTTP/1.1 503 X\r\nRetry-After: \xff9\r\nContent-Length: 0\r\n\r\n",
    "a date": b"HTTP/1.1 503 X\r\nRetry-After: Fri, 21 Nov 2036 00:00:00 GMT\r\n\r\n",
    "a switch": b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD)
async def test_what_is_no_answer_is_a_try_that_failed(name: str) -> None:
    """It may pass, so it is tried again, at our own pace."""
    async with answering(ODD[name]) as url:
        verdict = await _post(url, 1.0)
    assert isinstance(verdict, NotTaken), verdict
    assert not verdict.final
    assert verdict.after_seconds == 0


async def test_a_wait_of_years_is_a_day() -> None:
    """No receiver puts a notice off for longer than that at a time."""
    nines = b"9" * 4000
    head = b"HTTP/1.1 503 X\r\nRetry-After: " + nines + b"\r\nContent-Length: 0\r\n\r\n"
    async with answering(head) as url:
        verdict = await _post(url, PATIENCE)
    assert isinstance(verdict, NotTaken)
    assert verdict.after_seconds == 86_400


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment calls a proxy would be asked in the place of the guard's address."""
    async with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        assert await _post(receiver.url(), PATIENCE) == Taken()
        assert proxy.calls == []
        assert len(receiver.calls) == 1


async def test_a_connection_that_is_kept_was_looked_at(tmp_path: Path) -> None:
    """A name that leads outside first and inside later: a connection made for it is to the
    outside, and a new one is not made."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1", "127.0.0.1"]

    poster = Poster(1.0, private=False, network=Guarded(private=False, resolve=resolve))
    async with receiving() as receiver, poster.open():
        for _ in range(2):
            verdict = await poster.post(receiver.url("hook.example"), {}, b"{}")
            assert isinstance(verdict, NotTaken) and verdict.final
        assert receiver.calls == []
    assert asked == ["hook.example"] * 2
