"""SIGKILL of Safelight, and of its backend, at each stage of a prompt's life.

Both are processes of their own. Which prompts ran, and how often, is read from the backend's
log over all its lives. Each row is an outcome: no prompt runs twice, the task ends once, and
whoever followed it was told every event.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import pytest

from tests.doubles.backend_house import backend_house
from tests.doubles.child import Child
from tests.doubles.kernie import Kernie
from tests.doubles.served import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Row(NamedTuple):
    """When it happens, and what the task's attempts and the backend's runs are in the end."""

    when: str
    point: str
    attempts: int
    runs: int


OURS = (
    Row("before the POST", "before-start", attempts=2, runs=1),
    Row("after the POST, its answer not heard", "after-start", attempts=1, runs=1),
    Row("after the POST, its handle on disk", "after-commit:handle", attempts=1, runs=1),
    Row("in the middle of sampling", "after-commit:progress", attempts=1, runs=1),
    Row("with the file on disk and its event not", "before-commit:artifact", attempts=1, runs=1),
    Row("before the end is written", "before-commit:end", attempts=1, runs=1),
    Row("after the end is written", "after-commit:end", attempts=1, runs=1),
)
THEIRS = (
    Row("after the POST", "die=start@1", attempts=2, runs=2),
    Row("in the middle of sampling", "die=sampling@1", attempts=2, runs=2),
    Row("at the end, its history lost", "die=end@1", attempts=2, runs=2),
)


class Asked(NamedTuple):
    """When it happens, by what was asked of the backend, which does not answer as it should."""

    when: str
    fault: str
    path: str
    attempts: int


WAITING = (
    Asked("while the POST is on its way, and lost", "hang-http@1", "/prompt", attempts=2),
    Asked("while the POST's answer is on its way", "late-answer=5@1", "/prompt", attempts=1),
    Asked("at the end, its history not told yet", "late-history=2@1", "/history/", attempts=1),
    Asked("while it downloads", "hang-http=view@1", "/view", attempts=1),
)


def _when(row: Row) -> str:
    return row.when


async def _again(process: Child | Kernie) -> None:
    await anyio.to_thread.run_sync(process.kill)
    await anyio.to_thread.run_sync(process.start)


@pytest.mark.parametrize("row", OURS, ids=_when)
async def test_safelight_is_killed(row: Row, tmp_path: Path) -> None:
    """After the restart the prompt is found where it was, or begun if it never was."""
    async with backend_house(tmp_path) as made:
        made.child.points.arm(row.point)
        await made.create()
        assert await made.child.points.reached() == row.point
        await _again(made.child)
        events = await made.ended()
        await made.picture(events)
        runs = made.runs()
    assert set(runs.values()) == {1}, runs
    assert (events[-1]["attempt"], len(runs)) == (row.attempts, row.runs)


@pytest.mark.parametrize("row", WAITING, ids=_when)
async def test_safelight_is_killed_while_it_waits(row: Asked, tmp_path: Path) -> None:
    """What was asked when it was killed is looked up after the restart, and not asked twice
    where it had come to something; the file is told once."""
    async with backend_house(tmp_path) as made:
        made.kernie.arm(row.fault)
        await made.create()
        await made.begun(row.path)
        await _again(made.child)
        events = await made.ended()
        await made.picture(events)
        runs = made.runs()
    assert list(runs.values()) == [1]
    assert [event["type"] for event in events].count("artifact") == 1
    assert events[-1]["attempt"] == row.attempts


async def test_steps_go_on_after_the_kill(tmp_path: Path) -> None:
    """Killed in the middle of sampling, it tells the steps of the same prompt after its start:
    it comes to the backend under the same name."""
    async with backend_house(tmp_path, step_seconds=0.3) as made:
        watching = made.followers[0]
        made.child.points.arm("after-commit:progress", 3)
        await made.create(steps=100)
        await made.child.points.reached()
        await anyio.to_thread.run_sync(made.child.kill)
        before = len(watching.events)
        await anyio.to_thread.run_sync(made.child.start)
        with anyio.fail_after(PATIENCE):
            await watching.until_so(lambda: len(_steps(watching.events[before:])) >= 5)
        async with made.http as http:
            assert (await http.post(f"/api/tasks/{made.id}/cancel")).is_success
        events = await made.ended()
        assert list(made.runs().values()) == [1]
    told = _steps(events)
    assert told == sorted(told) and events[-1]["type"] == "canceled"


def _steps(events: list[dict[str, Any]]) -> list[int]:
    """The sampler's steps among these."""
    return [e["step"] for e in events if e["type"] == "progress" and e.get("steps") == 100]


@pytest.mark.parametrize("row", THEIRS, ids=_when)
async def test_the_backend_is_killed(row: Row, tmp_path: Path) -> None:
    """Its queue is lost with it: what had not been told as done is begun again, as another
    prompt; none runs twice."""
    async with backend_house(tmp_path) as made:
        made.kernie.arm(row.point)
        await made.create()
        await anyio.to_thread.run_sync(made.kernie.wait_died)
        await _again(made.kernie)
        events = await made.ended()
        await made.picture(events)
        runs = made.runs()
    assert set(runs.values()) == {1}, runs
    assert (events[-1]["attempt"], len(runs)) == (row.attempts, row.runs)


def _is_down(events: list[dict[str, Any]]) -> bool:
    """Whether it is told that the task waits for a backend that is away."""
    return any("is down" in (event.get("reason") or "") for event in events)


async def test_the_backend_is_killed_before_the_post(tmp_path: Path) -> None:
    """Nothing was sent to it, so nothing is lost: the task waits, and runs once it is back."""
    async with backend_house(tmp_path) as made:
        made.child.points.arm("before-start")
        await made.create()
        await made.child.points.reached()
        await anyio.to_thread.run_sync(made.kernie.kill)
        made.child.points.go_on()
        with anyio.fail_after(PATIENCE):
            await made.followers[0].until_so(lambda: _is_down(made.followers[0].events))
        await anyio.to_thread.run_sync(made.kernie.start)
        events = await made.ended()
        await made.picture(events)
        runs = made.runs()
    assert list(runs.values()) == [1]


async def test_the_backend_is_killed_while_it_is_downloaded_from(tmp_path: Path) -> None:
    """Its files outlive it: the download is tried again, and nothing runs a second time."""
    async with backend_house(tmp_path) as made:
        made.kernie.arm("hang-http=view@1")
        await made.create()
        await made.begun("/view")
        await _again(made.kernie)
        events = await made.ended()
        await made.picture(events)
        runs = made.runs()
    assert list(runs.values()) == [1]
    assert events[-1]["attempt"] == 1
