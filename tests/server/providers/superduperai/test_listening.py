"""What a channel tells of one file, and the two ways to hear it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.datastructures import Headers

from safelight.providers.base import Done, Found, Unclear
from safelight.providers.superduperai import SuperDuperAI
from safelight.providers.superduperai.client import Client
from safelight.providers.superduperai.following import Following
from safelight.providers.superduperai.listening import Lines, Mailbox
from safelight.providers.superduperai.matching import Claims, matches
from safelight.providers.superduperai.pace import Pace
from safelight.providers.superduperai.shapes import (
    File,
    Garbled,
    Generation,
    Message,
    Task,
    read,
    read_files,
    read_message,
)
from safelight.settings import ProviderSettings
from tests.doubles.emulated import Emulated
from tests.doubles.heard import Heard

from .conftest import HASTY, adapter, image


def box() -> Mailbox:
    """An empty one, of the file `a`."""
    return Mailbox("a", anyio.Event())


@pytest.mark.parametrize(
    ("told", "share"),
    [
        *[(0.5, 0.5), (50, 0.5), (0, None), (-1, None), (101, None)],
        *[("x", None), (None, None), (True, None), (10**400, None)],
    ],
)
def test_progress_is_a_share_or_percents(told: object, share: float | None) -> None:
    """Above 1 it is percents; what is neither is nothing."""
    mailbox = box()
    mailbox.hear(Message("render_progress", {"progress": told}))
    assert mailbox.progress == share


def test_progress_does_not_fall() -> None:
    """A word that comes late is not believed."""
    mailbox = box()
    for share in (0.5, 0.2):
        mailbox.hear(Message("render_progress", {"progress": share}))
    assert mailbox.progress == 0.5


def test_a_file_with_an_address_is_the_end() -> None:
    """And stays it, whatever comes after."""
    mailbox = box()
    mailbox.hear(Message("render_result", {"id": "a", "url": "u1"}))
    mailbox.hear(Message("file", {"id": "a", "url": "u2"}))
    assert mailbox.over and mailbox.file is not None and mailbox.file.url == "u1"


@pytest.mark.parametrize(
    "message",
    [
        Message("file", {"id": "b", "url": "u"}),
        Message("file", {"id": "a", "url": None}),
        Message("file", "a"),
        Message("scene", {"id": "a", "url": "u"}),
        Message("task", {"status": "completed"}),
        Message("task", {"status": "error", "file_id": "a"}),
        Message("subscribe"),
    ],
)
def test_nothing_else_is_an_end(message: Message) -> None:
    """Another's file, one without an address, an unknown word; the word of a task is only a
    reason to look, since it may be an earlier one's."""
    mailbox = box()
    mailbox.look = False
    mailbox.hear(message)
    assert not mailbox.over
    assert mailbox.look == (message.type == "task")


def test_a_file_fails_with_its_last_task() -> None:
    """Not while another task makes it, nor when it has an address all the same."""
    error, busy = Task("error"), Task("in_progress")
    assert File("a", tasks=(error,)).failed
    assert not File("a", tasks=(error, busy)).failed
    assert not File("a", url="u", tasks=(error,)).failed
    assert not File("a").failed


def test_what_cannot_be_read_is_nothing_or_said_to_be() -> None:
    """Messages that are none are skipped, answers that are none are garbled; a create may be
    answered with a list or with one file."""
    assert read_message("not json") is None and read_message('{"kind": 1}') is None
    assert [file.id for file in read_files(b'{"id": "a"}')] == ["a"]
    assert [file.id for file in read_files(b'[{"id": "a"}, {"id": "b"}]')] == ["a", "b"]
    for body in (b"<html>", b'{"detail": "x"}'):
        with pytest.raises(Garbled):
            read(body, File)


def test_files_are_told_by_what_they_were_asked_for_with() -> None:
    """Prompt, seed and model, each once, oldest first; not another attempt's."""
    asked, claims = image(prompt="p", seed=7), Claims()
    mine = Generation("p", 7, "m")
    newest_first = [
        File("e", image_generation=mine),
        File("d", image_generation=Generation("p", 7, "other")),
        File("c", image_generation=Generation("p", 8, "m")),
        File("b", image_generation=Generation("q", 7, "m")),
        File("x"),
        File("e", image_generation=mine),
        File("a", image_generation=mine),
    ]
    assert matches(newest_first, asked, "m", claims) == ["a", "e"]
    claims.take(image(uid="somebody"), ["a"])
    assert matches(newest_first, asked, "m", claims) == ["e"]
    claims.take(asked, ["e"])
    assert matches(newest_first, asked, "m", claims) == ["e"]


