"""The sole owner of task state, driven through its doors with a scripted provider."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from safelight.edges.follow import wait_for_end
from safelight.providers.base import Again, Delta, Done, Outcome, Prediction, Report
from safelight.providers.scripted import Scripted
from safelight_protocol.codes import Refused
from safelight_protocol.commands import read_native
from safelight_protocol.snapshot import Snapshot
from tests.doubles.served import PATIENCE, Served, served

TERMINAL = ("completed", "failed", "canceled")


def body(*script: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A scripted image."""
    params = {"params": {"script": list(script)}} if script else {}
    return {"kind": "image", "prompt": "a test", "model": "scripted/image"} | params | fields


async def end_of(house: Served, id: str) -> Snapshot:
    """The snapshot at the end of a task."""
    task = await house.context.orchestrator.find("local", id)
    snapshot = await house.context.log.snapshot(task)
    return await wait_for_end(house.context, task, snapshot, PATIENCE)


async def test_identical_creates_in_one_instant_are_one_task(house: Served) -> None:
    """Fifty equal requests at once, with neither id nor key, make one task."""
    command = read_native(body({"do": "wait", "gate": "end"}))
    answers = await asyncio.gather(
        *(house.context.orchestrator.create("local", command) for _ in range(50))
    )
    assert len({a.task.uid for a in answers}) == 1
    assert [a.created for a in answers].count(True) == 1


async def test_creates_with_one_key_are_one_task(house: Served) -> None:
    """Fifty requests with one key at once make one task and run it once."""
    command = read_native(body(request_id="k"))
    answers = await asyncio.gather(
        *(house.context.orchestrator.create("local", command) for _ in range(50))
    )
    await end_of(house, answers[0].task.id)
    assert len({a.task.uid for a in answers}) == 1
    assert len(house.scripted.started) == 1


async def test_owners_do_not_share(house: Served) -> None:
    """The same id of two owners is two tasks, and neither finds the other's."""
    command = read_native(body(id="x"))
    create = house.context.orchestrator.create
    one, two = await create("ann", command), await create("bob", command)
    assert one.task.uid != two.task.uid
    with pytest.raises(Refused) as refused:
        await house.context.orchestrator.find("eve", "x")
    assert refused.value.code.name == "not_found"


async def test_a_creator_that_goes_away_still_has_its_task(house: Served) -> None:
    """Cancelling the one who creates, at any await, leaves a whole task or none."""
    for turns in range(12):
        command = read_native(body(id=f"t{turns}"))
        creating = asyncio.create_task(house.context.orchestrator.create("local", command))
        for _ in range(turns):
            await asyncio.sleep(0)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        answer = await house.context.orchestrator.create("local", command)
        assert (await end_of(house, answer.task.id)).status == "completed"
    assert len(house.scripted.started) == 12


async def test_a_passing_fault_is_tried_again(house: Served) -> None:
    """A fault makes a `retrying` event of the attempt that ended, then the next attempt."""
    fault = {"do": "fault", "code": "provider_failed", "message": "hiccup", "attempt": 1}
    data = await house.create(**body({"do": "progress", "to": 0.6}, fault, {"do": "image"}))
    events = await house.events(data["task_id"])
    retrying = next(e for e in events if e["type"] == "retrying")
    started = [e for e in events if e["type"] == "started"]
    assert (retrying["attempt"], retrying["next_attempt"], retrying["status"]) == (1, 2, "queued")
    assert retrying["error"]["message"] == "hiccup"
    assert (started[1]["attempt"], started[1]["progress"]) == (2, 0.0)
    assert (events[-1]["type"], events[-1]["attempt"]) == ("completed", 2)


async def test_faults_end_at_the_limit(house: Served) -> None:
    """The third fault is the end: failed, with the provider's own words."""
    data = await house.create(**body({"do": "fault", "message": "always"}))
    events = await house.events(data["task_id"])
    assert events[-1]["type"] == "failed"
    assert events[-1]["error_data"]["message"] == "always"
    assert [e["type"] for e in events].count("retrying") == 2
    assert len(house.scripted.started) == 3


async def test_a_defect_of_a_provider_is_a_fault(house: Served) -> None:
    """A provider that raises fails its attempt, not the server."""
    data = await house.create(**body({"do": "progress", "to": "much"}))
    events = await house.events(data["task_id"])
    assert events[-1]["error_data"]["code"] == "internal"


async def test_a_queued_task_is_canceled_at_once(tmp_path: Path) -> None:
    """A task that never started is canceled without asking the provider."""
    async with served(tmp_path, local_concurrency=1) as house:
        gate = {"do": "wait", "gate": "end"}
        running = [await house.create(**body(gate, id=f"r{i}")) for i in range(4)]
        waiting = await house.create(**body(gate, id="w"))
        assert waiting["reason"].startswith("scripted is busy (4 of 4 places")
        await house.post("/api/tasks/w/cancel")
        events = await house.events("w")
        assert [e["type"] for e in events] == ["queued", "canceled"]
        assert len(house.scripted.started) == len(running)
        assert house.scripted.canceled == []


async def test_a_finish_that_beats_a_cancel_counts(house: Served) -> None:
    """When the provider finishes all the same the task is completed, and says so."""
    house.scripted.deaf = True
    data = await house.create(**body({"do": "wait", "gate": "end"}, {"do": "image"}, id="x"))
    await _running(house, data["task_id"])
    await house.post("/api/tasks/x/cancel")
    house.scripted.gate("end").set()
    events = await house.events("x")
    assert [e["type"] for e in events if e.get("canceling")] == [
        "canceling",
        "artifact",
        "completed",
    ]


