"""A provider whose library cancels what it awaits: a defect of that call, and of no other.

To asyncio that looks like the server's own way of stopping work; taken for it, one
provider would end the whole process, in silence and with success.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest

from safelight.guard import Guard
from safelight.providers.base import Gone, Outcome, Prediction, Report, Unclear, Unknowable
from safelight.providers.scripted import Scripted
from safelight.stray import Stray, spared
from tests.doubles.served import PATIENCE, Served, served

BAD = "bad"


async def stray() -> None:
    """What a client library's call is when its connection was closed under it."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


class _Astray(Scripted):
    """One of its calls meets that, for tasks with one prompt."""

    def __init__(self, where: str, **more: Any) -> None:
        super().__init__(**more)
        self._where = where

    async def start(self, prediction: Prediction) -> str:
        await self._perhaps("start", prediction)
        return await super().start(prediction)

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        await self._perhaps("follow", prediction)
        return await super().follow(prediction, handle, report)

    async def look_up(self, prediction: Prediction) -> str | Gone | Unclear | Unknowable:
        await self._perhaps("look_up", prediction)
        return await super().look_up(prediction)

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        await self._perhaps("cancel", prediction)
        await super().cancel(prediction, handle)

    async def _perhaps(self, here: str, prediction: Prediction) -> None:
        if here == self._where and prediction.prompt == BAD:
            await stray()


SCRIPTS: dict[str, list[dict[str, Any]]] = {
    "start": [],
    "follow": [],
    "look_up": [{"do": "answer_lost"}],
    "cancel": [{"do": "hang"}],
}
REPEATED = {("start", False), ("follow", False)}
"""Where it is known that a second start costs nothing: tried again, and given up at last."""


@pytest.mark.parametrize("where", SCRIPTS)
@pytest.mark.parametrize("billed", [False, True], ids=["free", "billed"])
async def test_it_ends_its_own_task_and_no_other(
    tmp_path: Path, where: str, billed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The task goes the way of a defect there, as the table says: tried again where that is
    free, in doubt where it bills; the next task is served as if nothing had been."""
    provider = _Astray(where, billed=billed)
    limits = {"attempt_timeout_seconds": 1.5, "cancel_timeout_seconds": 0.1}
    async with (
        asyncio.timeout(PATIENCE),
        served(tmp_path, scripted_provider=provider, **limits) as house,
    ):
        await house.create(id="x", prompt=BAD, params={"script": SCRIPTS[where]})
        if where == "cancel":
            await _cancel_once_it_runs(house)
        end = (await house.events("x"))[-1]
        await house.create(id="after")
        assert (await house.events("after"))[-1]["type"] == "completed"
    if where == "cancel":
        assert (end["type"], end["confirmed"]) == ("canceled", False)
    else:
        code = "internal" if (where, billed) in REPEATED else "outcome_unknown"
        assert (end["type"], end["error_data"]["code"]) == ("failed", code)
    assert end["charge"]["verdict"] == ("unknown" if billed else "free")
    log = capsys.readouterr().out
    assert "prediction.defect" in log and "task.defect" not in log


async def _cancel_once_it_runs(house: Served) -> None:
    async with house.connect() as phone:
        await phone.join("task:x", {"after": 0})
        await phone.until_event("started")
        await house.post("/api/tasks/x/cancel")


async def test_our_own_cancellation_stays_what_it_is() -> None:
    """Who is cancelled by us ends, also where work is spared from strays."""
    with anyio.move_on_after(0) as scope:
        await spared(anyio.sleep_forever())
    assert scope.cancelled_caught
    task = asyncio.ensure_future(spared(anyio.sleep_forever()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stray_one_is_an_exception() -> None:
    """Also after a cancellation of ours in the same task has come to its end."""
    with anyio.move_on_after(0):
        await anyio.sleep_forever()
    with pytest.raises(Stray):
        await spared(stray())


async def test_care_for_one_task_is_guarded_against_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever of ours it meets: the one task is given up, under a reference."""
    given_up: list[tuple[str, str]] = []

    async def give_up(uid: str, reference: str) -> None:
        given_up.append((uid, reference))
        await stray()

    async with anyio.create_task_group() as group:
        Guard(group, give_up, lambda: "ref").start("u1", "claim", stray)
    assert given_up == [("u1", "ref")]
    assert capsys.readouterr().out.count("task.defect") == 2
