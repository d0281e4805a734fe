"""What becomes of an attempt that the server left behind, by provider and by what is known.

The rule behind the table: where a second start could be billed there is at most one for an
attempt, elsewhere there is at least one; and no live task is left without care.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import anyio.lowlevel
import pytest

from safelight.app import running
from safelight.providers.scripted import Scripted
from safelight.settings import Settings
from safelight.store import Store, database, open_store
from safelight_protocol.events import TERMINAL
from tests.doubles.full import Room, full
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.turns import until

IMAGE = {"do": "image"}


class Left(NamedTuple):
    """A row: the provider, what was on disk, what it remembers, and what comes of it."""

    billed: bool
    resumable: bool
    saved: bool
    remembers: bool
    end: str
    starts: int


TABLE = [
    Left(billed=True, resumable=True, saved=True, remembers=True, end="completed", starts=1),
    Left(billed=True, resumable=True, saved=True, remembers=False, end="completed", starts=1),
    Left(billed=True, resumable=True, saved=False, remembers=True, end="completed", starts=1),
    Left(billed=True, resumable=True, saved=False, remembers=False, end="unknown", starts=1),
    Left(billed=True, resumable=False, saved=True, remembers=True, end="completed", starts=1),
    Left(billed=True, resumable=False, saved=True, remembers=False, end="unknown", starts=1),
    Left(billed=True, resumable=False, saved=False, remembers=True, end="completed", starts=1),
    Left(billed=True, resumable=False, saved=False, remembers=False, end="unknown", starts=1),
    Left(billed=False, resumable=True, saved=True, remembers=True, end="completed", starts=1),
    Left(billed=False, resumable=True, saved=True, remembers=False, end="completed", starts=1),
    Left(billed=False, resumable=True, saved=False, remembers=True, end="completed", starts=1),
    Left(billed=False, resumable=True, saved=False, remembers=False, end="completed", starts=2),
    Left(billed=False, resumable=False, saved=True, remembers=True, end="completed", starts=2),
    Left(billed=False, resumable=False, saved=True, remembers=False, end="completed", starts=2),
    Left(billed=False, resumable=False, saved=False, remembers=True, end="completed", starts=2),
    Left(billed=False, resumable=False, saved=False, remembers=False, end="completed", starts=2),
]


@pytest.mark.parametrize("left", TABLE, ids=[" ".join(map(str, row)) for row in TABLE])
async def test_what_was_left_behind_is_taken_up(tmp_path: Path, left: Left) -> None:
    """Followed, looked up, started again or given up as the table says; one end each."""
    limits = {"attempt_timeout_seconds": 1.5 if left.end == "unknown" else 60.0}
    before = await _leave_behind(tmp_path, left, limits)
    after = Scripted(billed=left.billed, resumable=left.resumable)
    after.gate("answer").set()
    after.gate("end").set()
    if left.remembers:
        after.started += before.started
    async with served(tmp_path, scripted_provider=after, **limits) as house:
        events = await house.events("x")
    made = before.started + [marks for marks in after.started if marks not in before.started]
    assert len(made) == len(set(made)) == left.starts
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert events[-1]["attempt"] == left.starts
    if left.end == "completed":
        assert events[-1]["type"] == "completed"
    else:
        assert events[-1]["error_data"]["code"] == "outcome_unknown"
        assert events[-1]["charge"]["verdict"] == "unknown"


async def _leave_behind(tmp_path: Path, left: Left, limits: dict[str, float]) -> Scripted:
    """Run the first server to the moment of the row, and end it there."""
    before = Scripted(billed=left.billed, resumable=left.resumable)
    if left.saved:
        before.gate("answer").set()
    script = [
        {"do": "start_hangs", "gate": "answer"},
        {"do": "progress", "to": 0.5},
        {"do": "wait", "gate": "end"},
        IMAGE,
    ]
    async with served(tmp_path, scripted_provider=before, **limits) as house:
        await house.create(id="x", params={"script": script})
        async with house.connect() as phone:
            await phone.join("task:x", {"after": 0})
            await phone.until_event("progress" if left.saved else "started")
        await _started(before)
    return before


async def _started(provider: Scripted) -> None:
    with anyio.fail_after(PATIENCE):
        while not provider.started:
            await anyio.lowlevel.checkpoint()


async def test_a_deadline_that_passed_meanwhile_leaves_time_to_ask(tmp_path: Path) -> None:
    """The server was down past the attempt's deadline; a prediction that finished long ago
    is still fetched instead of being thrown away."""
    left = Left(True, True, saved=True, remembers=True, end="completed", starts=1)
    await _leave_behind(tmp_path, left, {})
    with sqlite3.connect(tmp_path / "safelight.sqlite3") as database:
        database.execute("UPDATE tasks SET deadline = 1")
    database.close()
    after = Scripted(billed=True, resumable=True)
    after.gate("end").set()
    async with served(tmp_path, scripted_provider=after) as house:
        assert (await house.events("x"))[-1]["type"] == "completed"


async def test_every_live_task_is_in_care(tmp_path: Path) -> None:
    """Queued, waiting for a retry, running, canceling: after a restart all of them end."""
    hang: list[dict[str, Any]] = [{"do": "wait", "gate": "end"}, IMAGE]
    before = Scripted(resumable=True)
    before.deaf = True
    async with served(tmp_path, scripted_provider=before) as house:
        retry = [{"do": "fault", "after_seconds": 1, "attempt": 1}, IMAGE]
        await house.create(id="retry", params={"script": retry})
        await _until(house, "retry", "retrying")
        for n in range(6):
            await house.create(id=f"x{n}", params={"script": hang})
        await _until(house, "x0", "started")
        await house.post("/api/tasks/x0/cancel")
    after = Scripted(resumable=True)
    after.gate("end").set()
    async with served(tmp_path, scripted_provider=after) as house:
        assert house.context.statistics()["live"] == 7
        ends = {id: (await house.events(id))[-1]["type"] for id in ("retry", "x0", "x3", "x5")}
    assert ends == {"retry": "completed", "x0": "canceled", "x3": "completed", "x5": "completed"}


async def test_a_start_that_cannot_write_can_be_stopped(tmp_path: Path) -> None:
    """Nothing can be written of what was left behind: the doors open all the same, the
    server goes when it is told to, and the next one takes the task up."""
    async with served(tmp_path) as house:
        await house.create(id="x", params={"script": [{"do": "hang", "attempt": 1}, IMAGE]})
        await _until(house, "x", "started")
    room = Room()
    async with asyncio.timeout(PATIENCE):
        async with served(tmp_path, opened=full(lambda item: True, room)) as house:
            await until(lambda: room.refused)
            assert (await house.http.get("/api/tasks/x")).status_code == 200
        async with served(tmp_path) as house:
            assert (await house.events("x"))[-1]["type"] == "completed"


async def _until(house: Served, id: str, type: str) -> None:
    async with house.connect() as phone:
        await phone.join(f"task:{id}", {"after": 0})
        await phone.until_event(type)


def _heard(asked: list[str]) -> Callable[[Path, int], AbstractAsyncContextManager[Store]]:
    """A way to open the store that notes every statement."""

    async def connect(path: Path, *, read_only: bool = False) -> database.Handle:
        connection = await database.connect(path, read_only=read_only)
        await connection.set_trace_callback(asked.append)
        return connection

    return lambda directory, now: open_store(directory, now, connect=connect)


async def test_what_waits_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    """A start reads no log of a task that waits. Whoever asks first, many at once and a cancel
    among them, gets the whole log and goes on with it; and so does who asks last."""
    script = [{"do": "progress", "to": 0.5}, {"do": "fault", "after_seconds": 3600}]
    async with served(tmp_path) as house:
        for n in range(6):
            await house.create(id=f"x{n}", params={"script": script})
            await _until(house, f"x{n}", "retrying")
    asked: list[str] = []
    async with served(tmp_path, opened=_heard(asked)) as house:
        assert house.context.statistics()["live"] == 6
        assert [text for text in asked if "SELECT seq, run, body FROM events" in text] == []
        answers = await asyncio.gather(
            *(house.http.get("/api/tasks/x0") for _ in range(9)),
            house.post("/api/tasks/x0/cancel"),
            *(house.http.get("/api/tasks/x0/events?wait=5") for _ in range(9)),
        )
        assert {answer.status_code for answer in answers} <= {200, 202}
        assert all(answer.json()["data"]["attempt"] == 2 for answer in answers[:9])
        for n in range(1, 6):
            await house.post(f"/api/tasks/x{n}/cancel")
        logs = [await house.events(f"x{n}") for n in range(6)]
    types = ["queued", "started", "progress", "retrying", "canceled"]
    assert [[event["type"] for event in log] for log in logs] == [types] * 6
    assert [[event["seq"] for event in log] for log in logs] == [[1, 2, 3, 4, 5]] * 6


@pytest.mark.parametrize("left", TABLE, ids=[" ".join(map(str, row)) for row in TABLE])
async def test_a_cancel_may_come_while_attempts_are_taken_up(tmp_path: Path, left: Left) -> None:
    """The doors are open as soon as a task is in care. A cancel that is there before its
    attempt is followed or looked up again leads to one end, and starts nothing that could
    be billed twice."""
    limits = {"attempt_timeout_seconds": 1.5 if left.end == "unknown" else 60.0}
    before = await _leave_behind(tmp_path, left, limits)
    after = Scripted(billed=left.billed, resumable=left.resumable)
    after.gate("answer").set()
    if left.remembers:
        after.started += before.started
    chosen = Settings(data_dir=str(tmp_path), scripted=True, retry_base_seconds=0.001, **limits)
    async with running(chosen, {"scripted": after}) as context:
        await context.orchestrator.cancel("local", "x")
        task = await context.orchestrator.find("local", "x")
        with anyio.fail_after(PATIENCE):
            while (await context.log.snapshot(task)).status not in TERMINAL:
                await anyio.lowlevel.checkpoint()
        entries = await context.log.read(task.uid, 0, 99)
    made = {*before.started, *after.started}
    assert len(made) <= left.starts
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry.ends for entry in entries] == [False] * (len(entries) - 1) + [True]
