"""Nothing runs or waits for ever: the time that a task may take as a whole.

Each test leaves a task where nothing would ever end it, and sees it end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from safelight.endings import Broken, Overdue, input_of
from safelight.providers.base import Prediction, Unclear
from safelight.providers.scripted import Scripted
from safelight_protocol.inputs import GaveUp
from safelight_protocol.snapshot import opening
from safelight_protocol.task import State
from tests.doubles.lives import NOW, brought_to
from tests.doubles.served import Served, served

HANG: list[dict[str, Any]] = [{"do": "hang"}]
SOON = {"task_timeout_seconds": 0.3}
LATER = {"task_timeout_seconds": 2.0}
"""Where something has to happen before the time is up."""

NO = Unclear("not now")

LEFT_ALONE: dict[str, list[dict[str, Any]]] = {
    "it runs and never ends": HANG,
    "its start is never answered": [{"do": "start_hangs", "gate": "never"}],
    "it waits for its next attempt": [{"do": "fault", "after_seconds": 900}],
    "it is in doubt": [{"do": "answer_lost"}],
    "it is started again and again": [{"do": "lost"}],
}


@pytest.mark.parametrize("script", LEFT_ALONE.values(), ids=LEFT_ALONE)
async def test_whatever_it_does_it_ends(tmp_path: Path, script: list[dict[str, Any]]) -> None:
    """Its time is up: it fails as `timeout`, once, and its place is free again."""
    provider = Scripted(billed=True, answers=(NO,) * 10_000)
    async with served(tmp_path, scripted_provider=provider, **SOON) as house:
        data = await house.create(params={"script": script})
        events = await house.events(data["task_id"])
        end = events[-1]
        assert (end["type"], end["error_data"]["retryable"]) == ("failed", True)
        assert end["error_data"]["code"] in ("timeout", "lost")
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
        await at_rest(house)


async def test_no_free_place_is_no_excuse(tmp_path: Path) -> None:
    """A task that never got a place ends too, free of charge and without an attempt."""
    async with served(tmp_path) as house:
        for n in range(5):
            await house.create(id=f"x{n}", params={"script": HANG})
        async with house.connect() as phone:
            await phone.join("task:x3", {"after": 0})
            await phone.until_event("started")
    soon = {"task_timeout_seconds": 0.001}
    async with served(tmp_path, scripted_provider=Scripted(resumable=True), **soon) as house:
        events = await house.events("x4")
    assert [e["type"] for e in events] == ["queued", "failed"]
    assert events[-1]["error_data"]["code"] == "timeout"
    assert events[-1]["charge"]["verdict"] == "free"


async def test_who_was_in_the_way_gives_way(tmp_path: Path) -> None:
    """The place of a hung prediction is free once its time is up, and the provider is
    asked to end it."""
    async with served(tmp_path, **LATER) as house:
        for n in range(4):
            await house.create(id=f"x{n}", params={"script": HANG})
        for n in range(4):
            await house.events(f"x{n}")
        data = await house.create(prompt="the next one")
        assert (await house.events(data["task_id"]))[-1]["type"] == "completed"
        await at_rest(house)
        assert len(house.scripted.canceled) == 4


async def test_what_a_billed_attempt_cost_is_unknown(tmp_path: Path) -> None:
    """It may have run to its end at the provider; we do not claim that it was free."""
    async with served(tmp_path, scripted_provider=Scripted(billed=True), **LATER) as house:
        data = await house.create(params={"script": HANG})
        end = (await house.events(data["task_id"]))[-1]
    assert (end["error_data"]["code"], end["charge"]["verdict"]) == ("timeout", "unknown")


async def test_a_cancel_that_nobody_answers_ends_too(tmp_path: Path) -> None:
    """A task that is canceling ends as canceled, unconfirmed."""
    async with served(tmp_path, cancel_timeout_seconds=60, **LATER) as house:
        house.scripted.deaf = True
        data = await house.create(id="x", params={"script": HANG})
        async with house.connect() as phone:
            await phone.join("task:x", {"after": 0})
            await phone.until_event("started")
        await house.post("/api/tasks/x/cancel")
        end = (await house.events(data["task_id"]))[-1]
    assert (end["type"], end["confirmed"]) == ("canceled", False)


async def test_the_time_counts_over_restarts(tmp_path: Path) -> None:
    """It counts from the creation, so that a server that restarts keeps nothing alive."""
    async with served(tmp_path) as house:
        waits = [{"do": "fault", "after_seconds": 900}]
        await house.create(id="waits", params={"script": waits})
        await house.create(id="runs", params={"script": HANG})
        async with house.connect() as phone:
            await phone.join("task:waits", {"after": 0})
            await phone.until_event("retrying")
            await phone.join("task:runs", {"after": 0}, "8")
            await phone.until_event("started", "task:runs")
    soon = {"task_timeout_seconds": 0.001}
    async with served(tmp_path, scripted_provider=Scripted(resumable=True), **soon) as house:
        for id in ("waits", "runs"):
            assert (await house.events(id))[-1]["error_data"]["code"] == "timeout"
        await at_rest(house)


class _Stubborn(Scripted):
    """A provider whose follower does not go when it is asked to."""

    async def follow(self, prediction: Prediction, handle: str, report: Any) -> Any:
        with anyio.CancelScope(shield=True):
            return await super().follow(prediction, handle, report)


async def test_a_follower_that_will_not_go_keeps_no_task_waiting(tmp_path: Path) -> None:
    """The task ends at its time; what its provider reports later changes nothing."""
    script = [{"do": "wait", "gate": "late"}, {"do": "image"}]
    provider = _Stubborn()
    provider.deaf = True
    limits = {"attempt_timeout_seconds": 0.05, **SOON}
    async with served(tmp_path, scripted_provider=provider, **limits) as house:
        data = await house.create(params={"script": script})
        end = (await house.events(data["task_id"]))[-1]
        assert end["error_data"]["code"] == "timeout"
        provider.gate("late").set()
        await at_rest(house)
        shown = (await house.http.get(f"/api/tasks/{data['task_id']}")).json()["data"]
        assert (shown["status"], shown["artifacts"]) == ("failed", [])


@pytest.mark.parametrize(
    ("state", "billed", "verdict"),
    [
        (State.QUEUED, True, "free"),
        (State.STARTING, True, "unknown"),
        (State.RUNNING, True, "unknown"),
        (State.RUNNING, False, "free"),
        (State.CANCELING, True, "unknown"),
    ],
)
@pytest.mark.parametrize(
    ("what", "code"), [(Overdue, "timeout"), (partial(Broken, "ref"), "internal")]
)
def test_the_charge_of_a_task_that_we_end(
    what: Callable[[bool], Overdue | Broken], code: str, state: State, billed: bool, verdict: str
) -> None:
    """Unknown, and why, where an attempt that could be billed is under way; free elsewhere."""
    happening = input_of(what(billed), brought_to(state), opening, NOW)
    assert isinstance(happening, GaveUp)
    assert (happening.charge.verdict, happening.error.code) == (verdict, code)
    assert bool(happening.charge.reason) is (verdict == "unknown")


async def at_rest(house: Served) -> None:
    """Return once nothing runs or is cared for any more."""
    names = ("running", "waiting", "live", "predictions", "in_doubt")
    with anyio.fail_after(10):
        while any(map(house.context.statistics().get, names)):
            await anyio.lowlevel.checkpoint()
