"""Ways around an agreement that do not lead there: parameters, equals, doors, budgets, clocks."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.books import corrected, moved
from safelight.providers.scripted import Scripted
from safelight.purse import DAY_MS, Purse
from safelight.registry import Registry
from safelight.registry.catalog import laid_over, read_catalog
from safelight.store import open_store
from safelight_protocol.charges import unknown
from safelight_protocol.codes import Refused
from safelight_protocol.commands import read_native
from safelight_protocol.events import Charge
from safelight_protocol.prices import MAX_MICROS, Price, Terms
from safelight_protocol.quotes import bounds
from safelight_protocol.task import Resolved
from tests.doubles.ailing import SICK, twins
from tests.doubles.lives import NOW, asked
from tests.doubles.priced import DONE, EACH, bills, end_of, entries, shop, usage
from tests.doubles.sulking import Sulky
from tests.doubles.turns import until
from tests.server.edges.test_money_doors import DOORS
from tests.server.test_failover import pair
from tests.server.test_purse import CHARGED, Now, faulted, quote, task_of

RATES = {"image": 100, "video_second": 10, "output_token": 1_000_000}
HUGE = MAX_MICROS + 1
PAID = {"used": {"image": 1}}

PARAMS: dict[str, tuple[str, dict[str, Any], int | None]] = {
    "nothing is said": ("image", {}, 100),
    "more by another name": ("image", {"num_outputs": 4}, 400),
    "more by two names": ("image", {"num_outputs": 4, "batch_size": "2"}, 800),
    "fewer than one": ("image", {"num_outputs": -3}, 100),
    "a longer length beside a short one": ("video_second", {"duration": 1, "seconds": 60}, 600),
    "no length at all": ("video_second", {"duration": 0}, None),
    "a negative length": ("video_second", {"duration": -1}, None),
    "a length of a crumb": ("video_second", {"duration": "1e-999999"}, None),
    "a length without end": ("video_second", {"duration": "1e999999"}, HUGE),
    "no number": ("video_second", {"duration": "NaN", "seconds": "Infinity"}, None),
    "a larger limit": ("output_token", {"max_tokens": 1, "max_completion_tokens": 9000}, 9000),
    "a limit of nothing": ("output_token", {"max_tokens": 0}, None),
    "a limit as text": ("output_token", {"max_tokens": "10"}, 10),
    "a limit of true": ("output_token", {"max_tokens": True}, None),
    "a float": ("output_token", {"max_tokens": 1e308}, MAX_MICROS),
}


@pytest.mark.parametrize(("unit", "params", "high"), PARAMS.values(), ids=PARAMS)
def test_parameters_do_not_lower_a_bound(
    unit: str, params: dict[str, Any], high: int | None
) -> None:
    """What a provider might go by instead counts; what limits nothing is no bound; and no
    number is so large that a quote cannot be told."""
    named: dict[str, Any] = {"requested": "m", "model": "m", "provider": "p", "backend": None}
    resolved = Resolved(**named, params=params, seed=1, n=1)
    found = bounds(Price(rates={unit: RATES[unit]}), asked(prompt="x"), resolved)
    assert found.high == high and found.low <= (found.high or HUGE)
    assert len(found.basis) < 200
    msgspec.json.encode(found)


@pytest.mark.parametrize("params", [{"num_outputs": 4}, {"batch_size": 10**300}])
async def test_more_results_than_were_agreed_to_are_refused(
    tmp_path: Path, params: dict[str, Any]
) -> None:
    """One picture's worth of agreement does not begin four, whatever the parameter is called."""
    body = {"kind": "image", "prompt": "x", "model": "scripted/image", "params": params}
    async with shop(tmp_path, budget_per_day=1.0) as house:
        for path in ("/api/tasks", "/api/quotes"):
            answer = await house.post(path, body | {"max_cost": 0.003})
            told = answer.json()
            found = told["data"]["consent"]["given"] if answer.is_success else told["code"]
            assert found in (False, "payment_required")
        assert house.scripted.started == []


