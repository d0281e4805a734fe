"""The promise, clause by clause: each test is named after the words that it proves.

> An accepted task is on disk before you hear "accepted". It ends exactly once. You can read
> every event of it, in order, from any door, as long as its log is kept, and are told
> plainly when it no longer is. It is never run twice because of us, and never billed in
> silence.

Each runs the real server in a process of its own, which is stopped or killed at the very
point where the clause could break. docs/guarantees.md says where each of them ends.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest
import websockets

from tests.doubles.child import Child, child_process
from tests.doubles.remote import Remote, remote

from .checker import check
from .collect import collect
from .history import AnyRecord, Recorder, StoredTask
from .reading import TERMINAL, read_frame, read_json, read_message
from .sockets import SocketWitness
from .witnesses import PollWitness, Stage, StreamWitness

pytestmark = pytest.mark.slow
PATIENCE = 20.0
STEPS = [{"do": "progress", "to": 0.5}, {"do": "image"}]
HELD = [{"do": "progress", "to": 0.5}, {"do": "wait", "gate": "end"}, {"do": "image"}]


class House(NamedTuple):
    """The server, its provider, and its data."""

    child: Child
    provider: Remote
    data: Path

    async def create(self, id: str, script: list[dict[str, Any]], **more: Any) -> httpx2.Response:
        """Ask for a task."""
        body = {"id": id, "kind": "image", "prompt": "a monk", "model": "scripted/image"}
        async with self.client() as http:
            return await http.post(
                "/api/tasks", json={**body, "params": {"script": script}, **more}
            )

    def client(self) -> httpx2.AsyncClient:
        """A client of its REST door."""
        return httpx2.AsyncClient(base_url=self.child.url, timeout=PATIENCE, trust_env=False)

    async def task(self, id: str) -> dict[str, Any]:
        """The task as REST shows it."""
        async with self.client() as http:
            return (await http.get(f"/api/tasks/{id}")).json()["data"]

    async def ended(self, id: str) -> dict[str, Any]:
        """The task once it has ended, which is when its stream ends."""
        async with asyncio.timeout(PATIENCE), self.client() as http:
            await http.get(f"/api/tasks/{id}/events")
        found = await self.task(id)
        assert found["status"] in TERMINAL, found
        return found

    async def swept(self) -> None:
        """Return once only the event that ended each task is left. Nobody tells that: the disk
        is looked at after each answer of the server."""
        async with asyncio.timeout(PATIENCE), self.client() as http:
            while any(len(task.events) > 1 for task in self.stored()):
                await http.get("/healthz")

    async def killed(self) -> None:
        """SIGKILL, and a new start on the same data."""
        await asyncio.to_thread(self.child.kill)
        await asyncio.to_thread(self.child.start)

    def stored(self) -> list[StoredTask]:
        """The tasks on the disk."""
        return [r for r in collect(self.data, 0.0) if isinstance(r, StoredTask)]


@asynccontextmanager
async def house(folder: Path, *, billed: bool = False, **settings: Any) -> AsyncIterator[House]:
    """A server on a data directory, for as long as the block lasts."""
    quick = {"retry_base_seconds": 0.01, "cancel_timeout_seconds": 1}
    async with remote() as provider:
        with child_process(
            folder / "data", provider.url, billed=billed, **quick | settings
        ) as child:
            yield House(child, provider, folder / "data")


class Crowded(Recorder):
    """A recorder that tells when so many witnesses were heard."""

    def __init__(self, path: Path, count: int) -> None:
        super().__init__(path)
        self.complete = asyncio.Event()
        self._count = count
        self._heard: set[str] = set()

    def write(self, record: AnyRecord) -> None:
        """Keep a record."""
        super().write(record)
        self._heard |= {getattr(record, "witness", None)} - {None}
        if len(self._heard) == self._count:
            self.complete.set()


async def test_an_accepted_task_is_on_disk_before_you_hear_accepted(tmp_path: Path) -> None:
    """Standing still after the commit it is on disk and nobody has heard; killed before
    the commit nobody ever hears, and there is nothing."""
    async with house(tmp_path) as home:
        home.child.points.arm("before-commit:create")
        asking = asyncio.create_task(home.create("one", STEPS))
        await home.child.points.reached()
        assert not asking.done()
        await home.killed()
        with pytest.raises(httpx2.TransportError):
            await asking
        assert home.stored() == []
        home.child.points.arm("after-commit:create")
        asking = asyncio.create_task(home.create("one", STEPS))
        await home.child.points.reached()
        assert [(task.id, len(task.events)) for task in home.stored()] == [("one", 1)]
        assert not asking.done()
        home.child.points.go_on()
        assert (await asking).status_code == 202


async def test_it_ends_exactly_once(tmp_path: Path) -> None:
    """Killed around the commit of its end, and cancelled afterwards, a task has one
    terminal event, and it is the last."""
    for point in ("before-commit:end", "after-commit:end"):
        folder = tmp_path / point.partition(":")[0]
        async with house(folder, billed=True) as home:
            home.child.points.arm(point)
            assert (await home.create("one", STEPS)).status_code == 202
            await home.child.points.reached()
            await home.killed()
            end = await home.ended("one")
            async with home.client() as http:
                canceled = await http.post("/api/tasks/one/cancel")
            assert canceled.json()["data"]["status"] == end["status"] == "completed"
            (task,) = home.stored()
            types = [read_json(event.body)["type"] for event in task.events]
            assert [type for type in types if type in TERMINAL] == types[-1:] == ["completed"]
            assert home.provider.started().total() == 1


async def test_every_event_in_order_from_any_door(tmp_path: Path) -> None:
    """Over a kill, witnesses at every door are told every event once and in order, and
    agree with each other and with the database."""
    async with house(tmp_path) as home:
        assert (await home.create("one", HELD)).status_code == 202
        address = urlsplit(home.child.url)
        recorder = Crowded(tmp_path / "a.history", 4)
        stage = Stage((str(address.hostname), int(address.port or 0)), recorder, "promise")
        stage.calm = True
        witnesses = [
            StreamWitness(stage, "stream", "one"),
            PollWitness(stage, "poll", "one"),
            SocketWitness(stage, "v2", ["one"], door="v2"),
            SocketWitness(stage, "v1", ["one"], door="v1"),
        ]
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            for witness in witnesses:
                group.create_task(witness.run())
            await recorder.complete.wait()
            await home.killed()
            home.provider.gate("end").set()
        recorder.close()
        report = check([*recorder.records, *collect(home.data, 0.0)])
        assert report.violations == []
        assert report.figures.ends == len(witnesses)
        assert report.figures.gaps == 0


async def test_told_plainly_when_the_log_is_no_longer_kept(tmp_path: Path) -> None:
    """A cursor into a log that was swept, and one of a history that a restored backup does
    not have, are answered with `gap` and the whole snapshot at every door."""
    async with house(tmp_path / "first") as home:
        await home.create("one", STEPS)
        cursor = f"{(await home.ended('one'))['log']}-2"
        await asyncio.to_thread(home.child.stop)
        shutil.copytree(home.data, tmp_path / "second/data")
    async with house(tmp_path / "second", log_retention_seconds=0.001) as home:
        await home.swept()
        for told in await _answers(home, cursor):
            assert told["gap"] is True
            assert told["task"]["status"] == "completed"
            assert told["task"]["result_data"]["image_url"]
    async with house(tmp_path / "first") as home:
        for told in await _answers(home, "000000000000-2"):
            assert told["gap"] is True
        for told in await _answers(home, cursor):
            assert told.get("gap", False) is False


async def _answers(home: House, cursor: str) -> list[dict[str, Any]]:
    """What SSE, a poll and a join of the task say to a cursor."""
    async with home.client() as http:
        target = "/api/tasks/one/events"
        polled = (await http.get(target, params={"wait": 0, "after": cursor})).json()["data"]
        stream = await http.get(target, headers={"Last-Event-ID": cursor})
    records = [read_message(record) for record in stream.content.split(b"\n\n")]
    told = next(record for record in records if record.data is not None)
    assert told.data is not None
    assert (told.event == "gap") is bool(told.data.get("gap"))
    url = home.child.url.replace("http", "ws") + "/socket/websocket?vsn=2.0.0"
    async with websockets.connect(url, compression=None) as socket, asyncio.timeout(PATIENCE):
        await socket.send(json.dumps(["1", "1", "task:one", "phx_join", {"after": cursor}]))
        frame = read_frame(str(await socket.recv()).encode(), "v2")
    assert frame is not None
    return [polled, told.data, frame.payload["response"]]


@pytest.mark.parametrize("billed", [True, False], ids=["billed", "free"])
async def test_never_run_twice_because_of_us(billed: bool, tmp_path: Path) -> None:
    """Killed when the provider had accepted and its handle was not saved, the attempt is
    found again instead of started again; equal requests from many doors run once."""
    async with house(tmp_path, billed=billed) as home:
        home.child.points.arm("after-start")
        await home.create("one", STEPS, request_id="key")
        await home.child.points.reached()
        await home.killed()
        again = [home.create("one", STEPS, request_id="key") for _ in range(10)]
        assert {answer.status_code for answer in await asyncio.gather(*again)} == {200}
        assert (await home.ended("one"))["status"] == "completed"
        assert home.provider.started().total() == 1


async def test_never_billed_in_silence(tmp_path: Path) -> None:
    """What was charged stands in the end; a start that may be on the bill and cannot be
    learnt about ends as unknown, says so, and is not started again."""
    async with house(tmp_path, billed=True, attempt_timeout_seconds=5) as home:
        await home.create("paid", STEPS)
        paid = await home.ended("paid")
        assert paid["charge"]["verdict"] == "charged"
        assert paid["charge"]["amount_micros"] > 0
        home.provider.faults.append("lost")
        home.provider.deaf_to_look_ups = True
        await home.create("unsure", STEPS)
        unsure = await home.ended("unsure")
        assert unsure["status"] == "failed"
        assert unsure["error_data"]["code"] == "outcome_unknown"
        assert unsure["charge"]["verdict"] == "unknown"
        assert set(home.provider.started().values()) == {1}
        assert len(home.provider.asked) == 2
