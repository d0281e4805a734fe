"""Two hosts that are declared equal: where a task goes after a verified fault, and where not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.base import Again, Never
from tests.doubles.ailing import SICK, Ailing, twins
from tests.doubles.served import Served, served


class Pair:
    """A server with both hosts."""

    def __init__(self, house: Served, north: Ailing, south: Ailing) -> None:
        self.house, self.north, self.south = house, north, south

    async def ends(self, **fields: Any) -> list[dict[str, Any]]:
        """The events of one task for the model in the north."""
        made = await self.house.create(**{"model": "north/x"} | fields)
        return await self.house.events(made["task_id"])


@asynccontextmanager
async def pair(path: Path, models: str | None = None, **settings: Any) -> AsyncIterator[Pair]:
    """Started, with a file of models that has both."""
    file = path / "models.toml"
    file.write_text(twins() if models is None else models)
    billed = settings.pop("billed", False)
    north, south = Ailing("north", billed=billed), Ailing("south", billed=billed)
    beside = {"north": north, "south": south}
    async with served(path / "data", beside=beside, models_file=str(file), **settings) as house:
        yield Pair(house, north, south)


def types(events: list[dict[str, Any]]) -> list[str]:
    """Their types, but for how far they have come."""
    return [event["type"] for event in events if event["type"] not in ("queued", "progress")]


@pytest.mark.parametrize(
    "ill",
    [
        pytest.param(SICK, id="ill"),
        pytest.param(Again("throttled", "too many", 3600.0, elsewhere=True), id="throttled"),
        pytest.param(Never("provider_refused", "our key", elsewhere=True), id="our key"),
        pytest.param(Never("model_not_found", "no such", elsewhere=True), id="no such model"),
    ],
)
async def test_a_verified_fault_takes_the_task_to_the_equal(
    tmp_path: Path, ill: Again | Never
) -> None:
    """Within the same task and at once; each host was asked once, and the events, the result
    and the snapshot say who really rendered."""
    async with pair(tmp_path) as hosts:
        hosts.north.ill = ill
        events = await hosts.ends()
        assert types(events) == ["started", "retrying", "started", "artifact", "completed"]
        assert [event["provider"] for event in events if event["type"] == "started"] == [
            "north",
            "south",
        ]
        result = events[-1]["result_data"]
        assert (result["provider"], result["model"]) == ("south", "south/x")
        assert "substituted_for" not in events[-1]
        assert (hosts.north.asked, hosts.south.asked) == (1, 1)
        shown = (await hosts.house.http.get(f"/api/tasks/{events[0]['task_id']}")).json()["data"]
        assert (shown["provider"], shown["model"]) == ("south", "south/x")


async def test_equality_holds_both_ways(tmp_path: Path) -> None:
    """It is declared once, by either of the two."""
    async with pair(tmp_path, twins("", 'equals = ["north/x"]')) as hosts:
        hosts.north.ill = SICK
        assert types(await hosts.ends())[-1] == "completed"
        assert hosts.south.asked == 1


async def test_without_a_declaration_nothing_goes_over(tmp_path: Path) -> None:
    """The same name and the same parameters are no equality."""
    async with pair(tmp_path, twins("", ""), attempts=2) as hosts:
        hosts.north.ill = SICK
        assert types(await hosts.ends())[-1] == "failed"
        assert (hosts.north.asked, hosts.south.asked) == (2, 0)


@pytest.mark.parametrize(
    "ill",
    [
        pytest.param(Again("provider_failed", "the model failed"), id="the model"),
        pytest.param(Never("invalid_input", "no such size"), id="the request"),
    ],
)
async def test_a_fault_that_is_not_the_hosts_stays(tmp_path: Path, ill: Again | Never) -> None:
    """Another host would fail with the same request, and be paid for it."""
    async with pair(tmp_path, attempts=2) as hosts:
        hosts.north.ill = ill
        assert types(await hosts.ends())[-1] == "failed"
        assert hosts.south.asked == 0


async def test_when_both_are_ill_the_attempts_are_counted_together(tmp_path: Path) -> None:
    """It goes there and back, and ends; a task has no more attempts by having more hosts."""
    async with pair(tmp_path, attempts=3) as hosts:
        hosts.north.ill = hosts.south.ill = SICK
        assert types(await hosts.ends()) == ["started", "retrying"] * 2 + ["started", "failed"]
        assert (hosts.north.asked, hosts.south.asked) == (2, 1)


async def test_a_dearer_equal_is_none(tmp_path: Path) -> None:
    """What was agreed to is enough for the host that was named; it is not spent elsewhere."""
    rows = ('equals = ["south/x"]\nprice_micros = 1000', "price_micros = 2000")
    async with pair(tmp_path, twins(*rows), billed=True, attempts=2) as hosts:
        hosts.north.ill = SICK
        events = await hosts.ends(max_cost=0.001)
        assert types(events)[-1] == "failed"
        assert hosts.south.asked == 0


async def test_the_price_of_who_rendered_is_charged(tmp_path: Path) -> None:
    """An equal that costs less is charged as what it costs."""
    rows = ('equals = ["south/x"]\nprice_micros = 2000', "price_micros = 1000")
    async with pair(tmp_path, twins(*rows), billed=True) as hosts:
        hosts.north.ill = SICK
        events = await hosts.ends(max_cost=0.01)
        assert types(events)[-1] == "completed"
        assert events[-1]["charge"]["amount_micros"] == 1000


async def test_who_waits_for_an_open_breaker_goes_to_the_equal(tmp_path: Path) -> None:
    """After enough faults no task is sent to the ill host any more, not even once."""
    async with pair(tmp_path, breaker_faults=2, breaker_seconds=3600.0) as hosts:
        hosts.north.ill = SICK
        for _ in range(2):
            await hosts.ends()
        assert hosts.north.asked == 2
        for _ in range(4):
            events = await hosts.ends()
            assert types(events) == ["started", "artifact", "completed"]
            assert events[-1]["result_data"]["provider"] == "south"
        assert (hosts.north.asked, hosts.south.asked) == (2, 6)
        figures = hosts.house.context.statistics()
        assert (figures["breakers_open"], figures["failovers"]) == (1, 6)


async def test_who_waited_over_a_restart_goes_over_too(tmp_path: Path) -> None:
    """Though nothing of such a task was read at the start but what it waits for."""
    script = {"script": [{"do": "wait", "gate": "go"}, {"do": "image"}]}
    async with pair(tmp_path) as hosts:
        like = {"model": "north/x", "params": script}
        made = [await hosts.house.create(prompt=f"{n}", **like) for n in range(10)]
    async with pair(tmp_path, breaker_faults=1, breaker_seconds=3600.0) as hosts:
        hosts.north.ill = SICK
        hosts.south.gate("go").set()
        for one in made:
            events = await hosts.house.events(one["task_id"])
            assert events[-1]["result_data"]["provider"] == "south"
        assert hosts.north.asked <= 4, "what was claimed before the first fault was learnt"
        assert hosts.south.asked == 10


async def test_an_equal_that_is_ill_too_is_not_asked(tmp_path: Path) -> None:
    """While its own breaker is open a fault stays at home, and is tried again there."""
    settings = {"breaker_faults": 1, "breaker_seconds": 3600.0, "attempts": 2}
    async with pair(tmp_path, **settings) as hosts:
        hosts.south.ill = Never("provider_failed", "it is ill", elsewhere=True)
        await hosts.ends(id="first", model="south/x")
        hosts.north.ill = Never("provider_failed", "it is ill", elsewhere=True)
        assert types(await hosts.ends())[-1] == "failed"
        assert hosts.south.asked == 1


async def test_where_it_runs_now_outlives_a_restart(tmp_path: Path) -> None:
    """A task that went over, and hangs there, is found there by the next start."""
    async with pair(tmp_path, task_timeout_seconds=3600.0) as hosts:
        hosts.north.ill = SICK
        made = await hosts.house.create(model="north/x", params={"script": [{"do": "hang"}]})
        async with hosts.house.connect() as phone:
            await phone.join(f"task:{made['task_id']}", {"after": 0})
            while (await phone.until_event("started"))["provider"] != "south":
                pass
    async with pair(tmp_path) as hosts:
        async with hosts.house.connect() as phone:
            joined = await phone.join(f"task:{made['task_id']}", {"after": 0})
            assert joined["response"]["task"]["task_id"] == made["task_id"]
            again = [await phone.until_event("started") for _ in range(3)]
        assert [one["provider"] for one in again] == ["north", "south", "south"]
        assert hosts.north.asked == 0


async def test_who_waits_for_a_host_that_is_no_more_runs_at_home(tmp_path: Path) -> None:
    """It went over, and its turn there had not come when the server was started again without
    that host: it is none of those that end for that."""
    async with pair(tmp_path) as hosts:
        hosts.north.ill = SICK
        script = {"script": [{"do": "hang"}]}
        for place in range(4):
            await hosts.house.create(id=f"hangs{place}", model="south/x", params=script)
        made = await hosts.house.create(id="waits", model="north/x")
        async with hosts.house.connect() as phone:
            await phone.join(f"task:{made['task_id']}", {"after": 0})
            await phone.until_event("retrying")
    north, models = Ailing("north"), str(tmp_path / "models.toml")
    async with served(tmp_path / "data", beside={"north": north}, models_file=models) as house:
        events = await house.events("waits")
        assert types(events) == ["started", "retrying", "started", "artifact", "completed"]
        assert events[-1]["result_data"]["provider"] == "north"
        assert north.asked == 1
        end = (await house.events("hangs0"))[-1]
        assert end["error_data"]["code"] == "provider_not_configured"


async def test_a_cancel_that_nobody_confirms_in_time_is_no_fault(tmp_path: Path) -> None:
    """An attempt that passes its deadline while it is being cancelled says nothing of its
    host; one that passes it by itself does."""
    script = {"script": [{"do": "hang"}]}
    limits = {"attempt_timeout_seconds": 1.5, "cancel_timeout_seconds": 60.0, "breaker_faults": 1}
    async with pair(tmp_path, twins("", ""), **limits) as hosts:
        hosts.north.deaf = True
        made = await hosts.house.create(model="north/x", params=script)
        async with hosts.house.connect() as phone:
            await phone.join(f"task:{made['task_id']}", {"after": 0})
            await phone.until_event("started")
            await hosts.house.post(f"/api/tasks/{made['task_id']}/cancel")
            await hosts.house.events(made["task_id"])
        assert hosts.house.context.statistics()["breakers_opened"] == 0
        await hosts.ends(params=script)
        assert hosts.house.context.statistics()["breakers_opened"] == 1
