"""What is the same for every provider that streams and keeps nothing: watched, canceled, killed.

The faults of each are rows of test_anthropic_table.py and test_gemini_table.py.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.doubles.emulated import emulated
from tests.doubles.process import server_process
from tests.doubles.served import PATIENCE
from tests.doubles.streaming_house import ended, spent
from tests.doubles.streaming_table import ANTHROPIC, GOOGLE, Speaker

pytestmark = pytest.mark.slow

EACH = pytest.mark.parametrize("speaker", [ANTHROPIC, GOOGLE], ids=lambda speaker: speaker.name)


@EACH
async def test_a_text_is_watched_as_it_is_written(speaker: Speaker, tmp_path: Path) -> None:
    """Its pieces are events, which come to the text that is its result, and the ledger says
    what the emulator does: thoughts, which nobody sees, are paid for too."""
    async with speaker.rig(tmp_path, pace=0.01) as (emulator, house):
        created = await house.create(**speaker.text)
        async with asyncio.timeout(PATIENCE):
            events = await house.events(created["task_id"])
        money = await spent(house)
    pieces = [event["delta"] for event in events if event["type"] == "text"]
    assert len(pieces) > 1
    assert "".join(pieces) == events[-1]["result_data"]["content"]
    assert money["total_micros"] == emulator.cost() > 0


@EACH
async def test_a_cancel_ends_it_and_says_what_is_known(speaker: Speaker, tmp_path: Path) -> None:
    """The task is canceled at once, its connection closed, and what was used by then is told
    as an estimate: the run may go on without a listener, and nobody will say."""
    async with speaker.rig(tmp_path, pace=0.2) as (emulator, house):
        created = await house.create(**speaker.text)
        async with house.http.stream("GET", f"/api/tasks/{created['task_id']}/events") as stream:
            async for line in stream.aiter_lines():
                if '"type":"text"' in line:
                    break
        await house.post(f"/api/tasks/{created['task_id']}/cancel")
        last = await ended(house, created)
    assert last["status"] == "canceled"
    assert last["charge"]["verdict"] == "estimated"
    assert last["charge"]["amount_micros"] > 0
    assert len(emulator.runs()) == 1


@EACH
async def test_a_server_that_is_killed_in_the_middle_asks_nobody_again(
    speaker: Speaker, tmp_path: Path
) -> None:
    """After SIGKILL and a start the task ends as outcome_unknown: one run, one request, and
    nothing that calls it a success."""
    (tmp_path / "models.toml").write_text(speaker.models)
    with emulated(tmp_path, speaker.name, pace=0.2) as emulator:
        settings = {
            "models_file": tmp_path / "models.toml",
            f"providers__{speaker.name}__url": emulator.url,
            f"providers__{speaker.name}__key": emulator.key,
        }
        with server_process(tmp_path / "data", **settings) as server:
            id = await anyio.to_thread.run_sync(_until_text, server.url, speaker.text)
            await anyio.to_thread.run_sync(server.kill)
            await anyio.to_thread.run_sync(server.start)
            task = await anyio.to_thread.run_sync(_end_of, server.url, id)
    assert task["status"] == "failed"
    assert task["error_data"]["code"] == "outcome_unknown"
    assert task["charge"]["verdict"] == "unknown"
    assert len(emulator.runs()) == 1
    assert emulator.asked("POST", speaker.path) == 1


def _until_text(url: str, wanted: dict[str, Any]) -> str:
    """Create it and wait until it has begun to write; its id."""
    made = httpx2.post(f"{url}/api/tasks", json=wanted)
    id: str = made.json()["data"]["task_id"]
    with httpx2.stream("GET", f"{url}/api/tasks/{id}/events", timeout=PATIENCE) as stream:
        for line in stream.iter_lines():
            if '"type":"text"' in line:
                return id
    raise AssertionError("it wrote nothing")


def _end_of(url: str, id: str) -> dict[str, Any]:
    """The task as it ended."""
    with httpx2.stream("GET", f"{url}/api/tasks/{id}/events", timeout=PATIENCE) as stream:
        for _ in stream.iter_lines():
            pass
    task: dict[str, Any] = httpx2.get(f"{url}/api/tasks/{id}").json()["data"]
    return task
