"""One move of a task: begun once, finished whoever waits, told after its commit, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.base import Delta
from safelight.store import Change, StoreTrouble
from safelight.subscriptions import Subscriptions
from tests.doubles.forgetful import UNLEARNT, forgetful
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.ticking import Ticking

SAID = "said"


def says(item: Any) -> bool:
    """Picks the write of a text."""
    return isinstance(item, Change) and SAID.encode() in (item.event or b"")


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[tuple[Served, Ticking]]:
    """A server and the provider of its one task `x`, which runs."""
    provider = Ticking()
    async with served(folder, scripted_provider=provider, **settings) as house:
        await house.create(id="x")
        async with asyncio.timeout(PATIENCE):
            while not provider.reports:  # noqa: ASYNC110
                await asyncio.sleep(0)
        yield house, provider


async def told(house: Served, wanted: Callable[[list[dict[str, Any]]], bool]) -> list[str]:
    """The texts of `x` once what was told of it is as wanted."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await house.http.get("/api/tasks/x/events?wait=0&after=0")
            events = answer.json()["data"]["events"]
            if wanted(events):
                return [event["delta"] for event in events if event["type"] == "text"]


async def test_a_report_is_told_when_it_returns(tmp_path: Path) -> None:
    """The event is on disk and in the log before the provider hears that it was taken."""
    async with running(tmp_path) as (house, provider):
        await provider.reports[0](Delta("before"))
        task = await house.context.orchestrator.find("local", "x")
        await provider.reports[0](Delta(SAID))
        recent = house.context.log.recent(task.uid, task.seq, 10) or []
        stored = await house.context.orchestrator.find("local", "x")
        assert ([entry.seq for entry in recent], stored.seq) == ([task.seq + 1], task.seq + 1)


@pytest.mark.parametrize("error", [None, UNLEARNT, StoreTrouble("ill")])
async def test_a_report_goes_on_without_the_one_who_made_it(
    tmp_path: Path, error: Exception | None
) -> None:
    """Its asker is cancelled while the commit is under way, and the commit may fail: the
    event is written all the same, told once, and the task can move on."""
    trouble = {} if error is None else {"opened": forgetful(says, error=error, writes=False)}
    async with running(tmp_path, **trouble) as (house, provider):
        asker = asyncio.ensure_future(provider.reports[0](Delta(SAID)))
        await asyncio.sleep(0)
        asker.cancel()
        await asyncio.wait([asker])
        await provider.reports[0](Delta(" more"))
        assert set(await told(house, lambda events: len(events) == 4)) == {SAID, " more"}
        assert asker.cancelled()


async def test_reports_at_once_come_one_after_another(tmp_path: Path) -> None:
    """However many ask together, each event has the next number and none is lost; so it is
    while the first of them waits for an ill disk."""
    opened = forgetful(says, error=StoreTrouble("ill"), writes=False)
    async with running(tmp_path, opened=opened) as (house, provider):
        report = provider.reports[0]
        await asyncio.gather(report(Delta(SAID)), *(report(Delta(f"{n}")) for n in range(20)))
        texts = await told(house, lambda events: len(events) == 23)
        assert sorted(texts) == sorted([SAID, *map(str, range(20))])


class _Broken(Subscriptions):
    """Followers whose next wake is a defect, once `strikes` is set."""

    strikes = False

    def wake(self, topic: str) -> None:
        if self.strikes and not topic.startswith("tasks:"):
            self.strikes = False
            raise RuntimeError("a defect of ours")
        super().wake(topic)


async def test_a_defect_in_telling_reaches_the_asker(tmp_path: Path) -> None:
    """What is raised after the commit is raised to who reported, and the task is not locked:
    its next event comes."""
    made: list[_Broken] = []

    def followers() -> _Broken:
        made.append(_Broken())
        return made[-1]

    async with running(tmp_path, subscriptions=followers) as (house, provider):
        made[0].strikes = True
        with pytest.raises(RuntimeError):
            await provider.reports[0](Delta(SAID))
        await provider.reports[0](Delta(" more"))
        assert await told(house, lambda events: len(events) == 4) == [SAID, " more"]


async def test_a_report_that_comes_too_late_is_counted(tmp_path: Path) -> None:
    """The task has ended meanwhile: nothing is written, and the figure says so."""
    async with running(tmp_path, cancel_timeout_seconds=0.01) as (house, provider):
        await house.post("/api/tasks/x/cancel")
        await house.events("x")
        before: Any = house.context.statistics()["late"]
        await provider.reports[0](Delta(SAID))
        assert house.context.statistics()["late"] == before + 1
