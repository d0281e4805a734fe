"""Webhooks to be sent: their rows, the items that move them, and the questions.

Rows of a move are written in its transaction (see batch.py). Those that wait for one owner
and one host are a line, and `delivery_lines` has each line's first: it is brought up to date
with whatever moves a row. Which comes next and when is decided above; nothing here knows how
anything is sent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec

from .visit import Visits

Ask = Callable[..., Awaitable[list[sqlite3.Row]]]


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One notice for one receiver. `tries` counts those made; a `dead` one is not tried any
    more. Times are milliseconds since 1970."""

    id: str
    owner: str
    task_id: str
    seq: int
    type: str
    url: str
    host: str
    body: str
    state: Literal["waiting", "dead"] = "waiting"
    tries: int = 0
    next_at: int
    error: str | None = None
    created_at: int
    updated_at: int


class Sent(msgspec.Struct, frozen=True):
    """Its receiver has it: the row goes. With an `owner` only if it is that one's, and is not
    waited for. Comes to whether it was there."""

    id: str
    owner: str | None = None


class Postponed(msgspec.Struct, frozen=True):
    """It was not taken: another try at `next_at`, or none if that is None. Comes to whether
    it was there."""

    id: str
    tries: int
    next_at: int | None
    error: str
    at: int


class Revived(msgspec.Struct, frozen=True):
    """A dead one is tried again from the start. Comes to whether there was one."""

    id: str
    owner: str
    at: int


class Forgetting(msgspec.Struct, frozen=True):
    """A step of retention: at most `limit` of those go that were given up by `before`. Comes
    to how many went."""

    before: int
    limit: int


class SecretKept(msgspec.Struct, frozen=True):
    """The secret of an owner; with `fresh` only if there is none. Comes to the row."""

    owner: str
    secret: str
    at: int
    fresh: bool


class SecretRow(msgspec.Struct, frozen=True):
    """What an owner's notices are signed with since `made_at`, and with what before."""

    secret: str
    previous: str | None
    made_at: int


DeliveryItem = Sent | Postponed | Revived | Forgetting | SecretKept

_COLUMNS = DeliveryRow.__struct_fields__
_NAMED = ", ".join(_COLUMNS)

INSERT = f"INSERT INTO deliveries ({_NAMED}) VALUES"

SENT = "DELETE FROM deliveries WHERE id = ?1 RETURNING owner, host"
DROPPED = "DELETE FROM deliveries WHERE id = ?1 AND owner = ?2 AND state = 'dead' RETURNING id"

FORGET = """
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries INDEXED BY deliveries_dead
    WHERE state = 'dead' AND updated_at <= ?1 ORDER BY updated_at LIMIT ?2)
RETURNING id
"""

HAS_OLD = """
SELECT 1 FROM deliveries INDEXED BY deliveries_dead
WHERE state = 'dead' AND updated_at <= ?1 LIMIT 1
"""

POSTPONED = """
UPDATE deliveries SET tries = ?2, next_at = coalesce(?3, next_at), error = ?4, updated_at = ?5,
    state = CASE WHEN ?3 IS NULL THEN 'dead' ELSE 'waiting' END
WHERE id = ?1 RETURNING owner, host
"""

REVIVED = """
UPDATE deliveries SET state = 'waiting', tries = 0, next_at = ?3, updated_at = ?3
WHERE id = ?1 AND owner = ?2 AND state = 'dead' RETURNING owner, host
"""

# The first of a line, and none where nothing waits in it any more.
LINE_UP = """
INSERT INTO delivery_lines (owner, host, next_at)
SELECT owner, host, next_at FROM deliveries INDEXED BY deliveries_in_line
WHERE state = 'waiting' AND owner = ?1 AND host = ?2 ORDER BY next_at LIMIT 1
ON CONFLICT (owner, host) DO UPDATE SET next_at = excluded.next_at
WHERE next_at <> excluded.next_at
"""

LINE_DOWN = """
DELETE FROM delivery_lines WHERE owner = ?1 AND host = ?2 AND NOT EXISTS (
    SELECT 1 FROM deliveries INDEXED BY deliveries_in_line
    WHERE state = 'waiting' AND owner = ?1 AND host = ?2)
"""

KEEP_FIRST = """
INSERT INTO webhook_secrets (owner, secret, made_at) VALUES (?1, ?2, ?3)
ON CONFLICT (owner) DO NOTHING
"""

KEEP_NEXT = """
INSERT INTO webhook_secrets (owner, secret, made_at) VALUES (?1, ?2, ?3)
ON CONFLICT (owner) DO UPDATE
SET previous = secret, secret = excluded.secret, made_at = excluded.made_at
"""

SECRET = "SELECT secret, previous, made_at FROM webhook_secrets WHERE owner = ?1"

# Line by line, that whose first has waited longest first; so many of each line are under way
# that few are passed by.
DUE = f"""
SELECT {", ".join(f"d.{name}" for name in _COLUMNS)}
FROM delivery_lines l INDEXED BY delivery_lines_due
CROSS JOIN deliveries d INDEXED BY deliveries_in_line
    ON d.state = 'waiting' AND d.owner = l.owner AND d.host = l.host AND d.next_at <= ?2
WHERE l.owner = ?1 AND l.next_at <= ?2
  AND l.host NOT IN (SELECT value FROM json_each(?3))
  AND d.id NOT IN (SELECT value FROM json_each(?4))
ORDER BY l.next_at LIMIT ?5
"""

