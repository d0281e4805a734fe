"""What tasks cost: the lines of the ledger, the item that corrects one, and the questions.

Lines are only ever added. Those of a birth or a move are written in its transaction (see
creations.py and batch.py), a correction by itself. Decides nothing: what a line says is
worked out above. The table is told in migration 0010.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from operator import itemgetter
from typing import Any, Literal

import msgspec

from .visit import Visits

Ask = Callable[..., Awaitable[list[sqlite3.Row]]]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `usage` and `price` are JSON, `verdict` that of a charge; `day` counts from
    1970, and is that of the charge also for what corrects it."""

    entry: Literal["hold", "charge", "release", "correction"]
    uid: str
    owner: str
    id: str
    attempt: int
    amount: int
    counts: int
    currency: str = "USD"
    kind: str
    model: str
    provider: str
    backend: str | None = None
    handle: str | None = None
    usage: str | None = None
    price: str | None = None
    verdict: str | None = None
    reason: str = ""
    at: int
    day: int


class Correction(msgspec.Struct, frozen=True):
    """What a charge is learnt to be later; there is one for each at the most. `told` is the
    charge of the whole task from now on, as JSON: the final snapshot has it beside the one
    that was told. Comes to whether it was written now."""

    entry: Entry
    told: bytes | None = None


class Total(msgspec.Struct, frozen=True):
    """What one model cost on one day. `charges` counts attempts, `estimated` and `unknown`
    those of them."""

    day: int
    model: str
    provider: str
    amount: int
    charges: int
    estimated: int
    unknown: int


_COLUMNS = Entry.__struct_fields__
_NAMED = ", ".join(_COLUMNS)

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

# The owners are few, and the index has each one's days side by side.
SPENT = """
WITH RECURSIVE owners(owner) AS (
    SELECT min(owner) FROM ledger INDEXED BY ledger_by_day
    UNION ALL
    SELECT (SELECT min(owner) FROM ledger INDEXED BY ledger_by_day WHERE owner > owners.owner)
    FROM owners WHERE owners.owner IS NOT NULL)
SELECT owner, (SELECT sum(counts) FROM ledger INDEXED BY ledger_by_day
    WHERE owner = owners.owner AND day = ?1 AND entry IN ('charge', 'correction'))
FROM owners WHERE owner IS NOT NULL
"""

OF_TASK = "SELECT * FROM ledger INDEXED BY ledger_by_task WHERE uid = ?1 ORDER BY n"

_OPEN = """
entry = 'charge' AND verdict = 'unknown' AND NOT EXISTS (
    SELECT 1 FROM ledger c INDEXED BY ledger_by_task
    WHERE c.uid = l.uid AND c.attempt = l.attempt AND c.entry = 'correction')
"""

# Of a task that is still under way the charge is not told yet, so nothing is to be corrected.
UNSETTLED = f"""
SELECT * FROM ledger l INDEXED BY ledger_unknown
WHERE {_OPEN} AND n > ?1
  AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.uid = l.uid AND t.state IN {_LIVE})
ORDER BY n LIMIT ?2
"""

UNKNOWN = f"""
SELECT * FROM ledger l INDEXED BY ledger_unknown_of
WHERE {_OPEN} AND owner = ?1 AND day BETWEEN ?2 AND ?3
ORDER BY n DESC LIMIT ?4
"""

TOTALS = """
SELECT day, model, provider, sum(amount * (currency = 'USD')) AS amount,
    sum(entry = 'charge') AS charges,
    sum(verdict = 'estimated') AS estimated,
    sum((entry = 'charge' AND verdict = 'unknown')
        - (entry = 'correction' AND verdict <> 'unknown')) AS unknown
FROM ledger INDEXED BY ledger_by_day
WHERE owner = ?1 AND day BETWEEN ?2 AND ?3 AND entry IN ('charge', 'correction')
  AND (currency = 'USD' OR entry = 'correction')
GROUP BY day, model, provider
"""

LINES = """
SELECT * FROM ledger INDEXED BY ledger_lines
WHERE owner = ?1 AND day BETWEEN ?2 AND ?3 AND n < ?4 ORDER BY n DESC LIMIT ?5
"""


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
        return {row[0]: row[1] for row in await self._ask(SPENT, day) if row[1]}

    async def of_task(self, uid: str) -> list[Entry]:
        """All lines of a task, in their order."""
        return [entry_of(row) for row in await self._ask(OF_TASK, uid)]

    async def unsettled(self, after: int, limit: int) -> list[tuple[int, Entry]]:
        """Charges that are unknown to this day, of tasks that have ended, each with its
        number, from behind a number on."""
        return [(row["n"], entry_of(row)) for row in await self._ask(UNSETTLED, after, limit)]

    async def unknown(self, owner: str, first: int, last: int, limit: int) -> list[Entry]:
        """The same of one owner and some days, the newest first, live tasks included."""
        return [entry_of(row) for row in await self._ask(UNKNOWN, owner, first, last, limit)]

    async def totals(self, owner: str, first: int, last: int) -> list[Total]:
        """What each model cost on each day, the last day first."""
        found = await self._ask(TOTALS, owner, first, last)
        rows = sorted(found, key=itemgetter("day"), reverse=True)
        return [Total(**{name: row[name] for name in Total.__struct_fields__}) for row in rows]

    async def lines(
        self, owner: str, first: int, last: int, before: int, limit: int
    ) -> list[tuple[int, Entry]]:
        """An owner's lines, the newest first, each with its number, from before a number on."""
        rows = await self._ask(LINES, owner, first, last, before, limit)
        return [(row["n"], entry_of(row)) for row in rows]


async def correct(visits: Visits, item: Correction) -> bool:
    """Write a correction, unless that charge has one."""
    (written,) = await visits.ask((CORRECT, row_of(item.entry)))
    if written and item.told is not None:
        visits.later(TELL, item.entry.uid, item.told.decode())
    return bool(written)


def row_of(entry: Entry) -> tuple[Any, ...]:
    """The columns of a line, in the order of the statements."""
    return msgspec.structs.astuple(entry)


def entry_of(row: sqlite3.Row) -> Entry:
    """A line from its row."""
    return Entry(**{name: row[name] for name in _COLUMNS})
