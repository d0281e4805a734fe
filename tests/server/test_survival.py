"""What once ended the process, or left a task for ever: each test tells its story."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.base import Prediction
from safelight.providers.local import Local
from safelight.providers.scripted import Scripted
from safelight.store import Change, Creation, Fenced, StoreTrouble
from safelight_protocol.task import State
from tests.doubles.forgetful import forgetful
from tests.doubles.served import PATIENCE, Served, served
from tests.server.providers.test_contract import Heard

HANG = {"script": [{"do": "hang"}]}


async def test_a_pause_without_end_is_bounded(house: Served) -> None:
    """A provider asked for 1e300 seconds of pause; the clock could not hold it, and the
    process ended. It waits for hours at most."""
    data = await house.create(
        params={"script": [{"do": "fault", "after_seconds": 1e300, "attempt": 1}]}
    )
    async with house.connect() as phone:
        await phone.join(f"task:{data['task_id']}", {"after": 0})
        retrying = await phone.until_event("retrying")
    assert retrying["retry_at"] < "2100"
    assert (await house.http.get("/readyz")).status_code == 200


class _Unreachable(Scripted):
    """A provider whose cancel fails on the way."""

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        raise OSError("backend down")


async def test_a_cancel_that_cannot_be_asked_is_unconfirmed(tmp_path: Path) -> None:
    """`cancel` raised inside the process's own task group, and the process ended."""
    async with served(
        tmp_path, scripted_provider=_Unreachable(), cancel_timeout_seconds=0.05
    ) as house:
        data = await house.create(params=HANG)
        async with house.connect() as phone:
            await phone.join(f"task:{data['task_id']}", {"after": 0})
            await phone.until_event("started")
        await house.post(f"/api/tasks/{data['task_id']}/cancel")
        end = (await house.events(data["task_id"]))[-1]
        assert (end["type"], end["confirmed"]) == ("canceled", False)
        assert (await house.http.get("/readyz")).status_code == 200


def _moves_to(state: State) -> Callable[[Any], bool]:
    return lambda item: isinstance(item, Change) and item.after.state is state


@pytest.mark.parametrize(
    "forgets",
    [
        lambda item: isinstance(item, Creation),
        _moves_to(State.STARTING),
        _moves_to(State.RUNNING),
        _moves_to(State.COMPLETED),
    ],
    ids=["create", "claim", "report", "finish"],
)
async def test_an_unlearnt_commit_leaves_nothing_behind(
    tmp_path: Path, forgets: Callable[[Any], bool]
) -> None:
    """A commit succeeded and reported an error: the task was on disk and nobody cared for
    it, or its place at the provider was held for ever."""
    async with served(tmp_path, opened=forgetful(forgets)) as house:
        data = await house.create()
        events = await house.events(data["task_id"])
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
        assert [e["type"] for e in events if e["status"] == "completed"] == ["completed"]
        assert len(house.scripted.started) == 1
        await _rests(house)
        again = await house.create(prompt="the next one")
        assert (await house.events(again["task_id"]))[-1]["type"] == "completed"


@pytest.mark.parametrize("state", [State.STARTING, State.RUNNING, State.COMPLETED])
@pytest.mark.parametrize(
    "error",
    [
        StoreTrouble("not learnt", unknown=True),
        StoreTrouble("not written"),
        Fenced("somebody else had it"),
    ],
    ids=["unlearnt", "unwritten", "fenced"],
)
async def test_a_write_that_came_to_nothing_is_made_again(
    tmp_path: Path, state: State, error: Exception
) -> None:
    """Nothing was written, whatever was said about it: the move is made once more, and the
    task goes on as if nothing had been."""
    opened = forgetful(_moves_to(state), writes=False, error=error)
    async with served(tmp_path, opened=opened) as house:
        data = await house.create()
        events = await house.events(data["task_id"])
        assert [e["type"] for e in events] == [
            "queued",
            "started",
            "progress",
            "artifact",
            "completed",
        ]
        assert [e["seq"] for e in events] == [1, 2, 3, 4, 5]
        assert len(house.scripted.started) == 1
        await _rests(house)


