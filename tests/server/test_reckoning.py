"""What was unknown is learnt later: the ledger has it, the state and the told charge stay."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from safelight.providers.scripted import Scripted
from safelight.reckoning import GIVE_UP_SECONDS, Reckoning
from tests.doubles.priced import DONE, EACH, bills, end_of, entries, shop, usage
from tests.doubles.served import PATIENCE, Served

SILENT: list[dict[str, Any]] = [{"do": "never"}]
"""The provider had begun it, and says nothing of its cost."""


class Later:
    """A reckoning whose clock and pauses are the test's."""

    def __init__(self, house: Served) -> None:
        context = house.context
        self.now = context.clock()
        self.made = Reckoning(
            context.accounts.store,
            {"scripted": house.scripted},
            context.accounts.purse,
            context.log,
            lambda: self.now,
            self._never,
        )

    async def _never(self, seconds: float) -> None:
        raise AssertionError("only `run` pauses")

    async def look(self, seconds: float = 0) -> None:
        """Look at what is open, so many seconds later."""
        self.now += round(seconds * 1000)
        await self.made.look()


async def test_an_unknown_charge_is_learnt_later(tmp_path: Path) -> None:
    """The ledger has it from then on, the snapshot beside what was told; the end stays."""
    async with shop(tmp_path, budget_per_day=1.0) as house:
        await house.create(id="x", params={"script": SILENT})
        end = await end_of(house, "x")
        assert end["charge"]["verdict"] == "unknown"
        told = await usage(house)
        assert (told["total_micros"], told["budget"]["spent_micros"]) == (0, EACH)
        later = Later(house)
        await later.look()
        assert (await usage(house))["unknown"], "the provider does not tell yet"
        house.scripted.tells = True
        await later.look()
        assert (await usage(house))["unknown"], "it is not asked again at once"
        await later.look(60)
        told = await usage(house)
        assert (told["total_micros"], told["unknown"]) == (EACH, [])
        assert told["budget"]["spent_micros"] == EACH == bills(house.scripted)
        snapshot = (await house.http.get("/api/tasks/x")).json()["data"]
        again = await end_of(house, "x")
        await later.look(86_400)
        assert [one for one, _ in await entries(house)].count("correction") == 1
    assert again == end and snapshot["charge"] == end["charge"]
    assert snapshot["status"] == "failed"
    assert snapshot["settled_charge"]["verdict"] == "charged"
    assert snapshot["settled_charge"]["amount_micros"] == EACH


async def test_two_unknown_attempts_settle_one_by_one(tmp_path: Path) -> None:
    """The charge of the task is as sure as its least sure attempt."""
    script = [{"do": "fault"}]
    async with shop(tmp_path) as house:
        await house.create(id="x", params={"script": script}, max_cost=1)
        await end_of(house, "x")
        house.scripted.tells = True
        await Later(house).look()
        snapshot = (await house.http.get("/api/tasks/x")).json()["data"]
        assert (await usage(house))["total_micros"] == 3 * EACH == bills(house.scripted)
    assert snapshot["settled_charge"]["verdict"] == "charged"
    assert snapshot["settled_charge"]["amount_micros"] == 3 * EACH


async def test_what_is_open_survives_a_restart_and_the_task(tmp_path: Path) -> None:
    """It stands in the ledger, even after its task was deleted."""
    provider = Scripted(billed=True, each=EACH)
    async with shop(tmp_path, provider) as house:
        for id in ("kept", "deleted"):
            await house.create(id=id, prompt=id, params={"script": SILENT}, max_cost=1)
            await end_of(house, id)
        await house.http.delete("/api/tasks/deleted")
    provider.tells = True
    async with shop(tmp_path, provider) as house:
        await Later(house).look()
        assert (await usage(house))["total_micros"] == 2 * EACH
        snapshot = (await house.http.get("/api/tasks/kept")).json()["data"]
    assert snapshot["settled_charge"]["amount_micros"] == EACH


async def test_it_is_not_asked_about_for_ever(tmp_path: Path) -> None:
    """After a week the charge stays unknown, and says so."""
    async with shop(tmp_path) as house:
        await house.create(id="x", params={"script": SILENT}, max_cost=1)
        await end_of(house, "x")
        later = Later(house)
        await later.look()
        asked = len(house.scripted.accounted)
        await later.look(GIVE_UP_SECONDS + 1)
        await later.look(GIVE_UP_SECONDS)
        assert len(house.scripted.accounted) == asked + 1
        told = await usage(house)
        assert (
            told["entries"][0]["verdict"] == "unknown" and "7 days" in told["entries"][0]["reason"]
        )
        assert told["days"][0]["unknown"] == 1
        snapshot = (await house.http.get("/api/tasks/x")).json()["data"]
    assert "settled_charge" not in snapshot


async def test_nothing_of_a_live_task_is_corrected(tmp_path: Path) -> None:
    """Its end will tell what is known by then; only after it may that be corrected."""
    script = [{"do": "fault", "attempt": 1}, {"do": "wait", "gate": "g"}, *DONE]
    async with shop(tmp_path) as house:
        await house.create(id="x", params={"script": script}, max_cost=1)
        async with house.connect() as phone:
            await phone.join("task:x", {"after": 0})
            await phone.until_event("retrying")
            await phone.until_event("started")
        house.scripted.tells = True
        later = Later(house)
        await later.look()
        assert "correction" not in dict(await entries(house))
        house.scripted.gate("g").set()
        await end_of(house, "x")
        await later.look()
        assert (await usage(house))["total_micros"] == 2 * EACH == bills(house.scripted)


async def test_the_house_asks_by_itself(tmp_path: Path) -> None:
    """Once an unknown charge is booked, and again after a pause while it is open; while
    nothing is open nobody asks."""
    pauses: list[float] = []
    turns = asyncio.Semaphore(0)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await turns.acquire()

    async with shop(tmp_path) as house:
        context = house.context
        parts = (context.accounts.store, {"scripted": house.scripted}, context.accounts.purse)
        reckoning = Reckoning(*parts, context.log, context.clock, pause)
        house.scripted.tells = True
        running = asyncio.create_task(reckoning.run())
        await asyncio.sleep(0)
        await house.create(id="x", params={"script": SILENT}, max_cost=1)
        await end_of(house, "x")
        turns.release()
        async with asyncio.timeout(PATIENCE):
            while (await usage(house))["total_micros"] != EACH:
                turns.release()
        assert pauses
        running.cancel()