EQUALS: dict[str, tuple[str, str, str, bool]] = {
    "as long": (
        "rates = { second = 5 }, most = { second = 10 }",
        "most = { second = 10 }",
        "",
        True,
    ),
    "longer": (
        "rates = { second = 5 }, most = { second = 10 }",
        "most = { second = 11 }",
        "",
        False,
    ),
    "without end": ("rates = { second = 5 }, most = { second = 10 }", "most = {}", "", False),
    "what was without end": ("rates = { second = 5 }", "most = {}", "", True),
}


@pytest.mark.parametrize(("north", "most", "more", "equal"), EQUALS.values(), ids=EQUALS)
def test_an_equal_has_no_wider_bound(north: str, most: str, more: str, equal: bool) -> None:
    """The same rates are not enough: what is held is the most of the first."""
    rows = twins(
        f'equals = ["south/x"]\nprice = {{ {north} }}',
        f"price = {{ rates = {{ second = 5 }}, {most} }}{more}",
    )
    ours = Registry(
        laid_over(read_catalog(), rows, "models.toml"),
        frozenset({"local", "north", "south"}),
        billed=frozenset({"north", "south"}),
    )
    meant = ours.resolve(asked(model="north/x"), draw_seed=lambda: 7).resolved
    assert bool(ours.equals(meant)) is equal


@pytest.mark.parametrize(("terms", "equal"), [(Terms(0, 0, 0), False), (Terms(9, None, 9), True)])
def test_agreeing_to_nothing_is_no_agreement_to_an_unknown_price(terms: Terms, equal: bool) -> None:
    """A VIP model that is free has no equal that bills what nobody knows; one whose price
    nobody knew has."""
    price = "price_micros = 0" if terms.bound == 0 else ""
    rows = twins(f'equals = ["south/x"]\nvip = true\n{price}', "vip = true")
    billed = frozenset({"south"} if price else {"north", "south"})
    names = frozenset({"local", "north", "south"})
    ours = Registry(laid_over(read_catalog(), rows, "models.toml"), names, billed=billed)
    meant = ours.resolve(asked(model="north/x"), draw_seed=lambda: 7).resolved
    agreed = msgspec.structs.replace(meant, terms=terms)
    assert bool(ours.equals(agreed)) is equal


async def test_a_free_equal_is_free(tmp_path: Path) -> None:
    """What runs where it costs nothing is not told as unknown, and leaves its owner's money
    alone."""
    models = twins('equals = ["south/x"]\nprice_micros = 2000', "price_micros = 0")
    script = [{"do": "image"}, {"do": "done", "used": {"image": 1}}]
    async with pair(tmp_path, models, billed=True, budget_per_day=1.0) as hosts:
        hosts.north.ill = SICK
        events = await hosts.ends(params={"script": script})
        told = await usage(hosts.house)
    assert events[-1]["charge"]["verdict"] == "free"
    charges = [line for line in told["entries"] if line["entry"] == "charge"]
    where = [(line["attempt"], line["provider"], line["model"]) for line in charges]
    assert where == [(2, "south", "south/x"), (1, "north", "north/x")]
    assert (told["total_micros"], told["budget"]["spent_micros"]) == (0, 0)


async def test_a_batch_of_a_hundred_against_a_budget_for_three(tmp_path: Path) -> None:
    """Three are taken, each of the others is told why it is not, and nothing more is begun."""
    rows = [
        {"kind": "image", "prompt": f"p{n}", "model": "scripted/image", "params": {"script": DONE}}
        for n in range(100)
    ]
    async with shop(tmp_path, budget_per_day=0.0119) as house:
        answer = await house.post("/api/tasks:batch", {"tasks": rows})
        results = answer.json()["data"]["results"]
        made = [row["data"]["task_id"] for row in results if row.get("data")]
        refused = [row["problem"]["code"] for row in results if row.get("problem")]
        assert len(made) == 3 and refused == ["payment_required"] * 97
        for id in made:
            await end_of(house, id)
        assert bills(house.scripted) == 3 * EACH == (await usage(house))["total_micros"]


