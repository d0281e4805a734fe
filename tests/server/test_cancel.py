"""A cancel, at every moment of a task's life: who asked, whether it is certain, the price.

Each moment is brought about by a script and a gate, and the answer of REST, the events
and the snapshot are held against each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from safelight.providers.base import Moved, Outcome, Prediction, Report
from safelight.providers.scripted import Scripted
from safelight.store import Change
from tests.doubles.full import Room, full
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.turns import until

HANG = {"do": "hang"}
IMAGE = {"do": "image"}
START_HANGS = {"do": "start_hangs", "gate": "answer"}


async def asked(house: Served, id: str = "x") -> tuple[int, dict[str, Any]]:
    """Ask for the end by REST; the status and what the answer says."""
    answer = await house.post(f"/api/tasks/{id}/cancel")
    return answer.status_code, answer.json()["data"]


async def ended(house: Served, id: str = "x") -> tuple[dict[str, Any], list[str]]:
    """The snapshot at the end, and the types of all events, which must agree with it."""
    events = await house.events(id)
    shown: dict[str, Any] = (await house.http.get(f"/api/tasks/{id}")).json()["data"]
    last = events[-1]
    assert (shown["status"], shown["seq"]) == (last["status"], last["seq"])
    assert (shown["charge"], shown["confirmed"]) == (last["charge"], last.get("confirmed"))
    return shown, [e["type"] for e in events]


def facts(data: dict[str, Any]) -> tuple[Any, Any, Any]:
    """By whom it was asked, whether it is confirmed, and the verdict on the charge."""
    return data["canceled_by"], data["confirmed"], (data["charge"] or {}).get("verdict")


async def begun(house: Served, *script: dict[str, Any], until: str, id: str = "x") -> None:
    """A task, brought to the first event of that type."""
    await house.create(id=id, params={"script": list(script)})
    async with house.connect() as phone:
        await phone.join(f"task:{id}", {"after": 0})
        await phone.until_event(until)


async def test_in_the_queue(tmp_path: Path) -> None:
    """Nothing ran: the answer is the end, certain and free."""
    async with served(tmp_path) as house:
        for n in range(4):
            await begun(house, HANG, until="started", id=f"r{n}")
        await house.create(id="x", params={"script": [IMAGE]})
        status, data = await asked(house)
        assert (status, data["status"], facts(data)) == (200, "canceled", ("owner", True, "free"))
        shown, types = await ended(house)
        assert (facts(shown), types) == (("owner", True, "free"), ["queued", "canceled"])


async def test_before_the_start_is_answered(house: Served) -> None:
    """It waits for the handle, and then the provider is asked to stop it."""
    await begun(house, START_HANGS, HANG, until="started")
    status, data = await asked(house)
    assert (status, facts(data)) == (202, ("owner", None, None))
    assert data["canceling"] is True and house.scripted.canceled == []
    house.scripted.gate("answer").set()
    shown, types = await ended(house)
    assert (facts(shown), types[-2:]) == (("owner", True, "free"), ["canceling", "canceled"])
    assert len(house.scripted.canceled) == 1


@pytest.mark.parametrize("billed", [True, False])
async def test_a_start_that_is_never_answered(tmp_path: Path, billed: bool) -> None:
    """What was perhaps begun is looked up, found, and stopped."""
    provider = Scripted(billed=billed)
    async with served(tmp_path, scripted_provider=provider, cancel_timeout_seconds=0.05) as house:
        await begun(house, START_HANGS, HANG, until="started")
        await asked(house)
        shown, types = await ended(house)
    charge = "unknown" if billed else "free"
    assert (facts(shown), types[-2:]) == (("owner", True, charge), ["canceling", "canceled"])
    assert provider.looked_up and len(provider.canceled) == 1


async def test_while_it_runs(house: Served) -> None:
    """Asked first, then settled by the provider; a second cancel changes nothing."""
    await begun(house, {"do": "progress", "to": 0.5}, HANG, until="progress")
    first, second = await asked(house), await asked(house)
    # The provider may have confirmed it by the time that the first answer is made.
    assert facts(first[1]) in (("owner", None, None), ("owner", True, "free"))
    assert second[1]["canceled_by"] == "owner"
    shown, types = await ended(house)
    assert facts(shown) == ("owner", True, "free")
    assert types == ["queued", "started", "progress", "canceling", "canceled"]
    assert len(house.scripted.canceled) == 1


async def test_while_it_waits_for_its_next_attempt(house: Served) -> None:
    """Nothing runs then, so it ends at once, and the next attempt never begins."""
    await begun(house, {"do": "fault", "after_seconds": 900}, until="retrying")
    status, data = await asked(house)
    assert (status, facts(data)) == (200, ("owner", True, "free"))
    assert (await ended(house))[1] == ["queued", "started", "retrying", "canceled"]
    assert len(house.scripted.started) == 1


async def test_while_it_finishes(house: Served) -> None:
    """A finished prediction beats the cancel: completed, paid for, and it was asked for."""
    house.scripted.deaf = True
    await begun(house, {"do": "wait", "gate": "end"}, IMAGE, until="started")
    await asked(house)
    house.scripted.gate("end").set()
    shown, types = await ended(house)
    assert (shown["status"], facts(shown)) == ("completed", ("owner", None, "free"))
    assert shown["result_data"]["image_url"] and types[-1] == "completed"


async def test_while_it_fails(house: Served) -> None:
    """A fault is an end as well: there is no further attempt, and nothing is left running."""
    house.scripted.deaf = True
    await begun(house, {"do": "wait", "gate": "end"}, {"do": "fault"}, until="started")
    await asked(house)
    house.scripted.gate("end").set()
    shown, _ = await ended(house)
    assert (shown["status"], facts(shown)) == ("canceled", ("owner", True, "free"))
    assert len(house.scripted.started) == 1


@pytest.mark.parametrize(
    ("script", "status"), [([IMAGE], "completed"), ([{"do": "never"}], "failed")]
)
async def test_after_the_end(house: Served, script: list[dict[str, Any]], status: str) -> None:
    """The answer is that end, and nobody asked for it."""
    await house.create(id="x", params={"script": script})
    before, types = await ended(house)
    code, data = await asked(house)
    assert (code, data["status"], data["canceled_by"]) == (200, status, None)
    assert ((await ended(house))[0], (await ended(house))[1]) == (before, types)


@pytest.mark.parametrize(("billed", "charge"), [(True, "unknown"), (False, "free")])
async def test_nobody_confirms(tmp_path: Path, billed: bool, charge: str) -> None:
    """Once its time is up it ends all the same: unconfirmed, and at an unknown price where
    there is one at all."""
    provider = Scripted(billed=billed)
    provider.deaf = True
    async with served(tmp_path, scripted_provider=provider, cancel_timeout_seconds=0.05) as house:
        await begun(house, HANG, until="started")
        await asked(house)
        shown, _ = await ended(house)
    assert (shown["status"], facts(shown)) == ("canceled", ("owner", False, charge))
    assert bool(shown["charge"]["reason"]) is billed


def saves_a_handle(item: Any) -> bool:
    """Picks the write of a handle."""
    return isinstance(item, Change) and item.after.handle != item.before.handle


async def test_while_the_handle_waits_for_room_on_the_disk(tmp_path: Path) -> None:
    """The prediction was begun, and its handle is known but not written: its provider is
    asked to stop it all the same, or it would run on and be paid for."""
    provider, room = Scripted(billed=True, resumable=True), Room()
    opened = full(saves_a_handle, room)
    limits = {"scripted_provider": provider, "cancel_timeout_seconds": 0.05}
    async with served(tmp_path, opened=opened, **limits) as house:
        await begun(house, HANG, until="started")
        await asked(house)
        await until(lambda: provider.canceled)
        room.is_there = True
        shown, _ = await ended(house)
    assert room.refused and len(provider.canceled) == 1
    assert (shown["status"], facts(shown)) == ("canceled", ("owner", False, "unknown"))


async def test_across_a_restart(tmp_path: Path) -> None:
    """A cancel that was asked for is carried out by the next start of the server."""
    before = Scripted(resumable=True)
    before.deaf = True
    async with served(tmp_path, scripted_provider=before) as house:
        await begun(house, {"do": "progress", "to": 0.5}, HANG, until="progress")
        await asked(house)
    after = Scripted(resumable=True)
    async with served(tmp_path, scripted_provider=after) as house:
        shown, types = await ended(house)
    assert (shown["status"], facts(shown)) == ("canceled", ("owner", True, "free"))
    assert types.count("canceling") == 1 and len(after.canceled) == 1


class _Breaks(Scripted):
    """A provider whose own code breaks at the cancel, and takes the follower along."""

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        await report(Moved(0.5))
        await self.gate("broken").wait()
        raise RuntimeError("the connection broke")

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        self.gate("broken").set()
        raise OSError("the connection broke")


@pytest.mark.parametrize(("billed", "charge"), [(False, "free"), (True, "unknown")])
async def test_a_provider_that_breaks_confirms_nothing(
    tmp_path: Path, billed: bool, charge: str
) -> None:
    """Neither its failed cancel nor its broken follower is an answer; free stays free."""
    provider = _Breaks(billed=billed)
    limits = {"attempt_timeout_seconds": 1.5, "cancel_timeout_seconds": 0.05}
    async with served(tmp_path, scripted_provider=provider, **limits) as house:
        await begun(house, until="progress")
        await asked(house)
        shown, _ = await ended(house)
    assert (shown["status"], facts(shown)) == ("canceled", ("owner", False, charge))


async def test_a_stop_that_nobody_asked_for(house: Served) -> None:
    """Somebody ended it at the provider: canceled for certain, by nobody of ours."""
    await begun(house, {"do": "progress", "to": 0.5}, HANG, until="progress")
    handle = f"scripted-{house.scripted.started[0][0]}-1"
    with anyio.fail_after(PATIENCE):
        await house.scripted.cancel(_NOTHING, handle)
        shown, types = await ended(house)
    assert facts(shown) == (None, True, "free")
    assert "canceling" not in types


_NOTHING = Prediction(uid="", attempt=1, kind="image", model="", prompt="", params={}, seed=0, n=1)
