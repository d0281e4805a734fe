"""Providers that lie about money, or talk nonsense: the ledger stays whole, and nobody waits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from safelight.books import corrected, moved
from safelight.providers.base import Account, Prediction
from safelight.providers.scripted import Scripted
from safelight.purse import day_of
from safelight.reckoning import GIVE_UP_SECONDS, LONGEST_SECONDS, told_by
from safelight_protocol.events import Charge
from safelight_protocol.prices import used
from tests.doubles.lives import NOW
from tests.doubles.priced import EACH, end_of, entries, shop, usage
from tests.doubles.served import PATIENCE
from tests.server.test_purse import faulted, task_of
from tests.server.test_reckoning import SILENT, Later

NONSENSE: dict[str, dict[str, Any]] = {
    "more than there is": {"charge": 10**30},
    "a reward": {"charge": -5},
    "a number of a million digits": {"used": {"image": "1e999999"}},
    "a crumb of a million digits": {"used": {"image": "1e-999999"}},
    "a billion billion pictures": {"used": {"image": "1e18"}},
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
async def test_an_amount_that_cannot_be_is_not_believed(
    tmp_path: Path, said: dict[str, Any]
) -> None:
    """The task ends as it came out, its charge unknown and within its bound, or counted by
    us; no line of the ledger is negative or without end."""
    script = [{"do": "progress", "to": 0.5}, {"do": "image"}, {"do": "done"} | said]
    async with shop(tmp_path, budget_per_day=1.0) as house:
        await house.create(id="x", params={"script": script})
        end = await end_of(house, "x")
        told = await usage(house)
        (line,) = [line for line in told["entries"] if line["entry"] == "charge"]
    assert end["type"] == "completed", end
    charge = end["charge"]
    assert 0 <= charge["amount_micros"] <= EACH and charge == charge | {"currency": "USD"}
    assert line["amount_micros"] == charge["amount_micros"]
    assert len(str(charge)) < 1000
    assert 0 <= told["budget"]["spent_micros"] <= EACH


class Liar(Scripted):
    """Says what it is told to, when it is asked what something came to."""

    def __init__(self, **lies: Any) -> None:
        super().__init__(billed=True, each=EACH)
        self.lies = lies

    async def account(self, prediction: Prediction, handle: str | None) -> Account | None:
        """A lie for a prompt that has one, else the truth."""
        lie = self.lies.get(prediction.prompt)
        if lie is None:
            return await super().account(prediction, handle)
        if isinstance(lie, Exception):
            raise lie
        account: Account = lie
        return account


async def settle(tmp_path: Path, *lies: Any) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    """What the ledger says of tasks whose provider tells these lies, and of an honest one that
    ended after them."""
    liar = Liar(**{f"p{n}": lie for n, lie in enumerate(lies)})
    async with shop(tmp_path, liar, budget_per_day=1.0) as house:
        for prompt in [*liar.lies, "honest"]:
            await house.create(id=prompt, prompt=prompt, params={"script": SILENT})
            await end_of(house, prompt)
        liar.tells = True
        async with asyncio.timeout(PATIENCE):
            await Later(house).look()
        return await usage(house), await entries(house)


IMPOSSIBLE: dict[str, Any] = {
    "negative": Account(Charge("charged", -EACH, reason="a gift")),
    "huge": Account(Charge("charged", 10**30, reason="a lot")),
    "huge usage": Account(usage=used({"image": "1e400"})),
    "no charge at all": Account(),
    "a bug": RuntimeError("boom"),
}


@pytest.mark.parametrize("lie", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
async def test_a_lie_about_one_run_keeps_no_other_from_its_settlement(
    tmp_path: Path, lie: Any
) -> None:
    """What cannot be is not booked, and stays open; the line behind it is asked about."""
    told, lines = await settle(tmp_path, lie)
    assert [amount for entry, amount in lines if entry == "correction"] == [EACH]
    assert told["total_micros"] == EACH
    assert [line["task_id"] for line in told["unknown"]] == ["p0"]


async def test_what_is_learnt_in_another_currency_is_in_no_sum(tmp_path: Path) -> None:
    """It is a line of the ledger under its own name; against the budget it counts as the most
    that was agreed to, since nobody here changes money."""
    yen = Account(Charge("charged", 120, currency="JPY", reason="by the bill"))
    told, _ = await settle(tmp_path, yen)
    correction = next(
        line
        for line in told["entries"]
        if line["entry"] == "correction" and line["task_id"] == "p0"
    )
    assert (correction["currency"], correction["amount_micros"]) == ("JPY", 120)
    assert told["total_micros"] == EACH and told["unknown"] == []
    assert told["days"][0]["unknown"] == 0
    assert told["budget"]["spent_micros"] == 2 * EACH


class Clerk(Scripted):
    """Notes by which handle it is asked what an attempt came to."""

    def __init__(self) -> None:
        super().__init__(billed=True, each=EACH)
        self.handles: list[str | None] = []

    async def account(self, prediction: Prediction, handle: str | None) -> Account | None:
        """As ever."""
        self.handles.append(handle)
        return await super().account(prediction, handle)


async def test_each_attempt_is_asked_about_by_its_own_handle(tmp_path: Path) -> None:
    """Also one that another attempt came after, and one whose task was deleted."""
    clerk = Clerk()
    async with shop(tmp_path, clerk, budget_per_day=1.0) as house:
        for id in ("kept", "deleted"):
            await house.create(id=id, prompt=id, params={"script": [{"do": "fault"}]})
            await end_of(house, id)
        await house.http.delete("/api/tasks/deleted")
        await Later(house).look()
    assert clerk.handles == [f"scripted-{uid}-{attempt}" for uid, attempt in clerk.started]
    assert clerk.accounted == clerk.started and len(clerk.started) == 6


async def test_a_provider_that_cannot_tell_is_asked_ever_more_seldom(tmp_path: Path) -> None:
    """The pauses double, up to six hours."""
    async with shop(tmp_path, budget_per_day=1.0) as house:
        await house.create(id="x", params={"script": SILENT})
        await end_of(house, "x")
        later, asked = Later(house), []
        for pause in (0, 4.9, 0.2, 9.8, 0.3, 19.7, 0.4):
            await later.look(pause)
            asked.append(len(house.scripted.accounted))
        assert asked == [1, 1, 2, 2, 3, 3, 4]
        for _ in range(12):
            await later.look(LONGEST_SECONDS)
        asked = [len(house.scripted.accounted)]
        for pause in (LONGEST_SECONDS - 1, 2):
            await later.look(pause)
            asked.append(len(house.scripted.accounted))
    assert asked == [16, 16, 17]


async def test_what_is_never_learnt_counts_as_feared(tmp_path: Path) -> None:
    """The last line gives nothing back to the day of its charge."""
    async with shop(tmp_path, budget_per_day=1.0) as house:
        await house.create(id="x", params={"script": SILENT})
        await end_of(house, "x")
        later = Later(house)
        today = day_of(later.now)
        await later.look(GIVE_UP_SECONDS + 1)
        assert [entry for entry, _ in await entries(house)][-1] == "correction"
        spent = await house.context.accounts.store.read.ledger.spent(today)
    assert spent == {"local": EACH}


async def test_what_is_learnt_to_be_less_is_given_back(tmp_path: Path) -> None:
    """To the budget of that day, at once."""
    async with shop(tmp_path, budget_per_day=1.0) as house:
        await house.create(id="x", params={"script": [{"do": "never", "bill": 700}]})
        await end_of(house, "x")
        house.scripted.tells = True
        await Later(house).look()
        assert (await usage(house))["budget"]["spent_micros"] == 700


def test_a_correction_adds_to_what_was_known() -> None:
    """Of a charge of which a part was known it is the rest."""
    partly = Charge("unknown", 1000, reason="a part", at_most_micros=EACH)
    (line,) = moved(task_of(), task_of(), faulted(partly), NOW)
    rest = corrected(line, Charge("charged", 2500, reason="the bill"), NOW)
    assert (rest.amount, rest.counts) == (1500, 2500 - EACH)
    assert told_by([line, rest]).amount_micros == 2500
