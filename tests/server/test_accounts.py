"""What an owner has spent, while time passes between two questions."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec

from safelight.accounts import Accounts
from safelight.purse import DAY_MS, Purse
from safelight.store import open_store
from tests.doubles.lives import NOW, fresh
from tests.doubles.writes import birth, creation
from tests.server.store.test_contract_ledger import DAY, line


async def test_midnight_does_not_come_between_the_sums_and_the_lines(tmp_path: Path) -> None:
    """Whoever names no day has one and the same month in both, its first day included."""
    async with open_store(tmp_path, NOW) as store:
        task = fresh("u1")
        entries = (line("charge", 5, day=DAY - 29, verdict="charged"),)
        made = msgspec.structs.replace(birth(task), entries=entries)
        await store.put(creation(task, bear=lambda: made))
        today = itertools.count(DAY * DAY_MS, DAY_MS)
        accounts = Accounts(store, Purse(None, {}, lambda: NOW), lambda: next(today))
        found = await accounts.entries("ann", None, None, None, 9)
        assert isinstance(found.entries, list)
        assert [one.amount_micros for one in found.entries] == [5] == [found.total_micros]
        assert {one.day for one in found.entries} == {found.first}
