"""The client of calls that are answered once, over real sockets: its patience and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gzip

import httpx2
import pytest

from safelight.providers.base import Done, Outcome
from safelight.providers.http import MAX_ANSWER, Oversized
from safelight.providers.streams import MOST_BYTES, Bounded, Call, Calls, client
from tests.doubles import http_end
from tests.doubles.heard import prediction
from tests.doubles.served import PATIENCE
from tests.doubles.sse_end import HOLD, answered, nameless, sse_end, streamed

ALIVE = b": still there\n\n"


async def test_silence_is_the_clients_to_say() -> None:
    """Whatever an SDK asks for, a connection on which nothing comes is given up."""
    async with sse_end([streamed(nameless({}), HOLD)]) as end, client(end.url, 0.2) as http:
        with pytest.raises(httpx2.ReadTimeout):
            await http.post(end.url, json={}, timeout=1000.0)


async def test_a_slow_stream_that_says_it_lives_is_heard_out() -> None:
    """What counts is each byte: ten signs of life outlast the patience five times over."""
    pieces = [piece for _ in range(10) for piece in (ALIVE, 0.1)]
    async with sse_end([streamed(*pieces, nameless({}))]) as end, client(end.url, 0.2) as http:
        answer = await http.post(end.url, json={}, timeout=0.01)
        assert answer.content.count(ALIVE) == 10
        assert answer.content.endswith(nameless({}))


@pytest.mark.parametrize("streaming", [False, True])
async def test_no_answer_is_read_without_end(streaming: bool) -> None:
    """More bytes than any answer has are not read, whole or as a stream."""
    more = [nameless({"x": "y" * 1000})] * 3
    async with (
        sse_end([streamed(*more)]) as end,
        client(end.url, 5.0, most=2000) as http,
    ):
        with pytest.raises(Oversized):
            async with http.stream("POST", end.url) as answer:
                if not streaming:
                    await answer.aread()
                async for line in answer.aiter_lines():
                    assert len(line) < 2000


@pytest.mark.parametrize("path", ["/packed", "/packed-twice"])
async def test_no_packed_answer_is_unpacked_without_end(path: str) -> None:
    """A few bytes that unpack to many count as many; those within the bound are read as ever."""
    packed = gzip.compress(bytes(1_000_000))
    coding = b"gzip"
    if path == "/packed-twice":
        packed, coding = gzip.compress(packed), b"gzip, gzip"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: "
    whole = head + coding + b"\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed
    assert len(whole) < 2000
    async with sse_end([[whole], [whole]]) as end:
        async with client(end.url, 5.0, most=2000) as http:
            with pytest.raises(Oversized):
                await http.post(end.url)
        async with client(end.url, 5.0) as http:
            assert (await http.post(end.url)).content == bytes(1_000_000)


@pytest.mark.parametrize(
    ("status", "media_type", "bound"),
    [
        (200, "application/json", MAX_ANSWER),
        (200, "text/event-stream", MOST_BYTES),
        (400, "text/event-stream", MAX_ANSWER),
    ],
)
async def test_only_a_stream_and_what_is_followed_may_be_long(
    status: int, media_type: str, bound: int
) -> None:
    """An answer to a question, and a refusal, are read as far as those of all providers."""
    head = b"HTTP/1.1 %d X\r\ncontent-type: %b\r\n\r\n" % (status, media_type.encode())
    async with sse_end([[head]]) as end, client(end.url, 5.0) as http:
        answer = await http.post(end.url)
    assert isinstance(answer.stream, Bounded) and answer.stream.most == bound


async def test_an_answer_is_hung_up_on_though_somebody_keeps_it() -> None:
    """It does not hang on whether anybody collects what an SDK forgot."""
    calls: Calls[str] = Calls("x")
    kept: list[httpx2.Response] = []
    async with sse_end([streamed(nameless({}), HOLD)]) as end, client(end.url, 5.0) as http:

        async def talk(call: Call[str], request: str) -> Outcome:
            asked = http.build_request("POST", end.url)
            kept.append(await call.wait(lambda: http.send(asked, stream=True)))
            assert not kept[0].is_closed
            return Done()

        assert await calls.follow(calls.ready(prediction(), "request"), talk) == Done()
        assert kept[0].is_closed


async def test_only_an_answer_that_is_no_refusal_has_begun() -> None:
    """A refusal is an answer, and nothing that is being told."""
    calls: Calls[str] = Calls("x")
    begun: list[bool] = []
    async with sse_end([answered(429, {}), answered(200, {})]) as end, client(end.url) as http:

        async def talk(call: Call[str], request: str) -> Outcome:
            for _ in range(2):
                await call.wait(lambda: http.post(end.url))
                begun.append(call.begun)
            return Done()

        await calls.follow(calls.ready(prediction(), "request"), talk)
    assert begun == [False, True]


async def test_each_request_has_a_connection_of_its_own() -> None:
    """Also where the server would keep one open: a request on a connection that has just been
    closed could not be told from one that arrived."""
    served: list[int] = []
    left = asyncio.Semaphore(0)

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(0)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await http_end.asked_by(reader):
                served[-1] += 1
                writer.write(http_end.answer(200, {}))
        writer.close()
        await writer.wait_closed()
        left.release()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, client(url) as http:
        for _ in range(3):
            assert (await http.post(url)).json() == {}
            async with asyncio.timeout(PATIENCE):
                await left.acquire()
    assert served == [1, 1, 1]


async def test_no_redirect_is_followed() -> None:
    """A key and a prompt go where they were sent, once."""
    async with sse_end([answered(307, {}, location="/other")]) as end, client(end.url) as http:
        assert (await http.post(end.url)).status_code == 307
        assert len(end.asked) == 1
