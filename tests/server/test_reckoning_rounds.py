"""What a round of reckoning asks: so many of each provider, and each charge at its time.

A store with lines put in by hand, and providers that count what they are asked. Unrealistic:
there is no server around them, and nobody else reckons.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec

from safelight.log import Log
from safelight.providers.base import Account, Prediction
from safelight.purse import Purse
from safelight.reckoning import FIRST_SECONDS, PAGE, SELDOM_SECONDS, Reckoning
from safelight.store import Entry, Store, open_store
from safelight_protocol import inputs as happened
from safelight_protocol.events import Charge
from tests.doubles.lives import NOW, example, fresh
from tests.doubles.served import PATIENCE
from tests.doubles.writes import Writing, birth, creation
from tests.server.store.test_contract_ledger import CLAIMED, SPENT, unknown


class Bureau:
    """A provider that tells once it may; `hangs` until it is cancelled."""

    def __init__(self, tells: bool = False, hangs: bool = False) -> None:
        self.tells, self.hangs = tells, hangs
        self.asked: list[str] = []

    async def account(self, prediction: Prediction, handle: str | None) -> Account | None:
        """What it cost: always seven."""
        self.asked.append(prediction.uid)
        if self.hangs:
            await asyncio.Event().wait()
        return Account(Charge("charged", 7)) if self.tells else None


class Rig:
    """A store, its purse, and a reckoning with a clock that the test moves."""

    def __init__(self, store: Store, purse: Purse, **providers: Bureau) -> None:
        self.store = store
        self.now = NOW + 1000
        known: Any = providers
        parts = (store, known, purse, Log(store), lambda: self.now, anyio.sleep)
        self.made = Reckoning(*parts, ask_seconds=0.2)

    async def look(self) -> int | None:
        """At what is due by now."""
        async with asyncio.timeout(PATIENCE):
            return await self.made.look()


@asynccontextmanager
async def rig(folder: Path, **providers: Bureau) -> AsyncIterator[Rig]:
    """All of it, over what is in the folder."""
    async with open_store(folder, NOW) as store:
        yield Rig(store, Purse(None, {}, lambda: NOW), **providers)


async def owe(store: Store, uid: str, *entries: Entry, ended: bool = True) -> None:
    """A task that has these charges."""
    task = fresh(uid, spent=SPENT)
    made = msgspec.structs.replace(birth(task), entries=entries)
    await store.put(creation(task, bear=lambda: made))
    if ended:
        await end(store, uid)


async def end(store: Store, uid: str) -> None:
    """The task runs and completes."""
    task = (await store.read.tasks([uid]))[uid]
    await Writing(store, task).move(CLAIMED, example(happened.Finished))


async def test_a_round_asks_so_many_and_no_more(tmp_path: Path) -> None:
    """Of more charges than a round has, the first are asked for, and the look says that more
    are due; what was asked in vain comes behind the others, also after a restart."""
    bureau = Bureau()
    async with rig(tmp_path, p=bureau) as place:
        for number in range(PAGE + 2):
            await owe(place.store, f"u{number}", unknown(f"u{number}"))
        assert await place.look() == NOW
        first = bureau.asked[:]
        assert len(first) == PAGE
    async with rig(tmp_path, p=bureau) as place:
        assert await place.look() == place.now + FIRST_SECONDS * 1000
        assert len(bureau.asked) == PAGE + 2
        assert not set(first) & set(bureau.asked[PAGE:])
        await place.look()
        assert len(bureau.asked) == PAGE + 2, "nothing is due"
        place.now += round(FIRST_SECONDS * 1000)
        bureau.tells = True
        assert await place.look() == place.now, "two are left of those that are due"
        assert await place.look() is None


async def test_pauses_double_over_restarts(tmp_path: Path) -> None:
    """How often a charge was asked for stands beside the ledger."""
    pauses = []
    for _ in range(4):
        async with rig(tmp_path, p=Bureau()) as place:
            if not pauses:
                await owe(place.store, "u1", unknown("u1"))
            place.now += round(sum(pauses) * 1000)
            due = await place.look()
            assert due is not None
            pauses.append((due - place.now) / 1000)
    assert pauses == [FIRST_SECONDS * 2**tries for tries in range(4)]


async def test_a_provider_that_hangs_keeps_no_other_waiting(tmp_path: Path) -> None:
    """What others tell is taken in while it is silent; and it is asked one thing in a round,
    which comes later then, and the rest of it in the next ones."""
    hangs, tells = Bureau(hangs=True), Bureau(tells=True)
    async with rig(tmp_path, p=hangs, q=tells) as place:
        for number in range(3):
            mine, other = f"u{number}", f"v{number}"
            await owe(place.store, mine, unknown(mine))
            await owe(place.store, other, unknown(other, provider="q"))
        assert await place.look() == NOW
        assert len(hangs.asked) == 1 and len(tells.asked) == 3
        assert await place.store.read.ledger.open_at() == {"p": NOW}
        await place.look()
        await place.look()
        assert sorted(hangs.asked) == ["u0", "u1", "u2"]


async def test_a_task_that_goes_on_is_looked_at_now_and_then(tmp_path: Path) -> None:
    """Nothing of it is asked for, and it costs no round anything; once it has ended the next
    look finds it, though nobody tells of that."""
    bureau = Bureau(tells=True)
    async with rig(tmp_path, p=bureau) as place:
        await owe(place.store, "u1", unknown("u1"), ended=False)
        assert await place.look() == place.now + SELDOM_SECONDS * 1000
        assert bureau.asked == []
        await end(place.store, "u1")
        assert await place.look() is None
        assert bureau.asked == ["u1"]


async def test_a_provider_that_is_gone_is_waited_for_a_week(tmp_path: Path) -> None:
    """One that the settings do not name any more cannot be asked; what it owes is tried at its
    times, and given up like the rest."""
    async with rig(tmp_path) as place:
        await owe(place.store, "u1", unknown("u1"))
        assert await place.look() == place.now + FIRST_SECONDS * 1000
        place.now += 8 * 86_400_000
        assert await place.look() is None
        lines = await place.store.read.ledger.of_task("u1")
        assert [one.entry for one in lines] == ["charge", "correction"]


async def test_a_charge_that_cannot_be_read_keeps_no_other_waiting(tmp_path: Path) -> None:
    """Of a price that some other version wrote: those behind it are asked for in the same
    round, and it is given up in its time like the rest."""
    bureau = Bureau(tells=True)
    async with rig(tmp_path, p=bureau) as place:
        await owe(place.store, "u1", unknown("u1", price="[7]", at=NOW - 1))
        await owe(place.store, "u2", unknown("u2"))
        assert await place.look() == place.now + FIRST_SECONDS * 1000
        assert bureau.asked == ["u2"]
        place.now += 8 * 86_400_000
        assert await place.look() is None
        lines = await place.store.read.ledger.of_task("u1")
        assert [(one.entry, one.verdict) for one in lines][1:] == [("correction", "unknown")]


async def test_a_charge_that_cannot_be_told_keeps_no_other_waiting(tmp_path: Path) -> None:
    """What its provider tells of one cannot be put beside another line of its task: those of
    other tasks are corrected in the same round, and it is tried again later."""
    bureau = Bureau(tells=True)
    async with rig(tmp_path, p=bureau) as place:
        torn = unknown("u1", attempt=1, usage="[7]", provider="q")
        await owe(place.store, "u1", torn, unknown("u1", attempt=2, at=NOW - 1))
        await owe(place.store, "u2", unknown("u2"))
        await place.look()
        assert bureau.asked == ["u1", "u2"]
        assert len(await place.store.read.ledger.of_task("u2")) == 2
        assert (await place.store.read.ledger.open_at())["p"] == place.now + FIRST_SECONDS * 1000
