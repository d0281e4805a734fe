"""Between the claim and the start: what has happened to the task meanwhile counts.

The files that an attempt begins with are looked for first, and the disk may take its time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight.attempts import Attempts
from safelight.providers.scripted import Scripted
from safelight.store import ArtifactRow, Reader, open_store
from tests.doubles.lives import fresh, resolved
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.turns import until


class _Slow:
    """A reader that answers the next `left` questions for a file, and the others in time."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self.left = 99
        self.asked = asyncio.Event()
        self.found = asyncio.Event()

    async def artifact(self, id: str) -> tuple[ArtifactRow, str] | None:
        """An artifact and its owner."""
        self.left -= 1
        if self.left < 0:
            self.asked.set()
            await self.found.wait()
        return await self._read.artifact(id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._read, name)


@asynccontextmanager
async def claimed(
    folder: Path, provider: Scripted, **settings: Any
) -> AsyncIterator[tuple[Served, _Slow]]:
    """A house whose task `x` is claimed while its files are still being looked for."""
    slow: list[_Slow] = []

    @asynccontextmanager
    async def opened(directory: Path, now: int) -> AsyncIterator[Any]:
        async with open_store(directory, now) as store:
            slow.append(_Slow(store.read))
            store.read = slow[0]  # type: ignore[assignment]
            yield store

    async with (
        asyncio.timeout(PATIENCE),
        served(folder, scripted_provider=provider, opened=opened, **settings) as house,
    ):
        await house.create(id="first")
        made = (await house.events("first"))[-1]["result_data"]["artifacts"]
        provider.started.clear()
        slow[0].left = 1  # for the create itself
        await house.create(id="x", inputs=[{"artifact": made[0]["id"]}])
        await slow[0].asked.wait()
        try:
            yield house, slow[0]
        finally:
            slow[0].found.set()


async def _settled(house: Served) -> None:
    """Return once nothing is under way for any task."""
    names = ("running", "live", "predictions")
    await until(lambda: not any(map(house.context.statistics().get, names)))
    for _ in range(20):  # what would begin too late, begins now
        await asyncio.sleep(0)


@pytest.mark.parametrize("billed", [True, False])
async def test_a_cancel_between_claim_and_start(tmp_path: Path, billed: bool) -> None:
    """It is asked for before the provider was asked for anything: nothing is started, and it
    is certain, and free."""
    provider = Scripted(billed=billed)
    async with claimed(tmp_path, provider) as (house, slow):
        await house.post("/api/tasks/x/cancel")
        slow.found.set()
        end = (await house.events("x"))[-1]
        await _settled(house)
    assert (end["type"], end["confirmed"], end["charge"]["verdict"]) == ("canceled", True, "free")
    assert not (provider.started or provider.looked_up or provider.canceled)


async def test_an_end_between_claim_and_start(tmp_path: Path) -> None:
    """The task's time is up before its files are found: nothing is started for it any more."""
    provider = Scripted()
    async with claimed(tmp_path, provider, task_timeout_seconds=2.0) as (house, slow):
        end = (await house.events("x"))[-1]
        assert (end["type"], end["error_data"]["code"]) == ("failed", "timeout")
        slow.found.set()
        await _settled(house)
        assert house.context.statistics()["predictions"] == 0
    assert provider.started == []


def test_a_provider_that_is_gone_may_have_billed() -> None:
    """Whether it did can no longer be asked, so what it ran is not called free."""
    nothing: Any = None
    known = {"local": Scripted(), "acme": Scripted(billed=True)}
    attempts = Attempts(nothing, nothing, nothing, known, nothing, nothing, nothing)
    tasks = [fresh(resolved=resolved(provider=name)) for name in ("local", "acme", "gone")]
    assert [attempts.billed(task) for task in tasks] == [False, True, True]
