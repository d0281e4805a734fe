"""A greeting of each adapter, over a socket: what it comes to, and that nothing runs by it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from safelight.configured import providers_of
from safelight.providers.greeting import Answer, Away, Denied, Greeting, Welcome
from safelight.settings import ProviderSettings, Settings
from tests.doubles.emulated import KEY, Emulated, emulated

PATHS = {
    "replicate": ("/v1", "/v1/account", Denied(401, "key", "Unauthenticated")),
    "openai": ("/v1", "/v1/models", Denied(401, "key", "invalid_api_key")),
    "anthropic": ("", "/v1/models", Denied(401, "key", "authentication_error")),
    "gemini": ("", "/v1/models", Denied(400, "key", "API_KEY_INVALID")),
    "superduperai": ("", "/api/v1/user/me", Denied(401, "key", "Unauthorized")),
}
"""Where each is spoken to below its address, what it is asked for, and how it refuses a key."""

DEEP = b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
"""JSON that nobody can read to its bottom."""


@pytest.fixture(scope="module", params=list(PATHS))
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Emulated]:
    """Each emulator in turn."""
    with emulated(tmp_path_factory.mktemp(request.param), request.param) as running:
        yield running


@asynccontextmanager
async def adapter(name: str, url: str, key: str | None, seconds: float) -> AsyncIterator[Greeting]:
    """The provider of that name, as the settings make it."""
    settings = ProviderSettings(url=url, key=key, request_seconds=seconds)
    made = providers_of(Settings(providers={name: settings}), {})[name]
    assert isinstance(made, Greeting) and made.speaks == name
    async with made.open():
        yield made


async def greet(name: str, url: str, key: str | None = KEY, seconds: float = 10.0) -> Answer:
    """What a greeting of one at this address comes to."""
    async with adapter(name, url + PATHS[name][0], key, seconds) as made:
        return await made.greet()


async def test_who_has_the_key_is_welcome(host: Emulated) -> None:
    """One request is made for it, and nothing is run."""
    before = len(host.log("request"))
    assert isinstance(await greet(host.name, host.url), Welcome)
    (asked,) = host.log("request")[before:]
    assert (asked["method"], asked["path"]) == ("GET", PATHS[host.name][1])
    assert host.runs() == []


async def test_a_wrong_key_is_told_from_all_else(host: Emulated) -> None:
    """By the provider's own status and word; nothing is run, and it is asked once."""
    before = len(host.log("request"))
    assert await greet(host.name, host.url, "another") == PATHS[host.name][2]
    assert len(host.log("request")) == before + 1 and host.runs() == []


async def test_a_wrong_path_is_no_matter_of_the_key(host: Emulated) -> None:
    """Whoever answers that there is no such thing is asked about its address."""
    answer = await greet(host.name, host.url + "/nowhere")
    assert answer == Away("it answered 404, is it the right address?")


@pytest.mark.parametrize("name", list(PATHS))
async def test_where_nobody_listens_there_is_nobody(name: str) -> None:
    """A refused connection is told as that."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    answer = await greet(name, f"http://127.0.0.1:{port}")
    assert answer == Away("it takes no connections now")


@pytest.mark.parametrize("name", list(PATHS))
async def test_a_silent_one_is_waited_for_as_long_as_the_settings_say(name: str) -> None:
    """One that takes the connection and says nothing costs `request_seconds`, and no more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with asyncio.timeout(10):
            answer = await greet(name, f"http://127.0.0.1:{port}", seconds=0.2)
    assert answer == Away("it did not answer in time")


@pytest.mark.parametrize("name", list(PATHS))
@pytest.mark.parametrize("page", [b"<html>hello</html>", b"[]", b'"ok"', b"", DEEP])
async def test_another_kind_of_server_is_none_of_its_kind(name: str, page: bytes) -> None:
    """An answer of 200 that no such server gives is no welcome."""

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(page) + page)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answered, "127.0.0.1", 0)
    async with server:
        answer = await greet(name, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert isinstance(answer, Away) and answer.why.startswith("its answer is no")


async def test_a_server_that_wants_no_key_is_greeted_without_one() -> None:
    """One that speaks like OpenAI is asked without a key, and proves none."""
    asked: list[bytes] = []

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        page = b'{"object":"list","data":null}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(page) + page)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answered, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await greet("openai", url, None) == Welcome(proves_key=False)
    (head,) = asked
    assert head.startswith(b"GET /v1/models ") and b"authorization" not in head.lower()
