"""A disk that is full under a running server: said plainly, waited out, nothing lost.

The promise: who asks is told 507, what runs waits and neither fails nor lies, who reads
goes on reading; and once there is room all goes on by itself, without a restart.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import anyio.to_thread
import httpx2
import pytest

from safelight.store import Store, database, open_store
from tests.doubles.disk import fill, small_disk
from tests.doubles.followers import Follower, SocketFollower, StreamFollower, following
from tests.doubles.process import server_process
from tests.doubles.served import PATIENCE, served

WORDS: list[dict[str, Any]] = [
    {"do": "text", "delta": "x" * 2000},
    {"do": "sleep", "seconds": 0.02},
]
BODY = {"kind": "image", "prompt": "a long exposure", "model": "scripted/image"}


def long(id: str, words: int = 60) -> dict[str, Any]:
    """A task that writes for a second or more, and then makes a file."""
    return BODY | {"id": id, "params": {"script": WORDS * words + [{"do": "image"}]}}


async def until_refused(http: httpx2.AsyncClient) -> tuple[httpx2.Response, list[str]]:
    """Create until one is refused; the ids of those that were accepted before."""
    accepted: list[str] = []
    async with asyncio.timeout(PATIENCE):
        for n in range(1000):
            answer = await http.post("/api/tasks", json=BODY | {"id": f"more-{n}"})
            if answer.status_code != 202:
                return answer, accepted
            accepted.append(f"more-{n}")
    raise AssertionError("never refused")


async def check_end(http: httpx2.AsyncClient, ids: list[str]) -> None:
    """Every accepted task is there and ends well, in one attempt, its events without a hole."""
    for id in ids:
        waited = await http.get(f"/api/tasks/{id}/events", params={"after": 0, "wait": 0})
        assert waited.status_code == 200, waited.text
        cursor, told = "0", []
        async with asyncio.timeout(2 * PATIENCE):
            while True:
                page = (
                    await http.get(f"/api/tasks/{id}/events", params={"after": cursor, "wait": 5})
                ).json()["data"]
                told += page["events"]
                cursor = page["cursor"]
                if page["ended"]:
                    break
        assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
        assert (told[-1]["type"], {event["attempt"] for event in told}) == ("completed", {1})


@pytest.mark.slow
@pytest.mark.needs("tmpfs")
async def test_a_full_disk_is_waited_out(tmp_path: Path) -> None:
    """A disk of six megabytes is filled while tasks run and are watched. New ones hear 507
    `storage_full`; what is there is read and joined; when the room comes back the watched
    tasks go on where they were, by the same process, and nobody missed an event."""
    with (
        small_disk(tmp_path / "disk", megabytes=6) as disk,
        server_process(disk / "data", scripted=True, log_format="json") as server,
    ):
        async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as http:
            assert (await http.post("/api/tasks", json=BODY | {"id": "early"})).status_code == 202
            await check_end(http, ["early"])
            for id in ("one", "two"):
                assert (await http.post("/api/tasks", json=long(id))).status_code == 202
            followers: list[Follower] = [
                SocketFollower(server.url, "one"),
                StreamFollower(server.url, "two"),
            ]
            async with following(followers):
                for follower in followers:
                    await follower.until("text")
                filler = await anyio.to_thread.run_sync(fill, disk)
                refused, accepted = await until_refused(http)
                assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
                assert refused.json()["retry"] == "later"
                pid = server.pid
                await both_wait(http)
                await reads_go_on(server.url, http)
                filler.unlink()
                async with asyncio.timeout(2 * PATIENCE):
                    for follower in followers:
                        await follower.until("completed")
            for follower in followers:
                follower.whole()
                assert follower.connections == 1
            late = await http.post("/api/tasks", json=BODY | {"id": "late"})
            assert late.status_code == 202
            await check_end(http, ["early", "one", "two", "late", *accepted])
            assert server.pid == pid
        await anyio.to_thread.run_sync(server.stop)
        assert "Traceback" not in server.stderr()
        check_database(disk / "data")
        assert list((disk / "data" / "artifacts" / "incoming").iterdir()) == []


async def both_wait(http: httpx2.AsyncClient) -> None:
    """The tasks that run have not ended, and stand still: their seq does not move."""
    for id in ("one", "two"):
        first = (await http.get(f"/api/tasks/{id}")).json()["data"]
        again = await http.get(
            f"/api/tasks/{id}/events", params={"after": first["cursor"], "wait": 1}
        )
        assert first["status"] == "processing"
        assert again.json()["data"]["events"] == []


async def reads_go_on(url: str, http: httpx2.AsyncClient) -> None:
    """What is on disk is shown, listed and joined from its first event on."""
    assert (await http.get("/readyz")).status_code == 200
    assert (await http.get("/api/tasks/early")).json()["data"]["status"] == "completed"
    assert len((await http.get("/api/tasks")).json()["data"]["tasks"]) >= 3
    newcomer = SocketFollower(url, "early")
    async with following([newcomer]), asyncio.timeout(PATIENCE):
        await newcomer.until("completed")
    newcomer.whole()


def check_database(folder: Path) -> None:
    """SQLite finds nothing wrong with the file."""
    plain = sqlite3.connect(folder / "safelight.sqlite3")
    assert plain.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    plain.close()


Pragma = Callable[[str, int], Awaitable[None]]


class Bounded:
    """A way of opening the store whose database cannot grow past `pages`."""

    def __init__(self) -> None:
        self.writing: aiosqlite.Connection | None = None

    async def connect(self, path: Path, *, read_only: bool = False) -> aiosqlite.Connection:
        made = await database.connect(path, read_only=read_only)
        if not read_only:
            self.writing = made
        return made

    @asynccontextmanager
    async def open(self, folder: Path, now: int) -> AsyncIterator[Store]:
        async with open_store(folder, now, connect=self.connect) as store:
            yield store

    async def pages(self, count: int) -> None:
        """No more pages than that, or than there are."""
        assert self.writing is not None
        await database.scalar(self.writing, f"PRAGMA max_page_count={count}")


async def test_a_database_that_may_not_grow_is_waited_out(tmp_path: Path) -> None:
    """The same without being root: the bound is the database's own."""
    bound = Bounded()
    async with served(tmp_path / "data", opened=bound.open) as house:
        await house.create(id="early")
        await house.events("early")
        assert (await house.post("/api/tasks", long("one"))).status_code == 202
        follower = SocketFollower(house.url, "one")
        async with following([follower]):
            await follower.until("text")
            await bound.pages(1)
            refused, accepted = await until_refused(house.http)
            assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
            assert (await house.http.get("/api/tasks/one")).json()["data"]["status"] == "processing"
            assert [e["type"] for e in await house.events("early")][-1] == "completed"
            await bound.pages(100_000)
            async with asyncio.timeout(2 * PATIENCE):
                await follower.until("completed")
        follower.whole()
        await check_end(house.http, ["early", "one", *accepted])
        started = [uid for uid, _ in house.scripted.started]
        assert sorted(started) == sorted(set(started))