@pytest.mark.parametrize("ill", [0, 2])
async def test_a_cancel_finds_what_an_unlearnt_claim_left(ill: int, tmp_path: Path) -> None:
    """The claim's commit succeeded and reported an error. A cancel that came before the claim
    was tried again met the old state, was lost, and the second claim ended the process."""
    asking: list[asyncio.Task[Any]] = []

    def forgets(item: Any) -> bool:
        if not _moves_to(State.STARTING)(item):
            return False
        asking.append(asyncio.create_task(house.context.orchestrator.cancel("local", "x")))
        return True

    async with served(tmp_path, opened=forgetful(forgets, ill=ill)) as house:
        await house.create(id="x", params=HANG)
        events = await house.events("x")
        await asyncio.gather(*asking)
        assert [e["type"] for e in events] == ["queued", "started", "canceling", "canceled"]
        assert (await house.http.get("/readyz")).status_code == 200


async def _rests(house: Served) -> None:
    """Return once nothing runs any more."""
    async with asyncio.timeout(PATIENCE):
        while any(map(house.context.statistics().get, ("running", "live"))):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_cancel_while_the_worker_starts_counts() -> None:
    """The worker was not yet known when the cancel came, and painted to the end."""
    local = Local(1, pace_seconds=1.0)
    asked = Prediction(
        uid="u",
        attempt=1,
        kind="image",
        model="local/paint",
        prompt="x",
        params={"width": 256, "height": 256, "steps": 200},
        seed=1,
        n=1,
    )
    async with local.open():
        handle = await local.start(asked)
        heard = Heard()
        following = asyncio.create_task(local.follow(asked, handle, heard))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await local.cancel(asked, handle)
        outcome = await asyncio.wait_for(following, 10)
    assert type(outcome).__name__ == "Ended"
    assert heard.reports == []


@pytest.mark.parametrize("digit", ["\u00b2", "\u0662"])
async def test_digits_of_other_scripts_are_no_numbers(house: Served, digit: str) -> None:
    """`isdigit` takes what `int` refuses: a cursor and a wait of that kind were 500, the
    wait after the task had been made."""
    body = {"kind": "image", "prompt": "x", "model": "scripted/image", "id": "x"}
    wait = [(b"Prefer", f"wait={digit}".encode())]
    made = await house.http.post("/api/tasks", json=body, headers=wait)
    asked = await house.http.get("/api/tasks/x/events", params={"after": digit, "wait": "0"})
    listed = await house.http.get("/api/tasks", params={"limit": digit})
    assert (made.status_code, asked.status_code, listed.status_code) == (202, 400, 400)


async def test_a_deleted_task_ends_its_followers(house: Served) -> None:
    """Whoever still held a deleted task was told that it was queued, at seq 0."""
    data = await house.create(id="x")
    await house.events("x")
    task = await house.context.orchestrator.find("local", "x")
    async with house.connect() as phone:
        await phone.join("task:x")
        await house.http.delete("/api/tasks/x")
        reply = await phone.join("task:x", join_ref="9")
    assert reply["response"]["code"] == "gone"
    assert data["task_id"] == task.id


async def test_a_key_is_read_alike_as_header_and_field(house: Served) -> None:
    """A header key with a control character was taken that a request_id refuses."""
    body = {"kind": "image", "prompt": "x", "model": "scripted/image"}
    header = await house.http.post("/api/tasks", json=body, headers={"Idempotency-Key": "a" * 256})
    field = await house.post("/api/tasks", body | {"request_id": "a" * 256})
    for answer in (header, field):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid")


async def test_a_name_without_end_is_refused_quickly(house: Served) -> None:
    """The nearest known field was looked up for a name of 900,000 characters, on the loop."""
    body = {"kind": "image", "prompt": "x", "n" * 900_000: 1}
    answer = await house.post("/api/tasks", body)
    detail = answer.json()["error"]["details"][0]
    assert (answer.status_code, "did you mean" in detail["expected"]) == (400, False)
    assert len(detail["field"]) <= 80