async def test_an_unconfirmed_cancel_ends_all_the_same(tmp_path: Path) -> None:
    """A provider that never answers a cancel leaves a canceled task that says so."""
    async with served(tmp_path, cancel_timeout_seconds=0.05) as house:
        house.scripted.deaf = True
        data = await house.create(**body({"do": "hang"}))
        await _running(house, data["task_id"])
        await house.post(f"/api/tasks/{data['task_id']}/cancel")
        end = (await house.events(data["task_id"]))[-1]
    assert (end["type"], end["confirmed"]) == ("canceled", False)


async def test_nothing_runs_past_its_deadline(tmp_path: Path) -> None:
    """An attempt that hangs is stopped at its deadline and the task fails as `timeout`."""
    async with served(tmp_path, attempt_timeout_seconds=1.0) as house:
        data = await house.create(**body({"do": "hang"}))
        end = (await house.events(data["task_id"]))[-1]
        assert (end["type"], end["error_data"]["code"]) == ("failed", "timeout")
        assert house.scripted.canceled


async def test_doubt_ends_as_outcome_unknown(tmp_path: Path) -> None:
    """An attempt in doubt is never started again; at its deadline the task fails so."""
    provider = Scripted(billed=True)
    async with served(tmp_path, scripted_provider=provider, attempt_timeout_seconds=1.0) as house:
        data = await house.create(**body({"do": "unclear"}))
        end = (await house.events(data["task_id"]))[-1]
    error, charge = end["error_data"], end["charge"]
    assert (error["code"], error["retryable"]) == ("outcome_unknown", False)
    assert (charge["verdict"], charge["reason"]) == ("unknown", error["message"])
    assert len(provider.started) == 1


class _Late(Scripted):
    """Its first attempt fails, and reports once more while the second one runs."""

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        if prediction.attempt == 1:
            self._late = report
            return Again("provider_failed", "once")
        await report(Delta("two"))
        await self._late(Delta("one"))
        return Done()


async def test_a_late_report_of_an_earlier_attempt_is_dropped(tmp_path: Path) -> None:
    """What an attempt says that has ended is not told as if the next one had said it."""
    async with served(tmp_path, scripted_provider=_Late()) as house:
        await house.create(id="x", kind="text", model="scripted/text")
        end = (await house.events("x"))[-1]
        assert house.context.statistics()["late"] == 1
    assert end["result_data"]["content"] == "two"


async def test_what_is_lost_and_free_is_started_again(house: Served) -> None:
    """A lost attempt goes back into the queue and counts as no fault."""
    lost = {"do": "lost", "attempt": 1}
    data = await house.create(**body(lost, {"do": "image"}))
    events = await house.events(data["task_id"])
    assert next(e for e in events if e["type"] == "retrying")["error"]["code"] == "lost"
    assert events[-1]["type"] == "completed"


async def test_every_task_of_a_crowd_ends(house: Served) -> None:
    """Two hundred different tasks at once all end, and nothing is left behind."""
    made = await asyncio.gather(*(house.create(prompt=f"picture {i}") for i in range(200)))
    ends = await asyncio.gather(*(end_of(house, data["task_id"]) for data in made))
    assert {s.status for s in ends} == {"completed"}
    counted = house.context.statistics()
    assert (counted["live"], counted["waiting"], counted["running"]) == (0, 0, 0)


async def _running(house: Served, id: str) -> None:
    """Return once the task's provider plays its script."""
    async with house.connect() as phone:
        reply = await phone.join(f"task:{id}", {"after": 0})
        if reply["response"]["task"]["status"] != "processing":
            await phone.until_event("started")


@pytest.mark.parametrize(
    ("resumable", "billed", "attempts", "code"),
    [(False, False, 2, None), (True, False, 1, None), (False, True, 1, "outcome_unknown")],
)
async def test_recovery_follows_repeats_or_doubts(
    tmp_path: Path, resumable: bool, billed: bool, attempts: int, code: str | None
) -> None:
    """After a restart a saved handle is followed again, what is free is repeated, and what
    could be billed twice is not started a second time."""
    script: list[dict[str, Any]] = [
        {"do": "progress", "to": 0.5},
        {"do": "wait", "gate": "end"},
        {"do": "image"},
    ]
    limits = {"attempt_timeout_seconds": 2.0 if billed else 60.0}
    before = Scripted(resumable=resumable, billed=billed)
    async with served(tmp_path, scripted_provider=before, **limits) as house:
        await house.create(**body(*script, id="x"))
        async with house.connect() as phone:
            await phone.join("task:x", {"after": 0})
            await phone.until_event("progress")
    after = Scripted(resumable=resumable, billed=billed)
    after.gate("end").set()
    async with served(tmp_path, scripted_provider=after, **limits) as house:
        events = await house.events("x")
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert [e["type"] in TERMINAL for e in events].count(True) == 1
    assert events[-1]["attempt"] == attempts
    assert len(before.started) + len(after.started) == attempts
    if code is not None:
        assert events[-1]["error_data"]["code"] == code
    else:
        assert events[-1]["type"] == "completed"


async def test_recovery_ends_what_nobody_can_run(tmp_path: Path) -> None:
    """A task whose provider is no longer configured fails with that reason."""
    async with served(tmp_path) as house:
        await house.create(**body({"do": "hang"}, id="x"))
    async with served(tmp_path, scripted_as="another") as house:
        end = (await house.events("x"))[-1]
    assert end["error_data"]["code"] == "provider_not_configured"
