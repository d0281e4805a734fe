"""The table of Anthropic: what a client sees of each fault, how often a model really ran, and
what the ledger says of it. Real sockets on both sides; the emulator counts for itself.

Nothing is kept there, so a stream that is lost cannot be taken up or looked up again: its
task ends as outcome_unknown at once, and is not sent a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpx2
import pytest

from safelight.providers.anthropic import Anthropic
from safelight.settings import ProviderSettings
from tests.doubles.emulated import Emulated, emulated
from tests.doubles.process import server_process
from tests.doubles.served import PATIENCE, Served
from tests.doubles.streaming_house import AGREED, CLAUDE, ended, spent, streaming_house

MODEL = "claude-haiku-5-5"
WANTED: dict[str, Any] = {
    "kind": "text",
    "model": MODEL,
    "prompt": "three words on lighthouses, please, and then three more",
    **AGREED,
}


class Row(NamedTuple):
    """A fault, how the task ends (`code` of its error, None if it completes), how many runs
    the emulator began, how often it was asked, and the verdict on the cost."""

    fault: str
    code: str | None
    runs: int
    asked: int
    verdict: str


ROWS = [
    Row("late=0.05", None, 1, 1, "charged"),
    Row("lost-answer@1", "outcome_unknown", 1, 1, "unknown"),
    Row("lost-request@1", "outcome_unknown", 0, 1, "unknown"),
    Row("cut@1", "outcome_unknown", 1, 1, "unknown"),
    Row("hang@1", "outcome_unknown", 0, 1, "unknown"),
    Row("hang=stream@1", "outcome_unknown", 1, 1, "unknown"),
    Row("throttle=0@1", None, 1, 2, "charged"),
    Row("throttle=0", "throttled", 0, 3, "free"),
    Row("http-529@1", None, 1, 2, "charged"),
    Row("http-500@1", "outcome_unknown", 0, 1, "unknown"),
    Row("http-503@1", "outcome_unknown", 0, 1, "unknown"),
    Row("http-504@1", "outcome_unknown", 1, 1, "unknown"),
    Row("unauthorized", "provider_refused", 0, 1, "free"),
    Row("no-credit", "provider_refused", 0, 1, "free"),
    Row("no-credit=400", "provider_refused", 0, 1, "free"),
    Row("moderated@1", "content_refused", 0, 1, "free"),
    Row("moderated=run@1", "content_refused", 1, 1, "charged"),
    Row("no-usage@1", None, 1, 1, "unknown"),
]


@asynccontextmanager
async def rig(folder: Path, **options: Any) -> AsyncIterator[tuple[Emulated, Served]]:
    """The emulator and a server that asks it, which bears little silence."""
    with emulated(folder, "anthropic", **options) as emulator:
        settings = ProviderSettings(url=emulator.url, key=emulator.key, silence_seconds=0.5)
        async with streaming_house(folder, Anthropic(settings), CLAUDE) as house:
            yield emulator, house


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.fault)
async def test_the_table(row: Row, tmp_path: Path) -> None:
    """Each fault ends its task in the one way that is true, whatever really ran is on the
    ledger or said to be unknown, and nothing runs twice."""
    async with rig(tmp_path) as (emulator, house):
        emulator.arm(row.fault)
        created = await house.create(**WANTED)
        last = await ended(house, created)
        money = await spent(house)
    assert last["status"] == ("completed" if row.code is None else "failed")
    assert (last.get("error_data") or {}).get("code") == row.code
    assert last["charge"]["verdict"] == row.verdict
    assert len(emulator.runs()) == row.runs
    assert emulator.asked("POST", "/v1/messages") == row.asked
    if row.verdict != "unknown":
        assert money["total_micros"] == emulator.cost() == last["charge"]["amount_micros"]


async def test_a_text_is_watched_as_it_is_written(tmp_path: Path) -> None:
    """Its pieces are events, which come to the text that is its result, and the ledger says
    what the emulator does."""
    async with rig(tmp_path, pace=0.01) as (emulator, house):
        created = await house.create(**WANTED)
        async with asyncio.timeout(PATIENCE):
            events = await house.events(created["task_id"])
        money = await spent(house)
    pieces = [event["delta"] for event in events if event["type"] == "text"]
    assert len(pieces) > 1
    assert "".join(pieces) == events[-1]["result_data"]["content"]
    assert money["total_micros"] == emulator.cost() > 0


async def test_a_cancel_ends_it_and_says_what_is_known(tmp_path: Path) -> None:
    """The task is canceled at once, its connection closed, and what was used by then is told
    as an estimate: the run may go on without a listener, and nobody will say."""
    async with rig(tmp_path, pace=0.2) as (emulator, house):
        created = await house.create(**WANTED)
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


async def test_a_run_that_fails_is_made_again(tmp_path: Path) -> None:
    """An error in the middle of a stream is the provider's own word that this run is over, so
    another one is begun; that it did not say what the first cost is told."""
    async with rig(tmp_path) as (emulator, house):
        emulator.arm("fail@1")
        last = await ended(house, await house.create(**WANTED))
        money = await spent(house)
    assert last["status"] == "completed"
    assert [run["outcome"] for run in emulator.runs()] == ["failed", "succeeded"]
    assert last["charge"]["verdict"] == "unknown"
    assert money["total_micros"] == emulator.cost()


async def test_a_server_that_is_killed_in_the_middle_asks_nobody_again(tmp_path: Path) -> None:
    """After SIGKILL and a start the task ends as outcome_unknown: one run, one request, and
    nothing that calls it a success."""
    (tmp_path / "models.toml").write_text(CLAUDE)
    with emulated(tmp_path, "anthropic", pace=0.2) as emulator:
        settings = {
            "models_file": tmp_path / "models.toml",
            "providers__anthropic__url": emulator.url,
            "providers__anthropic__key": emulator.key,
        }
        with server_process(tmp_path / "data", **settings) as server:
            id = await anyio.to_thread.run_sync(_until_text, server.url)
            await anyio.to_thread.run_sync(server.kill)
            await anyio.to_thread.run_sync(server.start)
            task = await anyio.to_thread.run_sync(_end_of, server.url, id)
    assert task["status"] == "failed"
    assert task["error_data"]["code"] == "outcome_unknown"
    assert task["charge"]["verdict"] == "unknown"
    assert len(emulator.runs()) == 1
    assert emulator.asked("POST", "/v1/messages") == 1


def _until_text(url: str) -> str:
    """Create it and wait until it has begun to write; its id."""
    made = httpx2.post(f"{url}/api/tasks", json=WANTED)
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
