"""Our WebSocket protocol class under a real uvicorn: the opening and plain ASGI, with the
client of `websockets` and with bytes written by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.doubles.deaf import deaf
from tests.doubles.endpoints import Echo, Received, Sent, scripted
from tests.doubles.lined import frame, lined, request
from tests.doubles.served import PATIENCE

ACCEPT = {"type": "websocket.accept"}


async def test_a_real_client_is_echoed() -> None:
    """Texts, bytes, parts and pings of an ordinary client work, up to the closing handshake
    that it begins; no compression is agreed on though it is offered."""
    app = Echo()
    async with lined(app) as house:
        async with asyncio.timeout(PATIENCE), connect(house.address, proxy=None) as client:
            assert client.protocol.extensions == []
            for message in ("hello", b"\x00\xff", "x" * 70_000, ""):
                await client.send(message)
                assert await client.recv() == message
            await client.send(["in ", "parts ö"])
            assert await client.recv() == "in parts ö"
            await (await client.ping("still there?"))
        assert client.close_code == 1000
        await house.until_nobody()
    assert app.told[-1] == {"type": "websocket.disconnect", "code": 1000, "reason": ""}


async def test_the_scope_is_asgis() -> None:
    """The application is told who asks for what, as by uvicorn's own class."""
    app = Echo(subprotocol="phoenix", headers=[(b"x-one", b"1")])
    async with lined(app) as house:
        async with connect(
            f"{house.address}a%20b?x=%20", proxy=None, subprotocols=["phoenix", "other"]
        ) as client:
            assert client.subprotocol == "phoenix"
            assert client.response.headers["x-one"] == "1"
            port = client.local_address[1]
    (scope,) = app.scopes
    assert scope["path"] == "/a b" and scope["raw_path"] == b"/a%20b"
    assert (scope["query_string"], scope["root_path"]) == (b"x=%20", "")
    assert (scope["scheme"], scope["http_version"], scope["type"]) == ("ws", "1.1", "websocket")
    assert scope["client"] == ("127.0.0.1", port)
    assert scope["server"] == ("127.0.0.1", int(house.url.rpartition(":")[2]))
    assert scope["subprotocols"] == ["phoenix", "other"]
    assert scope["state"] == {} and scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert (b"sec-websocket-version", b"13") in scope["headers"]
    assert set(scope["extensions"]) == {"websocket.http.response", "safelight.line"}


async def test_a_proxy_is_believed() -> None:
    """uvicorn's own middleware tells the application who is behind a proxy that we trust."""
    app = Echo()
    forwarded = {"X_Forwarded_For": "203.0.113.7", "X_Forwarded_Proto": "https"}
    async with lined(app) as house, house.opened(**forwarded):
        pass
    assert app.scopes[0]["client"][0] == "203.0.113.7"
    assert app.scopes[0]["scheme"] == "wss"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("Sec-WebSocket-Key"), 400),
        (request(Sec_WebSocket_Version="12"), 426),
        (request("Host"), 400),
        (request(method="POST"), 405),
    ],
    ids=["no key", "another version", "no host", "posted"],
)
async def test_a_bad_opening_is_refused_in_words(sent: bytes, status: int) -> None:
    """The application is not called, the client is told why, and the connection ends."""
    app = Echo()
    async with lined(app) as house, house.raw() as client:
        await client.line.write(sent)
        answer = await client.line.read_to_end()
        await house.until_nobody()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\ndate: " in answer and b"\r\nconnection: close\r\n" in answer
    assert app.scopes == []


