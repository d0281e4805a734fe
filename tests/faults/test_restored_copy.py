"""The database is put back from an older copy under clients that know better.

What went wrong elsewhere: a backup is restored, the log grows again past the place that a
client had reached, and it goes on reading as if nothing had happened. Here the server is
killed, the copy restored, and every kind of client comes back with a cursor of the history
that was lost. Each is told `gap`, and ends where the server's truth is.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
import websockets

from safelight.client import connect
from tests.doubles.child import Child, child_process
from tests.doubles.fault_proxy import fault_proxy
from tests.doubles.followers import (
    AGAIN_SECONDS,
    ClientFollower,
    Follower,
    SocketFollower,
    StreamFollower,
    following,
)
from tests.doubles.remote import Remote, remote
from tests.doubles.served import PATIENCE

ID, FILE = "restored", "safelight.sqlite3"
LOST = [{"do": "progress", "to": n / 20, "attempt": 1} for n in range(3, 10)]
SCRIPT: list[dict[str, Any]] = [
    {"do": "progress", "to": 0.1},
    {"do": "wait", "gate": "copied", "attempt": 1},
    *LOST,
    {"do": "wait", "gate": "restored"},
    {"do": "progress", "to": 0.9},
    {"do": "image"},
]
BODY = {"id": ID, "kind": "image", "prompt": "a monk", "model": "scripted/image"}

pytestmark = pytest.mark.slow


class GalleryFollower(Follower):
    """A gallery that comes back with its position: the latest snapshot of every task."""

    def __init__(self, url: str) -> None:
        super().__init__(url, ID)
        self.tasks: dict[str, dict[str, Any]] = {}
        self.log: str | None = None
        self._place: dict[str, Any] = {}

    async def run(self) -> None:
        address = self.url.replace("http", "ws") + "/socket/websocket?vsn=2.0.0"
        while not self.over:
            try:
                async with websockets.connect(address, compression=None, proxy=None) as end:
                    await end.send(json.dumps(["1", "1", "tasks:mine", "phx_join", self._place]))
                    while not self.over:
                        self._hear(json.loads(await end.recv()))
            except (OSError, websockets.WebSocketException):
                await asyncio.sleep(AGAIN_SECONDS)

    def _hear(self, frame: Any) -> None:
        match frame:
            case [_, "1", _, "phx_reply", {"status": "ok", "response": reply}]:
                self.gaps += reply["gap"]
                self.log = reply["log"]
                if reply["gap"]:
                    self.tasks.clear()
                for task in reply["tasks"]:
                    self._show(task, reply["position"])
            case [_, _, _, "task", told]:
                self._show(told["task"], told["position"])

    def _show(self, task: dict[str, Any], position: int) -> None:
        self.tasks[task["task_id"]] = task
        self._place = {"after": position, "log": self.log}
        self.see(task)

    @property
    def over(self) -> bool:
        """Whether it shows the end."""
        return self.tasks.get(ID, {}).get("status") == "completed"


def copy(data: Path) -> Path:
    """A copy of the database while it is in use, as a backup tool makes it."""
    made = data.parent / "copy.sqlite3"
    source, target = sqlite3.connect(data / FILE), sqlite3.connect(made)
    source.backup(target)
    target.close()
    source.close()
    return made


def restore(data: Path, made: Path) -> None:
    """Put the copy in the place of the database."""
    for left in data.glob(f"{FILE}*"):
        left.unlink()
    shutil.copy(made, data / FILE)


class House:
    """The server and the provider, which remembers what the database forgets."""

    def __init__(self, child: Child, provider: Remote, resumable: bool) -> None:
        self.resumable = resumable
        self.child = child
        self.provider = provider

    async def get(self, path: str) -> Any:
        """`data` of an answer of the server."""
        async with httpx2.AsyncClient(base_url=self.child.url, trust_env=False) as http:
            return (await http.get(path)).json()["data"]

    async def create(self) -> None:
        """Make the task; it stops before what will be lost."""
        async with httpx2.AsyncClient(base_url=self.child.url, trust_env=False) as http:
            await http.post("/api/tasks", json=BODY | {"params": {"script": SCRIPT}})

    async def grown(self) -> None:
        """Return once the new history is as long as it gets before the gate."""
        length = 3 + len(LOST) if self.resumable else 6
        async with asyncio.timeout(PATIENCE):
            seq = 0
            while seq < length:
                found = await self.get(f"/api/tasks/{ID}/events?after={seq}&wait=5")
                seq = int(found["cursor"].rpartition("-")[2])

    async def go_back(self, made: Path) -> None:
        """Kill it, restore the copy, start it again."""
        await anyio.to_thread.run_sync(self.child.kill)
        restore(self.child.data_dir, made)
        await anyio.to_thread.run_sync(self.child.start)


@pytest.fixture(params=[True, False], ids=["regrown past the cursor", "shorter than the cursor"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """With a provider that tells everything again, or one that lost it and begins anew."""
    async with remote() as provider:
        with child_process(tmp_path / "data", provider.url, resumable=request.param) as child:
            yield House(child, provider, request.param)


async def reached(followers: list[Follower], seq: int) -> None:
    """Return once every client knows the task at `seq`."""
    async with asyncio.timeout(PATIENCE):
        for follower in followers:
            await follower.until_so(lambda one=follower: _seq(one) >= seq)


def _seq(follower: Follower) -> int:
    return max((told["seq"] for told in follower.events + follower.snapshots), default=0)


def consistent(follower: Follower, truth: list[dict[str, Any]]) -> None:
    """Assert that what it was told since the gap is the truth, and reaches its end."""
    start = follower.snapshots[-1]["seq"]
    told = [event for event in follower.events if event in truth and event["seq"] > start]
    assert told == truth[start:], type(follower).__name__
    strange = [event for event in follower.events if event not in truth]
    assert len(strange) == len(LOST), "what it was told before is of the lost history"


async def test_a_restored_copy_fools_no_client(house: House) -> None:
    """Socket, stream, gallery and Python client come back with places of the lost history:
    each is told that there is a gap, and ends with the state that the server has."""
    await house.create()
    async with fault_proxy(house.child.url) as proxy, connect(proxy.url) as client:
        url = proxy.url
        socket, stream = SocketFollower(url, ID), StreamFollower(url, ID)
        gallery, python = GalleryFollower(url), ClientFollower(client, ID)
        followers: list[Follower] = [socket, stream, gallery, python]
        async with following(followers):
            await reached(followers, 3)
            made = copy(house.child.data_dir)
            house.provider.gate("copied").set()
            await reached(followers, 3 + len(LOST))
            proxy.refuse = True  # nobody comes back before the log has grown again
            await house.go_back(made)
            await house.grown()
            proxy.refuse = False
            async with asyncio.timeout(PATIENCE):
                for follower in (socket, stream, gallery):
                    await follower.until_so(lambda one=follower: one.gaps > 0)
            house.provider.gate("restored").set()
    truth = (await house.get(f"/api/tasks/{ID}/events?after=0&wait=5"))["events"]
    task = await house.get(f"/api/tasks/{ID}")
    assert [event["seq"] for event in truth] == list(range(1, len(truth) + 1))
    consistent(socket, truth)
    consistent(stream, truth)
    assert gallery.tasks == {ID: {k: task[k] for k in gallery.tasks[ID]}}
    shown = python.snapshots[-1]
    assert shown == {name: task[name] for name in shown}
    assert (socket.gaps, stream.gaps, gallery.gaps) == (1, 1, 1)


async def test_a_task_born_after_the_copy_is_gone(house: House) -> None:
    """A client of a task that the copy does not have is told that there is none, and the
    repeat of its create makes it again."""
    async with connect(house.child.url) as client:
        made = copy(house.child.data_dir)
        await house.create()
        follower = SocketFollower(house.child.url, ID)
        async with following([follower]):
            await reached([follower], 3)
            await house.go_back(made)
            async with asyncio.timeout(PATIENCE):
                await follower.until_so(lambda: any(map(_not_found, follower.frames)))
            await house.create()
            for gate in ("copied", "restored"):
                house.provider.gate(gate).set()
        assert (await client.get(ID)).status == "completed"
    assert follower.gaps == 1
    truth = (await house.get(f"/api/tasks/{ID}/events?after=0&wait=5"))["events"]
    assert follower.events[-1] == truth[-1]


def _not_found(frame: Any) -> bool:
    return frame[3] == "phx_reply" and frame[4]["response"].get("reason") == "Task not found"
