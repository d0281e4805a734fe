"""What tasks cost: the lines of the ledger, the item that corrects one, and the questions.

Lines are only ever added, and what follows from them with them (ledger_sums.py). Those of a
birth or a move are written in its transaction (see creations.py and batch.py), a correction
by itself. Decides nothing: what a line says is worked out above. The table is told in
migration 0010.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from . import ledger_sums
from .entries import Entry
from .ledger_sums import Total
from .visit import Visits

Ask = Callable[..., Awaitable[list[sqlite3.Row]]]


class Correction(msgspec.Struct, frozen=True):
    """What a charge is learnt to be later; there is one for each at the most. `told` is the
    charge of the whole task from now on, as JSON: the final snapshot has it beside the one
    that was told. Comes to whether it was written now."""

    entry: Entry
    told: bytes | None = None


_COLUMNS = Entry.__struct_fields__
_NAMED = ", ".join(_COLUMNS)

NEWEST = 2**62
"""A number that no line has, behind all that any has."""

INSERT = f"INSERT INTO ledger ({_NAMED}) VALUES"

CORRECT = f"""
INSERT INTO ledger ({_NAMED})
SELECT {", ".join(f"?{n}" for n, _ in enumerate(_COLUMNS, 1))}
WHERE NOT EXISTS (SELECT 1 FROM ledger INDEXED BY ledger_by_task
    WHERE uid = ?2 AND attempt = ?5 AND entry = 'correction')
RETURNING n
"""

TELL = """
UPDATE snapshots SET body = json_set(body, '$.settled_charge', json(?2)) WHERE uid = ?1
"""

_LIVE = "('queued', 'starting', 'running', 'canceling')"

HELD = f"""
SELECT t.uid, t.owner, (SELECT sum(l.amount) FROM ledger l INDEXED BY ledger_by_task
    WHERE l.uid = t.uid AND l.entry IN ('hold', 'release'))
FROM tasks t INDEXED BY tasks_live WHERE t.state IN {_LIVE}
"""

LAST = "SELECT max(n) FROM ledger"

OF_TASK = "SELECT * FROM ledger INDEXED BY ledger_by_task WHERE uid = ?1 ORDER BY n"

# The rest of a day and the days before it, of either as many as a page has, by their numbers.
LINES = """
WITH page AS MATERIALIZED (
    SELECT * FROM (SELECT n FROM ledger INDEXED BY ledger_by_day
        WHERE owner = ?1 AND day = ?3 AND n < ?4 AND ?3 >= ?2 ORDER BY n DESC LIMIT ?5)
    UNION ALL
    SELECT * FROM (SELECT n FROM ledger INDEXED BY ledger_by_day
        WHERE owner = ?1 AND day >= ?2 AND day < ?3 ORDER BY day DESC, n DESC LIMIT ?5)
    LIMIT ?5)
SELECT l.* FROM page CROSS JOIN ledger l ON l.n = page.n ORDER BY l.day DESC, l.n DESC
"""

DAY_OF_LINE = "SELECT day FROM ledger WHERE n = ?1 AND owner = ?2"


class Ledger:
    """Questions; each raises StoreTrouble, as those of `Reader` do."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def held(self) -> list[tuple[str, str, int]]:
        """What is held now: uid, owner and amount of each live task that has something."""
        if (await self._ask(LAST))[0][0] is None:
            return []
        return [(row[0], row[1], row[2]) for row in await self._ask(HELD) if row[2]]

    async def spent(self, day: int) -> dict[str, int]:
        """What counts against each owner's budget of a day, but for what is held."""
        return {row[0]: row[1] for row in await self._ask(ledger_sums.SPENT, day) if row[1]}

    async def of_task(self, uid: str) -> list[Entry]:
        """All lines of a task, in their order."""
        return [entry_of(row) for row in await self._ask(OF_TASK, uid)]

    async def open_at(self) -> dict[str, int]:
        """When the first of each provider's charges is due that are unknown to this day, of
        tasks that have ended."""
        return {row[0]: row[1] for row in await self._ask(ledger_sums.OPEN_AT)}

    async def has_open(self) -> bool:
        """Whether any charge is unknown to this day."""
        return bool(await self._ask(ledger_sums.ANY_OPEN))

    async def unsettled(self, provider: str, now: int, limit: int) -> list[tuple[int, Entry]]:
        """A provider's charges that are unknown to this day and due, each with the times it
        was asked for in vain, the first due first."""
        rows = await self._ask(ledger_sums.UNSETTLED, provider, now, limit)
        return [(row["tries"], entry_of(row)) for row in rows]

    async def unknown(self, owner: str, first: int, last: int, limit: int) -> list[Entry]:
        """What is unknown of one owner and some days, the last day first, live tasks
        included."""
        rows = await self._ask(ledger_sums.UNKNOWN, owner, first, last, limit)
        return [entry_of(row) for row in rows]

    async def totals(self, owner: str, first: int, last: int) -> list[Total]:
        """What each model cost on each day, the last day first."""
        rows = await self._ask(ledger_sums.TOTALS, owner, first, last)
        return [Total(*row) for row in sorted(rows, key=itemgetter("day"), reverse=True)]

    async def lines(
        self, owner: str, first: int, last: int, before: int, limit: int
    ) -> list[tuple[int, Entry]]:
        """An owner's lines of some days, the last day first and the newest of each first, each
        with its number; a page goes on `before` the number of its last."""
        found = await self._ask(DAY_OF_LINE, before, owner)
        day = int(found[0][0]) if found else last
        place = (day, before) if day <= last else (last, NEWEST)
        rows = await self._ask(LINES, owner, first, *place, limit)
        return [(row["n"], entry_of(row)) for row in rows]


def write(visits: Visits, entries: Sequence[Entry]) -> None:
    """Add lines, and what follows from them, before whatever is asked next."""
    visits.insert(INSERT, [row_of(entry) for entry in entries])
    ledger_sums.follow(visits, entries)


async def correct(visits: Visits, item: Correction) -> bool:
    """Write a correction, unless that charge has one."""
    (written,) = await visits.ask((CORRECT, row_of(item.entry)))
    if written:
        ledger_sums.follow(visits, [item.entry])
    if written and item.told is not None:
        visits.later(TELL, item.entry.uid, item.told.decode())
    return bool(written)


def row_of(entry: Entry) -> tuple[Any, ...]:
    """The columns of a line, in the order of the statements."""
    return msgspec.structs.astuple(entry)


def entry_of(row: sqlite3.Row) -> Entry:
    """A line from its row."""
    return Entry(**{name: row[name] for name in _COLUMNS})
