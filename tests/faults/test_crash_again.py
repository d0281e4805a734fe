"""Killed while it recovers from having been killed: recovery may be begun any number of times.

The first kill leaves an attempt that the provider accepted and whose handle was not saved,
which is the most that recovery ever has to find out. The second one comes at a point of that
very recovery, in some rows before the doors are open again.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import httpx2
import pytest

from tests.doubles.child import Child, child_process
from tests.doubles.followers import SocketFollower, StreamFollower, following
from tests.doubles.process import ServerFailed
from tests.doubles.remote import remote

ID = "twice"
SCRIPT = [
    {"do": "wait", "gate": "watched", "attempt": 1},
    {"do": "fault", "attempt": 1, "after_seconds": 0},
    {"do": "progress", "to": 0.5},
    {"do": "image"},
]
BODY = {
    "id": ID,
    "kind": "image",
    "prompt": "once is not enough",
    "model": "scripted/image",
    "params": {"script": SCRIPT},
}
FOUND = ["before-commit:handle", "after-commit:handle", "before-commit:progress", "before-wake"]
LOST = ["before-commit:retry", "after-commit:retry", "after-commit:claim", "before-start"]

pytestmark = pytest.mark.slow


async def _rise(child: Child) -> None:
    try:
        await anyio.to_thread.run_sync(child.start)
    except ServerFailed:
        pass  # it was killed before it listened


async def _die_while_rising(child: Child, point: str) -> None:
    """Start it, and kill it at a point of its recovery."""
    child.points.arm(point)
    async with anyio.create_task_group() as group:
        group.start_soon(_rise, child)
        assert await child.points.reached() == point
        os.kill(child.pid, signal.SIGKILL)
    await anyio.to_thread.run_sync(child.close)


@pytest.mark.parametrize(
    ("dear", "point"),
    [(True, point) for point in FOUND] + [(False, point) for point in LOST],
)
async def test_killed_while_it_recovers(tmp_path: Path, dear: bool, point: str) -> None:
    """Three lives of the server are one life of the task: every event once, one end, and no
    attempt that ran twice."""
    async with remote() as provider:
        with child_process(
            tmp_path / "data", provider.url, billed=dear, resumable=dear, retry_base_seconds=0.001
        ) as child:
            async with httpx2.AsyncClient(base_url=child.url, trust_env=False) as http:
                assert (await http.post("/api/tasks", json=BODY)).status_code == 202
            followers = SocketFollower(child.url, ID), StreamFollower(child.url, ID)
            async with following(followers):
                await followers[0].until("started")
                child.points.arm("after-start")
                provider.gate("watched").set()
                await child.points.reached()
                await anyio.to_thread.run_sync(child.kill)
                await _die_while_rising(child, point)
                await anyio.to_thread.run_sync(child.start)
            for follower in followers:
                follower.whole()
            assert followers[0].events == followers[1].events
            assert followers[0].events[-1]["type"] == "completed"
    runs = provider.started()
    assert max(runs.values()) == 1, provider.asked
    assert len(runs) == 2 or not dear, "billed once for each attempt that it made"
