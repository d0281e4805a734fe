"""A defect of ours ends the one task that it meets, as `failed` and logged, and no other.

Defects come through the seams: a store that raises what no contract names, a provider.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.scripted import Scripted
from safelight.store import Change, Store, open_store
from safelight_protocol.task import State
from tests.doubles.hands import hand_over
from tests.doubles.served import Served, served

HANG: list[dict[str, Any]] = [{"do": "hang"}]
SECRET = "UNIQUE constraint failed: /srv/secret"


class _Buggy:
    """A store whose first `times` calls that `strikes` picks raise a defect."""

    def __init__(self, store: Store, strikes: Callable[[str, Any], bool], times: int) -> None:
        self._store = store
        self._strikes = strikes
        self._left = times
        self.read: Any = self
        self.put: Any = self._asked("put", store.put)

    def _asked(self, name: str, real: Any) -> Any:
        async def ask(*given: Any, **named: Any) -> Any:
            if self._left and self._strikes(name, given[0] if given else None):
                self._left -= 1
                raise sqlite3.IntegrityError(SECRET)
            return await real(*given, **named)

        return ask

    def begin(self, item: Any) -> asyncio.Future[Any]:
        return asyncio.ensure_future(self.put(item))

    def hand(self, item: Any, learn: Callable[[Any], None]) -> None:
        hand_over(self.begin, item, learn)

    def __getattr__(self, name: str) -> Any:
        if hasattr(self._store, name):
            return getattr(self._store, name)
        real = getattr(self._store.read, name)
        return self._asked(name, real) if callable(real) else real


def buggy(strikes: Callable[[str, Any], bool], times: int = 1) -> Any:
    """How a store with a bug is opened."""

    @asynccontextmanager
    async def opened(directory: Path, now: int) -> AsyncIterator[Any]:
        async with open_store(directory, now) as store:
            yield _Buggy(store, strikes, times)

    return opened


def moving_to(state: State) -> Callable[[str, Any], bool]:
    """Strikes the write of a move to a state."""
    return lambda name, item: isinstance(item, Change) and item.after.state is state


async def _ended_as_internal(house: Served, id: str, charge: str) -> None:
    """It failed, says nothing of the inside, and the house stands and works on."""
    end = (await house.events(id))[-1]
    assert (end["type"], end["error_data"]["code"]) == ("failed", "internal")
    assert "secret" not in end["error_data"]["message"]
    assert end["charge"]["verdict"] == charge
    assert (await house.http.get("/readyz")).status_code == 200
    after = await house.create(id="after")
    assert (await house.events(after["task_id"]))[-1]["type"] == "completed"
    assert house.context.statistics()["running"] == 0


@pytest.mark.parametrize("billed", [True, False])
async def test_a_defect_in_a_claim(tmp_path: Path, billed: bool) -> None:
    """The claim came to nothing, so nothing was begun and it is free."""
    opened = buggy(moving_to(State.STARTING))
    async with served(tmp_path, scripted_provider=Scripted(billed=billed), opened=opened) as house:
        await house.create(id="x")
        await _ended_as_internal(house, "x", "free")


async def test_a_defect_in_an_overdue_end(tmp_path: Path) -> None:
    """A task whose time is up ends all the same, and what ran for it is left."""
    opened = buggy(moving_to(State.FAILED))
    async with served(
        tmp_path,
        scripted_provider=Scripted(billed=True),
        opened=opened,
        task_timeout_seconds=2.0,
    ) as house:
        await house.create(id="x", params={"script": HANG})
        await _ended_as_internal(house, "x", "unknown")
        assert len(house.scripted.canceled) == 1


async def _with_picture(house: Served) -> dict[str, Any]:
    """The inputs of a task that starts from a picture."""
    made = await house.create(id="picture")
    await house.events(made["task_id"])
    return {"inputs": [{"task": "picture"}]}


def _fetching(nth: int) -> Callable[[str, Any], bool]:
    """Strikes the nth time that a task's files are looked for."""
    seen = [0]

    def strikes(name: str, item: Any) -> bool:
        seen[0] += name == "artifacts_of"
        return name == "artifacts_of" and seen[0] == nth

    return strikes


@pytest.mark.parametrize(("billed", "charge"), [(True, "unknown"), (False, "free")])
async def test_a_defect_before_a_run(tmp_path: Path, billed: bool, charge: str) -> None:
    """It was claimed, so what a billed provider took is not called free."""
    provider = Scripted(billed=billed)
    async with served(tmp_path, scripted_provider=provider, opened=buggy(_fetching(2))) as house:
        inputs = await _with_picture(house)
        await house.create(id="x", **inputs)
        await _ended_as_internal(house, "x", charge)
        assert len(provider.started) == 2


async def test_a_defect_before_a_look_up(tmp_path: Path) -> None:
    """The attempt stays unknown, since nobody could ask for it."""
    provider = Scripted(billed=True)
    async with served(tmp_path, scripted_provider=provider, opened=buggy(_fetching(3))) as house:
        inputs = await _with_picture(house)
        await house.create(id="x", params={"script": [{"do": "answer_lost"}]}, **inputs)
        await _ended_as_internal(house, "x", "unknown")
        assert provider.looked_up == []


async def test_a_task_whose_end_is_refused_stays_for_the_next_start(tmp_path: Path) -> None:
    """Neither the claim nor the end can be written: the house goes on, and the next one
    takes the task up."""
    held = lambda name, item: isinstance(item, Change) and item.after.id == "x"  # noqa: E731
    async with served(tmp_path, opened=buggy(held, times=1000)) as house:
        await house.create(id="x")
        after = await house.create(id="after")
        assert (await house.events(after["task_id"]))[-1]["type"] == "completed"
        assert (await house.http.get("/api/tasks/x")).json()["data"]["status"] == "queued"
    async with served(tmp_path) as house:
        assert (await house.events("x"))[-1]["type"] == "completed"