async def test_an_upgrade_to_something_else_is_plain_http() -> None:
    """It never comes here."""

    async def app(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body"})

    async with lined(app) as house, house.raw() as client:
        await client.line.write(request(Upgrade="h2c"))
        assert (await client.line.read()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("messages", "status", "body"),
    [
        ([{"type": "websocket.close", "code": 4000}], 403, b""),
        (
            [
                {"type": "websocket.http.response.start", "status": 503, "headers": [(b"a", b"b")]},
                {"type": "websocket.http.response.body", "body": b"come ", "more_body": True},
                {"type": "websocket.http.response.body", "body": b"back"},
            ],
            503,
            b"come back",
        ),
        ([], 500, b""),
        ([{"type": "websocket.send", "text": "too early"}], 500, b""),
        ([{**ACCEPT, "headers": [(b"a", b"b\r\nc: d")]}], 500, b""),
        ([{"type": "websocket.http.response.start", "status": 503}], 500, b""),
        ([{"type": "http.response.start"}], 500, b""),
    ],
    ids=["403", "denied", "returned", "sent too early", "smuggled", "half a denial", "nonsense"],
)
async def test_nobody_is_let_in(messages: list[dict[str, Any]], status: int, body: bytes) -> None:
    """An application that does not accept has a status told, its own where it gives one."""
    async with lined(scripted(*messages)) as house:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(house.address, proxy=None):
                pass
        await house.until_nobody()
    assert refused.value.response.status_code == status
    assert refused.value.response.body == body


async def test_an_application_that_fails_says_1011() -> None:
    """Whoever is in hears that it was not their fault; the log has the trace."""
    async with lined(scripted(ACCEPT, {"type": "nonsense"})) as house, house.opened() as client:
        assert await client.hear_to_the_end() == 1011


async def test_an_application_that_returns_says_1001() -> None:
    """Never 1000, after which some clients stay away for good."""
    async with lined(scripted(ACCEPT)) as house, house.opened() as client:
        assert await client.hear_to_the_end() == 1001


async def test_a_goodbye_of_ours_is_answered() -> None:
    """Code and reason arrive; what is said after it is no longer heard."""
    goodbye = {"type": "websocket.close", "code": 4001, "reason": "enough"}
    app = scripted(ACCEPT, {"type": "websocket.send", "bytes": b"bye"}, goodbye)
    async with lined(app) as house:
        async with asyncio.timeout(PATIENCE), connect(house.address, proxy=None) as client:
            assert await client.recv() == b"bye"
            await client.wait_closed()
        assert (client.close_code, client.close_reason) == (4001, "enough")
        await house.until_nobody()


async def test_sending_to_somebody_who_left_fails() -> None:
    """With an OSError, as ASGI has it; and a disconnect is told as often as it is asked."""
    told: list[Any] = []

    async def app(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        await receive()
        await send(ACCEPT)
        told.append(await receive())
        told.append(await receive())
        try:
            await send({"type": "websocket.send", "text": "x"})
        except OSError as trouble:
            told.append(trouble)
            raise

    async with lined(app) as house:
        async with house.opened() as client:
            await client.say(frame(0x88, b"\x0f\xa0why"))
            assert await client.hear_to_the_end() == 4000
        await house.until_nobody()
    assert told[:2] == [{"type": "websocket.disconnect", "code": 4000, "reason": "why"}] * 2
    assert isinstance(told[2], OSError)


async def test_what_comes_before_the_answer_waits_for_it() -> None:
    """Frames of an impatient client, pings too, are read once it is in; if they are many it
    is held up, and nothing is lost."""
    let_in = asyncio.Event()
    echo = Echo()

    async def app(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        await let_in.wait()
        await echo(scope, receive, send)

    async with lined(app) as house, house.raw() as client:
        await client.line.write(request())
        await house.until(lambda: house.lines)
        texts = [str(n) * 200 for n in range(300)]
        (line,) = house.lines
        sending = asyncio.create_task(
            client.say(frame(0x89, b"p"), *(frame(0x81, text.encode()) for text in texts))
        )
        await house.until(lambda: line._paused)
        let_in.set()
        await client.read_answer()
        await sending
        assert await client.hear(300) == texts
        assert client.pongs == [b"p"]


async def test_somebody_who_leaves_before_the_answer_is_noticed() -> None:
    """The application hears of it, and its answer goes nowhere."""
    told: list[Any] = []

    async def app(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        told.append(await receive())
        told.append(await receive())
        await send(ACCEPT)

    async with lined(app) as house:
        async with house.raw() as client:
            await client.line.write(request())
            await house.until(lambda: told)
        await house.until_nobody()
    assert told[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


async def test_what_nobody_receives_is_not_read() -> None:
    """An application that asks for nothing holds some messages of a client that sends and
    sends, and the client is held up; once it asks, it gets them all."""
    ask, told = asyncio.Event(), []

    async def app(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        await receive()
        await send(ACCEPT)
        await ask.wait()
        while (message := await receive())["type"] == "websocket.receive":
            told.append(message["text"])

    async with lined(app, kernel_buffer=16 * 1024) as house, house.opened() as client:
        (line,) = house.lines
        sent = 0
        while not line._paused:
            await client.say(frame(0x81, str(sent).encode() + b"x" * 1000))
            sent += 1
            await asyncio.sleep(0)
        assert sent < 1000
        ask.set()
        await client.say(frame(0x81, b"last"), frame(0x88))
        await client.hear_to_the_end()
        await house.until_nobody()
    assert [text.rstrip("x") for text in told] == [*map(str, range(sent)), "last"]


async def test_sends_wait_for_a_client_that_takes_nothing() -> None:
    """An application that sends more than the write buffer holds waits; it goes on once the
    client takes, and a goodbye waits for nobody."""
    sent: list[int] = []

    async def app(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        await receive()
        await send(ACCEPT)
        for n in range(100):
            await send({"type": "websocket.send", "bytes": bytes(10_000)})
            sent.append(n)
            await asyncio.sleep(0)
        await send({"type": "websocket.close", "code": 4000})

    async with lined(app, kernel_buffer=16 * 1024) as house, house.opened() as client:
        (line,) = house.lines
        await house.until(lambda: line._stuck)
        assert len(sent) < 100 and line.untaken < 100_000
        assert await client.hear_to_the_end() == 4000
        assert len(client.heard) == 100


async def test_connections_and_tasks_are_counted() -> None:
    """A WebSocket is one connection of the server from its opening to its end, and its
    call one task; so the limit of connections holds for it."""
    async with lined(Echo(), max_connections=2) as house:
        async with house.opened(), house.opened():
            assert len(house.state.connections) == len(house.state.tasks) == 2
            with pytest.raises((OSError, websockets.exceptions.InvalidHandshake, EOFError)):
                async with connect(house.address, proxy=None):
                    pass
        await house.until_nobody()
        async with deaf(house.url) as late:
            await late.ping(b"let in")