# Of a line that has something under way the first may be that; what is behind it is looked at.
NEXT = """
SELECT min(at) FROM (
    SELECT (SELECT min(next_at) FROM delivery_lines INDEXED BY delivery_lines_due
        WHERE owner = ?1 AND next_at > ?2) AS at
    UNION ALL
    SELECT (SELECT min(next_at) FROM deliveries INDEXED BY deliveries_in_line
        WHERE state = 'waiting' AND owner = ?1 AND host = busy.value AND next_at > ?2)
    FROM json_each(?3) AS busy)
"""

# Some owners who have something waiting, behind one of them, each with the first time.
OWNERS = """
WITH RECURSIVE owners(owner, n) AS (
    SELECT (SELECT min(owner) FROM delivery_lines WHERE owner > ?1), 1
    UNION ALL
    SELECT (SELECT min(owner) FROM delivery_lines WHERE owner > owners.owner), n + 1
    FROM owners WHERE owners.owner IS NOT NULL AND n < ?2)
SELECT owner, (SELECT min(next_at) FROM delivery_lines INDEXED BY delivery_lines_due
    WHERE owner = owners.owner) FROM owners WHERE owner IS NOT NULL
"""

PAGE_OF_OWNER = f"""
SELECT {_NAMED} FROM deliveries INDEXED BY deliveries_by_owner
WHERE owner = ?1 AND state = ?2 AND (created_at, id) < (?3, ?4)
ORDER BY created_at DESC, id DESC LIMIT ?5
"""


def insert(visits: Visits, rows: Sequence[DeliveryRow]) -> None:
    """Add notices, each to its line, before whatever is asked next."""
    visits.insert(INSERT, [msgspec.structs.astuple(row) for row in rows])
    for owner, host in dict.fromkeys((row.owner, row.host) for row in rows):
        visits.later(LINE_UP, owner, host)


async def write(visits: Visits, items: Sequence[DeliveryItem]) -> list[Any]:
    """Carry items out, in their order, and say what each came to."""
    return [await _write(visits, item) for item in items]


async def _write(visits: Visits, item: DeliveryItem) -> Any:
    match item:
        case Sent(id=id, owner=None):
            return await _moved(visits, SENT, id)
        case Sent(id=id, owner=owner):
            return bool(await _rows(visits, DROPPED, id, owner))
        case Postponed():
            bound = (item.id, item.tries, item.next_at, item.error, item.at)
            return await _moved(visits, POSTPONED, *bound)
        case Revived(id=id, owner=owner, at=at):
            return await _moved(visits, REVIVED, id, owner, at)
        case Forgetting(before=before, limit=limit):
            return len(await _rows(visits, FORGET, before, limit))
        case SecretKept(owner=owner, secret=secret, at=at, fresh=fresh):
            visits.later(KEEP_FIRST if fresh else KEEP_NEXT, owner, secret, at)
            ((row,),) = await visits.ask((SECRET, (owner,)))
            return SecretRow(**dict(row))


async def _moved(visits: Visits, statement: str, *bound: Any) -> bool:
    """Whether there was one; its line is brought up to date."""
    rows = await _rows(visits, statement, *bound)
    for owner, host in rows:
        visits.later(LINE_UP, owner, host)
        visits.later(LINE_DOWN, owner, host)
    return bool(rows)


async def _rows(visits: Visits, statement: str, *bound: Any) -> list[sqlite3.Row]:
    (rows,) = await visits.ask((statement, bound))
    return rows


def _json(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()


class Deliveries:
    """The questions about them."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def due(
        self, owner: str, now: int, *, hosts: Sequence[str], but: Sequence[str], limit: int
    ) -> list[DeliveryRow]:
        """An owner's whose time has come, without these hosts and ids."""
        rows = await self._ask(DUE, owner, now, _json(hosts), _json(but), limit)
        return [DeliveryRow(**dict(row)) for row in rows]

    async def next_at(self, owner: str, now: int, busy: Sequence[str]) -> int | None:
        """When the owner's next one's time comes, after now; `busy` are the hosts at which
        something of the owner's is under way."""
        ((at,),) = await self._ask(NEXT, owner, now, _json(busy))
        return None if at is None else int(at)

    async def owners(self, after: str, limit: int) -> list[tuple[str, int]]:
        """Owners who have something waiting, by their names from behind one on, each with when
        the first of it is due."""
        return [(row[0], row[1]) for row in await self._ask(OWNERS, after, limit)]

    async def has_old(self, before: int) -> bool:
        """Whether one that was given up by then is still here."""
        return bool(await self._ask(HAS_OLD, before))

    async def page(
        self, owner: str, state: str, before: tuple[int, str], limit: int
    ) -> list[DeliveryRow]:
        """An owner's, the newest first, those before a place."""
        rows = await self._ask(PAGE_OF_OWNER, owner, state, *before, limit)
        return [DeliveryRow(**dict(row)) for row in rows]

    async def secret(self, owner: str) -> SecretRow | None:
        """What the owner's notices are signed with."""
        rows = await self._ask(SECRET, owner)
        return SecretRow(**dict(rows[0])) if rows else None
