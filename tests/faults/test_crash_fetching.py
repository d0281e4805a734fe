"""SIGKILL while a provider's file comes in: afterwards it is there, told once, asked for no
more than it must be.

The server is a real process; the provider and the source of its files live in the test's
loop and remember what they were asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from safelight.providers.scripted import PIXEL
from tests.doubles.child import Child, child_process
from tests.doubles.file_source import FileSource, file_source
from tests.doubles.followers import StreamFollower, following
from tests.doubles.remote import Remote, remote
from tests.doubles.turns import until

pytestmark = pytest.mark.slow
QUICK: dict[str, Any] = {"retry_base_seconds": 0.001, "retry_max_seconds": 0.02, "png_text": False}
FILE = {"key": "9/0/picture.png"}


class House:
    """The server, its provider, and where that keeps its files."""

    def __init__(self, child: Child, provider: Remote, source: FileSource) -> None:
        self.child = child
        self.provider = provider
        self.source = source

    async def create(self, *script: dict[str, Any]) -> None:
        """The one task."""
        body = {"id": "one", "kind": "image", "prompt": "p", "model": "scripted/image"}
        async with httpx2.AsyncClient(base_url=self.child.url, trust_env=False) as http:
            answer = await http.post("/api/tasks", json=body | {"params": {"script": [*script]}})
            assert answer.status_code == 202, answer.text

    async def die_and_rise(self) -> None:
        """SIGKILL, then the same again on the same data and port."""
        await anyio.to_thread.run_sync(self.child.kill)
        await anyio.to_thread.run_sync(self.child.start)

    async def bytes_of(self, url: str) -> bytes:
        """What an artifact is served as."""
        async with httpx2.AsyncClient(base_url=self.child.url, trust_env=False) as http:
            return (await http.get(url)).content

    @property
    def incoming(self) -> list[Path]:
        """What is half-written."""
        return list((self.child.data_dir / "artifacts" / "incoming").iterdir())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Predictions outlive the server here, and may cost money."""
    async with remote() as provider, file_source() as source:
        with child_process(tmp_path / "data", provider.url, billed=True, **QUICK) as child:
            yield House(child, provider, source)


@asynccontextmanager
async def watched(house: House) -> AsyncIterator[StreamFollower]:
    """One who comes back, and was told everything, once."""
    follower = StreamFollower(house.child.url, "one")
    async with following([follower]):
        yield follower
    follower.whole()


def made(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == "artifact"]


async def test_killed_in_the_middle_of_a_file(house: House) -> None:
    """Half of it had come: it is fetched again from its beginning, told once, and nothing of
    the first half is left."""
    url = house.source.says("/view", house.source.held(PIXEL, "never"), house.source.whole(PIXEL))
    await house.create({"do": "found", "file": FILE | {"url": url}})
    async with watched(house) as follower:
        await until(lambda: house.source.count("/view") and house.incoming)
        await house.die_and_rise()
    (artifact,) = made(follower.events)
    assert follower.events[-1]["type"] == "completed"
    assert await house.bytes_of(artifact["url"]) == PIXEL
    assert house.source.count("/view") == 2
    assert house.incoming == []
    assert max(house.provider.started().values()) == 1


@pytest.mark.parametrize("point", ["before-commit:artifact", "after-commit:artifact"])
async def test_killed_around_the_commit_of_a_file(house: House, point: str) -> None:
    """The file was whole on our disk. If its event was too, it is not fetched again; if not,
    it is, once. Either way it is told once."""
    url = house.source.says("/view", house.source.whole(PIXEL))
    house.child.points.arm(point)
    await house.create({"do": "found", "file": FILE | {"url": url}})
    async with watched(house) as follower:
        assert await house.child.points.reached() == point
        await house.die_and_rise()
    (artifact,) = made(follower.events)
    assert follower.events[-1]["type"] == "completed"
    assert await house.bytes_of(artifact["url"]) == PIXEL
    assert house.source.count("/view") == (1 if point.startswith("after") else 2)


async def test_a_restart_gives_a_file_no_more_tries(house: House) -> None:
    """Four of five tries had failed before the kill; the fifth is the last."""
    source = house.source
    failing = [source.status(500)] * 4
    url = source.says("/view", *failing, source.held(PIXEL, "never"), source.status(500))
    await house.create({"do": "found", "file": FILE | {"url": url}})
    async with watched(house) as follower:
        await until(lambda: source.count("/view") == 5)
        await house.die_and_rise()
    error = follower.events[-1]["error_data"]
    assert (error["code"], error["retryable"]) == ("artifact_unavailable", False)
    assert follower.events[-1]["charge"]["verdict"] == "unknown"
    assert source.count("/view") == 6
    assert max(house.provider.started().values()) == 1, "what was billed is not begun again"
