"""A server that is asked to stop hears out what is paid and only it can hear."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx2
import pytest

from tests.doubles.emulated import Emulated, emulated
from tests.doubles.process import ServerProcess, server_process
from tests.doubles.served import PATIENCE
from tests.doubles.streaming_house import AGREED

pytestmark = pytest.mark.slow

WANTED: dict[str, Any] = {
    "id": "verse",
    "kind": "text",
    "model": "claude-haiku-5-5",
    "prompt": "three words on lighthouses",
    **AGREED,
}


@contextmanager
def rig(folder: Path, **settings: object) -> Iterator[tuple[Emulated, ServerProcess]]:
    """An emulator that takes a while, and a server process that asks it."""
    with emulated(folder, "anthropic", pace=0.03) as emulator:
        provider = {
            "providers__anthropic__url": emulator.url,
            "providers__anthropic__key": emulator.key,
        }
        with server_process(folder / "data", **provider, **settings) as server:
            yield emulator, server


async def _writing(server: ServerProcess) -> None:
    """The task is there, and its first words are."""
    async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
        assert (await client.post("/api/tasks", json=WANTED)).status_code == 202
        async with client.stream("GET", "/api/tasks/verse/events") as events:
            async for line in events.aiter_lines():
                if line == "event: text" or '"type":"text"' in line:
                    return
    raise AssertionError("no words came")


async def _end(server: ServerProcess) -> dict[str, Any]:
    async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
        answer = await client.get("/api/tasks/verse")
        data: dict[str, Any] = answer.json()["data"]
        return data


async def test_a_paid_answer_is_heard_out(tmp_path: Path) -> None:
    """SIGTERM in the middle of a stream: the process ends when the stream has, the task is
    complete, and was run once."""
    with rig(tmp_path) as (emulator, server):
        await _writing(server)
        assert await anyio.to_thread.run_sync(server.stop) == 0
        await anyio.to_thread.run_sync(server.start)
        task = await _end(server)
        assert (task["status"], task["attempt"]) == ("completed", 1)
        assert len(emulator.runs()) == 1


async def test_it_is_not_waited_for_longer_than_is_set(tmp_path: Path) -> None:
    """Without that time the stream is cut, which the task says; nothing is run again."""
    with rig(tmp_path, settle_seconds=0) as (emulator, server):
        await _writing(server)
        assert await anyio.to_thread.run_sync(server.stop) == 0
        await anyio.to_thread.run_sync(server.start)
        async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
            told = await client.get("/api/tasks/verse/events", params={"after": 0, "wait": 10})
            assert told.status_code == 200
        task = await _end(server)
        assert task["error_data"]["code"] == "outcome_unknown"
        assert len(emulator.runs()) == 1