OFFER = {"name": "comfyui/flux", "label": None, "type": "text_to_image", "params": {}}


class Older:
    """A server of before there were server-sent events: REST answers 404 to them, and tells on
    the socket, whose subscriptions it keeps; its list of files is that of `lists`, one after
    the other. Unrealistic: it has one file, and everything at once."""

    def __init__(self) -> None:
        self.subscribed: list[Any] = []
        self.lists: list[list[dict[str, Any]]] = []
        self.url = ""

    def rest(self, _: ServerConnection, request: Request) -> Response | None:
        """Sockets are let through."""
        if "/ws/" in request.path:
            return None
        path = request.path.removeprefix("/api/v1").partition("?")[0]
        bodies: dict[str, Any] = {
            "/file/a": {"id": "a", "url": None, "tasks": []},
            "/generation-config": {"items": [OFFER]},
            "/style": {"items": []},
        }
        if path == "/file":
            bodies[path] = {"items": self.lists.pop(0)}
        status = 200 if path in bodies else 404
        headers = Headers({"Content-Type": "application/json", "Connection": "close"})
        return Response(status, "", headers, json.dumps(bodies.get(path)).encode())

    async def socket(self, connection: ServerConnection) -> None:
        """Echo the subscription, then tell the end."""
        self.subscribed.append(json.loads(await connection.recv()))
        await connection.send(json.dumps(self.subscribed[-1]))
        await connection.send(json.dumps({"type": "file", "object": {"id": "a", "url": "/a.png"}}))
        await connection.wait_closed()


@asynccontextmanager
async def older() -> AsyncIterator[Older]:
    """One that listens."""
    server = Older()
    async with serve(server.socket, "127.0.0.1", 0, process_request=server.rest) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        server.url = f"http://127.0.0.1:{port}"
        yield server


async def test_an_older_server_is_heard_by_its_socket() -> None:
    """Where there are no server-sent events the socket is asked for the file's channel."""
    heard = Heard()
    async with older() as server:
        settings = ProviderSettings(url=server.url, key="k", request_seconds=5.0)
        provider = SuperDuperAI(settings, timings=HASTY)
        async with provider.open():
            asked = image()
            outcome = await asyncio.wait_for(provider.follow(asked, "a", heard), 20)
        assert isinstance(outcome, Done)
        assert server.subscribed[0] == {"type": "subscribe", "projectId": "file.a"}
        (found,) = heard.of(Found)
        assert found.url == f"{server.url}/a.png"
        assert found.headers == {"Authorization": "Bearer k"}


async def test_a_list_that_lags_is_waited_for() -> None:
    """Of two files that were asked for one is listed: the other may follow, and is waited for
    once; what is there then is all there is."""
    asked = image(n=2)
    made = {"prompt": asked.prompt, "seed": 7, "generation_config_name": "comfyui/flux"}
    one, two = ({"id": id, "image_generation": made} for id in ("a", "b"))
    async with older() as server:
        settings = ProviderSettings(url=server.url, key="k", request_seconds=5.0)
        provider = SuperDuperAI(settings, timings=HASTY)
        async with provider.open():
            server.lists = [[one], [two, one]]
            assert await provider.look_up(asked) == "a,b"
            server.lists = [[one], [one]]
            assert await provider.look_up(asked) == "a"
            server.lists = [[one, two, one | {"id": "c"}]] * 2
            assert isinstance(await provider.look_up(asked), Unclear)


async def test_a_channel_that_has_opened_is_a_reason_to_look(emulator: Emulated) -> None:
    """What was told before it opened is told to nobody again."""
    emulator.arm("late=600@1")
    provider, asked = adapter(emulator), image()
    client = Client(ProviderSettings(url=emulator.url, key=emulator.key))
    lines = Lines(client, Pace(HASTY, anyio.sleep), "sd")
    async with provider.open(), client.open(), lines.open():
        mailbox = Mailbox(await provider.start(asked), anyio.Event())
        mailbox.look = False
        with lines.listening([mailbox]), anyio.fail_after(20):
            await mailbox.news.wait()
        assert mailbox.look and not mailbox.heard


async def test_the_key_goes_to_the_provider_alone() -> None:
    """A file that lies elsewhere is fetched without it."""
    client = Client(ProviderSettings(url="https://sd.example/api/v1/", key="k"))
    following = Following(client, Pace(HASTY, anyio.sleep), image(), ["a"], Heard())
    assert following._found("a", "/media/a.png").headers == {"Authorization": "Bearer k"}
    assert following._found("a", "https://sd.example:443/a.png").headers
    for url in ("https://cdn.example/a.png", "http://sd.example/a.png", "https://sd.example:8/a"):
        assert following._found("a", url).headers == {}