async def test_doors_race_for_the_last_cent(tmp_path: Path) -> None:
    """Whichever door comes first has it; all others are refused."""
    doors = [door for name, door in DOORS.items() if name != "llm"]
    async with shop(tmp_path, budget_per_day=0.003) as house:
        racing = (door(house, {"prompt": f"p{n}"}) for n, door in enumerate(doors))
        answers = [code for code, _ in await asyncio.gather(*racing)]
        assert sorted(answers) == ["ok"] + ["payment_required"] * (len(doors) - 1)
        assert len(house.scripted.started) <= 1


async def test_a_budget_that_is_gone_covers_no_other_attempt(tmp_path: Path) -> None:
    """Who agreed by a budget has agreed to what was held, once the settings have none."""
    script = [{"do": "progress", "to": 0.1}, {"do": "wait", "gate": "g"}, {"do": "fault"} | PAID]
    provider = Scripted(billed=True, resumable=True, each=EACH)
    async with shop(tmp_path, provider, budget_per_day=1.0) as house, house.connect() as phone:
        await house.create(id="x", params={"script": script})
        await phone.join("task:x", {"after": 0})
        await phone.until_event("progress")
    provider.gate("g").set()
    async with shop(tmp_path, provider) as house:
        end = await end_of(house, "x")
    assert (end["error_data"]["code"], len(provider.started)) == ("cost_limit", 1)


async def test_the_cap_outlives_a_restart(tmp_path: Path) -> None:
    """What the attempts before it have cost counts after it, too."""
    script = [
        {"do": "fault", "attempt": 1} | PAID,
        {"do": "progress", "to": 0.1},
        {"do": "wait", "gate": "g"},
        {"do": "fault"} | PAID,
    ]
    provider = Scripted(billed=True, resumable=True, each=EACH)
    async with shop(tmp_path, provider) as house, house.connect() as phone:
        await house.create(id="x", params={"script": script}, max_cost=0.006)
        await phone.join("task:x", {"after": 0})
        await phone.until_event("progress")
    provider.gate("g").set()
    async with shop(tmp_path, provider) as house:
        end = await end_of(house, "x")
        assert (await usage(house))["total_micros"] == 2 * EACH == bills(provider)
    assert (end["error_data"]["code"], len(provider.started)) == ("cost_limit", 2)


async def test_a_new_price_makes_no_other_request(tmp_path: Path) -> None:
    """What was made for less is the same task, also for who comes when it is dearer."""
    provider = Scripted(billed=True, each=EACH)
    body = {"kind": "image", "prompt": "x", "model": "scripted/image", "id": "x"}
    async with shop(tmp_path, provider) as house:
        assert (await house.post("/api/tasks", body | {"max_cost": 0.003})).status_code == 202
        await end_of(house, "x")
    dearer = tmp_path / "dearer.toml"
    dearer.write_text(
        (tmp_path / "priced.toml").read_text().replace("image = 3000", "image = 9000")
    )
    async with shop(tmp_path, provider, models_file=str(dearer)) as house:
        assert (await house.post("/api/tasks", body)).status_code == 200
        other = body | {"id": "y", "max_cost": 0.003}
        assert (await house.post("/api/tasks", other)).status_code == 402
    assert len(provider.started) == 1


