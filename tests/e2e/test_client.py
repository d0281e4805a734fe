"""The Python client against a real server that is killed in the middle of a task."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from safelight.client import Event, connect
from safelight_protocol.events import TERMINAL
from tests.doubles.process import server_process

WAIT_SECONDS = 60.0

pytestmark = pytest.mark.slow


async def test_a_watch_survives_a_killed_server(tmp_path: Path) -> None:
    """Killed in mid-task and started again: every event once, in order, to one end."""
    seen: list[Event] = []
    with server_process(tmp_path / "data", local_pace_seconds=0.05) as server:
        async with asyncio.timeout(WAIT_SECONDS), connect(server.url) as client:
            size = {"width": 256, "height": 256}
            task = await client.create(kind="image", prompt="a monk", params=size)
            watch = client.watch(task.task_id, seen.append)
            first = await anext(watch)
            snapshot, killed = first, False
            async for snapshot in watch:
                if snapshot.progress >= 0.3 and not killed:
                    killed = True
                    await run_sync(server.kill)
                    await run_sync(server.start)
            assert snapshot.result_data is not None
            (artifact,) = snapshot.result_data.artifacts
            kept = await client.artifact(artifact.url, tmp_path / "a.png", artifact.sha256)
    assert killed
    assert kept.stat().st_size == artifact.bytes
    assert [event.seq for event in seen] == list(range(first.seq + 1, snapshot.seq + 1))
    assert [event.status for event in seen if event.status in TERMINAL] == ["completed"]


async def test_a_create_outlasts_a_restart(tmp_path: Path) -> None:
    """A request that nobody answers is sent again until somebody does, as one task."""
    with server_process(tmp_path / "data", scripted=True) as server:
        async with asyncio.timeout(WAIT_SECONDS), connect(server.url, patience=30) as client:
            await run_sync(server.kill)
            creating = asyncio.create_task(
                client.create(kind="text", prompt="once", model="scripted/text")
            )
            await run_sync(server.start)
            task = await creating
            assert [found.task_id for found in (await client.tasks()).tasks] == [task.task_id]
