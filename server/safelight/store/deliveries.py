"""Webhooks to be sent: their rows, the items that move them, and the questions.

Rows of a move are written in its transaction (see batch.py). Which comes next and when is
decided above; nothing here knows how anything is sent.
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


DeliveryItem = Sent | Postponed | Revived | SecretKept

_COLUMNS = DeliveryRow.__struct_fields__
_NAMED = ", ".join(_COLUMNS)

INSERT = f"INSERT INTO deliveries ({_NAMED}) VALUES"

SENT = "DELETE FROM deliveries WHERE id = ?1 RETURNING id"
DROPPED = "DELETE FROM deliveries WHERE id = ?1 AND owner = ?2 AND state = 'dead' RETURNING id"

POSTPONED = """
UPDATE deliveries SET tries = ?2, next_at = coalesce(?3, next_at), error = ?4, updated_at = ?5,
    state = CASE WHEN ?3 IS NULL THEN 'dead' ELSE 'waiting' END
WHERE id = ?1 RETURNING id
"""

REVIVED = """
UPDATE deliveries SET state = 'waiting', tries = 0, next_at = ?3, updated_at = ?3
WHERE id = ?1 AND owner = ?2 AND state = 'dead' RETURNING id
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

DUE = f"""
SELECT {_NAMED} FROM deliveries INDEXED BY deliveries_due
WHERE state = 'waiting' AND next_at <= ?1
  AND id NOT IN (SELECT value FROM json_each(?2))
  AND host NOT IN (SELECT value FROM json_each(?3))
  AND owner NOT IN (SELECT value FROM json_each(?4))
ORDER BY next_at LIMIT ?5
"""

NEXT = """
SELECT min(next_at) FROM deliveries INDEXED BY deliveries_due
WHERE state = 'waiting' AND next_at > ?1
"""

PAGE_OF_OWNER = f"""
SELECT {_NAMED} FROM deliveries INDEXED BY deliveries_by_owner
WHERE owner = ?1 AND state = ?2 AND (created_at, id) < (?3, ?4)
ORDER BY created_at DESC, id DESC LIMIT ?5
"""


def row_of(row: DeliveryRow) -> tuple[Any, ...]:
    """The values of INSERT."""
    return msgspec.structs.astuple(row)


async def write(visits: Visits, items: Sequence[DeliveryItem]) -> list[Any]:
    """Carry items out, in their order, and say what each came to."""
    return [await _write(visits, item) for item in items]


async def _write(visits: Visits, item: DeliveryItem) -> Any:
    match item:
        case Sent(id=id, owner=None):
            return await _found(visits, SENT, id)
        case Sent(id=id, owner=owner):
            return await _found(visits, DROPPED, id, owner)
        case Postponed():
            bound = (item.id, item.tries, item.next_at, item.error, item.at)
            return await _found(visits, POSTPONED, *bound)
        case Revived(id=id, owner=owner, at=at):
            return await _found(visits, REVIVED, id, owner, at)
        case SecretKept(owner=owner, secret=secret, at=at, fresh=fresh):
            visits.later(KEEP_FIRST if fresh else KEEP_NEXT, owner, secret, at)
            ((row,),) = await visits.ask((SECRET, (owner,)))
            return SecretRow(**dict(row))


async def _found(visits: Visits, statement: str, *bound: Any) -> bool:
    (rows,) = await visits.ask((statement, bound))
    return bool(rows)


class Deliveries:
    """The questions about them."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def due(
        self,
        now: int,
        *,
        but: Sequence[str],
        hosts: Sequence[str],
        owners: Sequence[str],
        limit: int,
    ) -> list[DeliveryRow]:
        """Those whose time has come, without these ids, hosts and owners, the oldest time
        first."""
        named = [msgspec.json.encode(names).decode() for names in (but, hosts, owners)]
        rows = await self._ask(DUE, now, *named, limit)
        return [DeliveryRow(**dict(row)) for row in rows]

    async def next_at(self, now: int) -> int | None:
        """When the next one's time comes, after now."""
        ((at,),) = await self._ask(NEXT, now)
        return None if at is None else int(at)

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