async def test_an_end_whose_commit_is_in_doubt_is_booked_once(tmp_path: Path) -> None:
    """Its commit failed and was on disk all the same: the hold is given back, and the charge
    counts once."""
    sulky = Sulky()
    opened = partial(open_store, connect=sulky.connect)
    script = [{"do": "wait", "gate": "g"}, {"do": "done"} | PAID]
    async with shop(tmp_path, budget_per_day=0.01, opened=opened) as house:
        await house.create(id="x", params={"script": script})
        async with house.connect() as phone:
            await phone.join("task:x", {"after": 0})
            await phone.until_event("started")
            await until(lambda: house.scripted.started)
            assert (await usage(house))["held_micros"] == EACH
            sulky.after = lambda text: sqlite3.SQLITE_IOERR if text == "COMMIT" else None
            house.scripted.gate("g").set()
            await until(lambda: house.context.statistics()["reopened"])
            sulky.content()
            await phone.until_event("completed")
        told = await usage(house)
        assert await entries(house) == [("hold", EACH), ("charge", EACH), ("release", -EACH)]
    assert (told["held_micros"], told["budget"]["spent_micros"]) == (0, EACH)


def test_a_correction_counts_on_the_day_of_its_charge() -> None:
    """However long after that it is learnt."""
    (line,) = moved(task_of(), task_of(), faulted(unknown("?")), NOW)
    later = corrected(line, CHARGED, NOW + 3 * DAY_MS)
    assert (later.day, later.at) == (line.day, NOW + 3 * DAY_MS)


def test_a_clock_that_is_set_back_forgets_nothing() -> None:
    """What is spent meanwhile counts against the day that goes on."""
    now = Now()
    one = Purse(0.01, {}, now)
    task = task_of()
    one.book(moved(task, task, faulted(CHARGED), now.ms))
    now.ms -= DAY_MS
    one.book(moved(task, task, faulted(CHARGED), now.ms))
    assert one.left("ann") == 10_000 - 2 * EACH
    now.ms += DAY_MS
    assert one.left("ann") == 10_000 - 2 * EACH


def test_a_clock_that_is_set_back_gives_nothing_back() -> None:
    """What is learnt meanwhile of the day before was never counted against this one."""
    now = Now()
    (line,) = moved(task_of(), task_of(), faulted(unknown("?")), now.ms - DAY_MS)
    one = Purse(0.01, {}, now)
    now.ms -= DAY_MS
    one.book((corrected(line, Charge("free"), now.ms),))
    assert one.left("ann") == 10_000


def test_a_charge_of_before_midnight_is_not_todays() -> None:
    """It is booked as it was dated, also when its commit is learnt on the next day."""
    now = Now()
    one = Purse(0.01, {}, now)
    task = task_of()
    lines = moved(task, task, faulted(CHARGED), now.ms)
    now.ms += DAY_MS
    one.book(lines)
    assert one.left("ann") == 10_000


def test_other_money_counts_as_what_was_agreed_to() -> None:
    """Nobody here knows what a yen is worth: a hundred of them are not a hundred dollars, nor
    nothing."""
    one = Purse(1.0, {}, lambda: 0)
    yen = msgspec.structs.replace(CHARGED, amount_micros=100_000_000, currency="JPY")
    (line,) = moved(task_of(), task_of(), faulted(yen), 0)
    one.book((line,))
    assert (line.amount, line.counts, one.left("ann")) == (100_000_000, EACH, 1_000_000 - EACH)
    assert one.allowed(task_of(cap=2 * EACH), faulted(yen)) == faulted(yen)
    assert one.allowed(task_of(cap=EACH), faulted(yen)) != faulted(yen)


def test_a_hold_is_the_bound_and_not_the_limit() -> None:
    """A careful limit does not block a budget for pennies."""
    one = Purse(1.0, {}, lambda: 0)
    assert one.take("u", "ann", quote(one), 10 * EACH) == Terms(EACH, EACH, 10 * EACH)


@pytest.mark.parametrize("said", [True, "0.1", -1, -0.0000001, 1e308, 10**400, [1], {"a": 1}])
def test_what_is_no_amount_is_refused(said: Any) -> None:
    """Nothing is guessed: an amount is a number of dollars, exactly, or it is none."""
    with pytest.raises(Refused) as refused:
        read_native({"kind": "image", "prompt": "x", "max_cost": said})
    assert refused.value.code.name == "invalid"
