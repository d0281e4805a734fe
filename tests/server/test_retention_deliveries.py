"""Notices that nobody took: kept as long as a setting says, and gone in small steps."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from safelight.retention import NOTICES_PER_STEP
from safelight.settings import Settings
from safelight.store import DeliveryRow, Postponed
from safelight_protocol import lifecycle
from tests.doubles.desk import CLAIMED, Desk, desk_in
from tests.doubles.follows import holds
from tests.doubles.lives import NOW, fresh
from tests.doubles.receiver import receiving
from tests.doubles.served import served
from tests.doubles.turns import until
from tests.doubles.writes import change, create

MONTH = 30 * 86_400.0


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_in(tmp_path) as made:
        yield made


async def given_up(desk: Desk, id: str, at: int | None) -> None:
    """A notice that was given up then, or one that waits."""
    row = DeliveryRow(
        id=id,
        owner="ann",
        task_id="t",
        seq=1,
        type="task.completed",
        url="u",
        host="h",
        body="{}",
        next_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    )
    task = await create(desk.store, fresh(id))
    move = change(task, lifecycle.step(task, CLAIMED, NOW), CLAIMED)
    await desk.store.put(msgspec.structs.replace(move, notice=row))
    if at is not None:
        await desk.store.put(Postponed(id, 10, None, "no", at))


async def names(desk: Desk, state: str = "dead") -> list[str]:
    """Those that are there."""
    page = await desk.store.read.deliveries.page("ann", state, (2**62, ""), 999)
    return sorted(row.id for row in page)


async def test_the_dead_go_after_their_time(desk: Desk, tmp_path: Path) -> None:
    """Counted from when each was given up, to the millisecond; what is still tried stays,
    however old, and with no limit all do."""
    await given_up(desk, "old", NOW)
    await given_up(desk, "young", NOW + 1)
    await given_up(desk, "waits", None)
    desk.now = NOW + round(MONTH * 1000)
    await desk.retention(delivery=None).sweep()
    assert await names(desk) == ["old", "young"]
    retention = desk.retention(delivery=MONTH)
    await retention.sweep()
    assert await names(desk) == ["young"]
    assert await names(desk, "waiting") == ["waits"]
    assert retention.statistics()["swept_deliveries"] == 1
    holds(tmp_path)


async def test_the_dead_go_a_few_at_a_time(desk: Desk) -> None:
    """No step takes more than its bound, and a pass goes on until all are gone."""
    for number in range(2 * NOTICES_PER_STEP + 1):
        await given_up(desk, f"m{number:03}", NOW)
    desk.after(3600.0)
    left: list[int] = []

    async def look() -> None:
        left.append(len(await names(desk)))

    desk.between = look
    await desk.retention(log=None, delivery=0.0).sweep()
    assert left[-1] == 0
    steps = itertools.pairwise([2 * NOTICES_PER_STEP + 1, *left])
    assert all(a - b <= NOTICES_PER_STEP for a, b in steps)


async def test_the_setting_is_taken(tmp_path: Path) -> None:
    """A month unless it is set; and set to nothing a server forgets what it has given up."""
    assert Settings().delivery_retention_seconds == MONTH
    async with (
        receiving() as receiver,
        served(tmp_path, webhook_allow_private=True, delivery_retention_seconds=0) as house,
    ):
        receiver.answers = [(410, {})]
        script = {"script": [{"do": "image"}]}
        await house.create(params=script, webhook=receiver.url())
        await until(lambda: house.context.statistics()["webhooks_dead"] == 1)
    async with served(tmp_path, delivery_retention_seconds=0) as house:
        await until(lambda: house.context.statistics()["swept_deliveries"] == 1)
        page = await house.http.get("/api/deliveries")
        assert page.json()["data"]["deliveries"] == []
