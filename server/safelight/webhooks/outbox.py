"""What an owner sees of their webhooks: what waits, what nobody took, and the secret."""

from __future__ import annotations

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import timestamp
from safelight_protocol.fields import invalid
from safelight_protocol.identity import shown

from ..store import DeliveryRow, SecretRow, Sent, Store
from .secrets import OVERLAP_MS, Secrets
from .sending import Sender

NEWEST = (2**62, "")


class DeliveryShown(msgspec.Struct, frozen=True, kw_only=True):
    """One notice. `id` is the `webhook-id` that its receiver sees, `tries` counts those made;
    `next_at` is null of a dead one, which is not tried any more. `error` is why the last try
    failed."""

    id: str
    task_id: str
    seq: int
    type: str
    url: str
    state: str
    tries: int
    next_at: str | None
    error: str | None
    created_at: str


class DeliveryPage(msgspec.Struct, frozen=True):
    """Some notices, the newest first; `next` leads to those before them, null if none is."""

    deliveries: list[DeliveryShown]
    next: str | None


class SecretShown(msgspec.Struct, frozen=True):
    """What notices are signed with. `previous` signs beside it until `previous_until`."""

    secret: str
    previous: str | None
    previous_until: str | None


class Outbox:
    """Reads and moves the notices of one owner at a time."""

    def __init__(self, store: Store, sender: Sender, secrets: Secrets) -> None:
        self._store = store
        self._sender = sender
        self._secrets = secrets

    async def page(self, owner: str, state: str, before: str | None, limit: int) -> DeliveryPage:
        """Those in a state, `waiting` or `dead`. Raises Refused `invalid`, or StoreTrouble."""
        if state not in ("waiting", "dead"):
            raise _wrong("state", state, "waiting or dead")
        place = NEWEST if before is None else _place(before)
        rows = await self._store.read.deliveries.page(owner, state, place, limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        following = None if last is None else f"{last.created_at}.{last.id}"
        return DeliveryPage([_shown(row) for row in rows[:limit]], following)

    async def revive(self, owner: str, id: str) -> None:
        """Try a dead one again, from the start. Raises Refused `not_found`."""
        if not await self._sender.revive(owner, id):
            raise _no_such(id)

    async def delete(self, owner: str, id: str) -> None:
        """Forget a dead one. Raises Refused `not_found`."""
        if not await self._store.put(Sent(id, owner)):
            raise _no_such(id)

    async def secret(self, owner: str) -> SecretShown:
        """The owner's secret, made if there is none."""
        return _secret(await self._secrets.of(owner))

    async def change_secret(self, owner: str) -> SecretShown:
        """Another one; the one before signs beside it for a day."""
        return _secret(await self._secrets.change(owner))


def _shown(row: DeliveryRow) -> DeliveryShown:
    return DeliveryShown(
        id=row.id,
        task_id=row.task_id,
        seq=row.seq,
        type=row.type,
        url=row.url,
        state=row.state,
        tries=row.tries,
        next_at=timestamp(row.next_at) if row.state == "waiting" else None,
        error=row.error,
        created_at=timestamp(row.created_at),
    )


def _secret(row: SecretRow) -> SecretShown:
    until = None if row.previous is None else timestamp(row.made_at + OVERLAP_MS)
    return SecretShown(row.secret, row.previous, until)


def _place(text: str) -> tuple[int, str]:
    at, dot, id = text.partition(".")
    if not dot or not (at.isascii() and at.isdigit()) or len(at) > 15:
        raise _wrong("before", text, "the next of a page before")
    return int(at), id


def _wrong(field: str, found: str, expected: str) -> Refused:
    return invalid([{"field": field, "found": shown(found), "expected": expected}])


def _no_such(id: str) -> Refused:
    return Refused("not_found", f"No dead delivery {shown(id)} is here.")
