"""SIGKILL of Safelight, and of its backend, at each stage of a prompt's life.

Both are processes of their own. Which prompts ran, and how often, is read from the backend's
log over all its lives. Each row is an outcome: no prompt runs twice, the task ends once, and
whoever followed it was told every event.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import httpx2
import pytest

from tests.doubles.child import Child, child_process
from tests.doubles.followers import Follower, SocketFollower, StreamFollower, following
from tests.doubles.kernie import Kernie, kerniegen
from tests.doubles.served import PATIENCE

ID = "killed"
BODY = {
    "id": ID,
    "kind": "image",
    "prompt": "a lamp that goes out",
    "model": "comfyui/txt2img",
    "params": {"width": 64, "height": 64, "steps": 6},
}
NOBODY = "http://127.0.0.1:9"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Row(NamedTuple):
    """When it happens, and what the task's attempts and the backend's runs are in the end."""

    when: str
    point: str
    attempts: int
    runs: int
    nth: int = 1


OURS = (
    Row("before the POST", "before-start", attempts=2, runs=1),
    Row("after the POST, its answer not heard", "after-start", attempts=1, runs=1),
    Row("after the POST, its handle on disk", "after-commit:handle", attempts=1, runs=1),
    Row("in the middle of sampling", "after-commit:progress", attempts=1, runs=1, nth=3),
    Row("with the file on disk and its event not", "before-commit:artifact", attempts=1, runs=1),
    Row("before the end is written", "before-commit:end", attempts=1, runs=1),
    Row("after the end is written", "after-commit:end", attempts=1, runs=1),
)
THEIRS = (
    Row("after the POST", "die=start@1", attempts=2, runs=2),
    Row("in the middle of sampling", "die=sampling@1", attempts=2, runs=2),
    Row("at the end, its history lost", "die=end@1", attempts=2, runs=2),
)


class House:
    """The server, its one backend, and a witness on each kind of line."""

    def __init__(self, child: Child, kernie: Kernie, followers: Sequence[Follower]) -> None:
        self.child = child
        self.kernie = kernie
        self.followers = followers

    async def create(self) -> None:
        """The one task."""
        async with httpx2.AsyncClient(base_url=self.child.url, trust_env=False) as http:
            answer = await http.post("/api/tasks", json=BODY)
            assert answer.status_code == 202, answer.text

    async def until_counted(self, name: str, holds: Callable[[int], bool]) -> None:
        """Return once this holds of what the server counts."""
        async with httpx2.AsyncClient(base_url=self.child.url, trust_env=False) as http:
            with anyio.fail_after(PATIENCE):
                while True:
                    counted = (await http.get("/healthz")).json()["data"]["statistics"]
                    if holds(counted[name]):
                        return

    async def until_dead(self) -> None:
        """Return once the backend has ended of its own."""
        with anyio.fail_after(PATIENCE):
            while not self.kernie.has_died:
                await self.until_counted("predictions", lambda _: True)  # asking takes its time

    async def ended(self) -> list[dict[str, Any]]:
        """What was told, once everybody was told the end."""
        with anyio.fail_after(60):
            for follower in self.followers:
                await follower.until_so(lambda follower=follower: follower.over)
        for follower in self.followers:
            follower.whole()
        return self.followers[0].events

    async def picture(self, events: list[dict[str, Any]]) -> None:
        """The end is a completion whose one picture opens."""
        assert events[-1]["type"] == "completed", json.dumps(events[-1])
        (made,) = events[-1]["result_data"]["artifacts"]
        async with httpx2.AsyncClient(base_url=self.child.url, trust_env=False) as http:
            assert len((await http.get(made["url"])).content) == made["bytes"]


@asynccontextmanager
async def house(folder: Path, **options: object) -> AsyncIterator[House]:
    """Everything started and followed; `options` are the backend's."""
    with kerniegen(folder / "kernie", step_seconds=0.05, **options) as kernie:
        where = {"backends__kerniegen__url": kernie.url, "retry_base_seconds": 0.5}
        with child_process(folder / "data", NOBODY, **where) as child:
            witnesses = SocketFollower(child.url, ID), StreamFollower(child.url, ID)
            async with following(witnesses) as followers:
                yield House(child, kernie, followers)


def _when(row: Row) -> str:
    return row.when


async def _again(process: Child | Kernie) -> None:
    await anyio.to_thread.run_sync(process.kill)
    await anyio.to_thread.run_sync(process.start)


@pytest.mark.parametrize("row", OURS, ids=_when)
async def test_safelight_is_killed(row: Row, tmp_path: Path) -> None:
    """After the restart the prompt is found where it was, or begun if it never was."""
    async with house(tmp_path) as made:
        made.child.points.arm(row.point, row.nth)
        await made.create()
        assert await made.child.points.reached() == row.point
        await _again(made.child)
        events = await made.ended()
        await made.picture(events)
        runs = made.kernie.runs()
    assert set(runs.values()) == {1}, runs
    assert (events[-1]["attempt"], len(runs)) == (row.attempts, row.runs)


async def test_safelight_is_killed_while_it_downloads(tmp_path: Path) -> None:
    """The file is fetched again after the restart, and told once."""
    async with house(tmp_path) as made:
        made.kernie.arm("hang-http=view@1")
        await made.create()
        await made.until_counted("fetches", lambda count: count == 1)
        await _again(made.child)
        events = await made.ended()
        await made.picture(events)
        runs = made.kernie.runs()
    assert list(runs.values()) == [1]
    assert [event["type"] for event in events].count("artifact") == 1
    assert events[-1]["attempt"] == 1


@pytest.mark.parametrize("row", THEIRS, ids=_when)
async def test_the_backend_is_killed(row: Row, tmp_path: Path) -> None:
    """Its queue is lost with it: what had not been told as done is begun again, as another
    prompt; none runs twice."""
    async with house(tmp_path) as made:
        made.kernie.arm(row.point)
        await made.create()
        await made.until_dead()
        await _again(made.kernie)
        events = await made.ended()
        await made.picture(events)
        runs = made.kernie.runs()
    assert set(runs.values()) == {1}, runs
    assert (events[-1]["attempt"], len(runs)) == (row.attempts, row.runs)


async def test_the_backend_is_killed_before_the_post(tmp_path: Path) -> None:
    """Nothing was sent to it, so nothing is lost: the task waits, and runs once it is back."""
    async with house(tmp_path) as made:
        made.child.points.arm("before-start")
        await made.create()
        await made.child.points.reached()
        await anyio.to_thread.run_sync(made.kernie.kill)
        made.child.points.go_on()
        await made.until_counted("backends_down", lambda count: count == 1)
        await anyio.to_thread.run_sync(made.kernie.start)
        events = await made.ended()
        await made.picture(events)
        runs = made.kernie.runs()
    assert list(runs.values()) == [1]


async def test_the_backend_is_killed_while_it_is_downloaded_from(tmp_path: Path) -> None:
    """Its files outlive it: the download is tried again, and nothing runs a second time."""
    async with house(tmp_path) as made:
        made.kernie.arm("hang-http=view@1")
        await made.create()
        await made.until_counted("fetches", lambda count: count == 1)
        await _again(made.kernie)
        events = await made.ended()
        await made.picture(events)
        runs = made.kernie.runs()
    assert list(runs.values()) == [1]
    assert events[-1]["attempt"] == 1
