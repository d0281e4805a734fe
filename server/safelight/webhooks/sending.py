"""Notices on their way: which is tried when, how often, and when it is given up.

The store has them all; here are only those under way, and whose turn it is. What a turn
costs goes by what is begun in it, not by what waits. What is learnt is written whatever the
store suffers; what a crash takes is sent again, under the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import anyio
import anyio.abc

from ..insist import insist
from ..machine import Machine
from ..store import DeliveryRow, Postponed, Revived, Sent, Store
from ..telemetry import log as record
from .places import Places
from .posting import Poster, Taken
from .secrets import Secrets
from .turns import Turns

PER_TURN = 4
"""Tries that an owner begins in one turn."""

OWNERS_AT_ONCE = 100
KNOW_EVERY_MS = 60_000
"""Between two looks for owners of whom nobody has told: a safeguard, and the first at a start."""

PAUSES_SECONDS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Before the second try, the third and so on: somewhat more than three days in all."""

JITTER = 0.1
"""The share of a pause that is drawn on top of it."""


class Sender:
    """Sends what is due, as long as `run` runs; `news` says that there may be more."""

    def __init__(
        self,
        store: Store,
        poster: Poster,
        secrets: Secrets,
        machine: Machine,
        pauses: Sequence[float] = PAUSES_SECONDS,
    ) -> None:
        self._store = store
        self._poster = poster
        self._secrets = secrets
        self._clock = machine.clock
        self._sleep = machine.sleep
        self._share = machine.share
        self._pauses = pauses
        self._places = Places()
        self._turns = Turns(self._places)
        self._known = ""
        self._know_at = 0
        self._news = asyncio.Event()
        self.sent = 0
        self.failed = 0
        self.dead = 0

    def news(self, owner: str) -> None:
        """Something of an owner's is due, or may be."""
        self._turns.come(owner, self._clock())
        self._news.set()

    def statistics(self) -> dict[str, int]:
        """Notices that were taken, tries that failed, and notices that were given up."""
        return {
            "webhooks_sent": self.sent,
            "webhooks_failed": self.failed,
            "webhooks_dead": self.dead,
        }

    async def run(self) -> None:
        """Send for ever."""
        async with anyio.create_task_group() as group:
            while True:
                self._news.clear()
                has_more = await self._know()
                while (turn := self._turns.next(self._clock())) is not None:
                    await self._serve(group, *turn)
                if not has_more:
                    await self._pause()

    async def revive(self, owner: str, id: str) -> bool:
        """Try a dead one again; whether there was one. Raises StoreTrouble."""
        revived: bool = await self._store.put(Revived(id, owner, self._clock()))
        self.news(owner)
        return revived

    async def _know(self) -> bool:
        """Learn of owners with something waiting whom nobody has named, some at a time: all of
        them at a start. Whether there are more."""
        now = self._clock()
        if 0 < self._know_at - now <= KNOW_EVERY_MS:  # farther off: the clock was set back
            return False
        page = await insist(lambda: self._store.read.deliveries.owners(self._known, OWNERS_AT_ONCE))
        for owner, at in page:
            self._turns.later(owner, at)
        has_more = len(page) == OWNERS_AT_ONCE
        self._known = page[-1][0] if has_more else ""
        self._know_at = self._know_at if has_more else now + KNOW_EVERY_MS
        return has_more

    async def _serve(self, group: anyio.abc.TaskGroup, owner: str, slow: bool) -> None:
        """An owner's turn: begin some of what is due. Who has more stands in line again, who
        has not comes when the next is due, or when one of those under way is over."""
        now, places = self._clock(), self._places  # one for both questions: nothing falls between
        limit = min(PER_TURN, places.room(owner, slow=slow))
        rows = await self._due(owner, now, limit)
        for row in rows:
            if places.take(row, slow=slow):
                group.start_soon(self._send, row)
        if len(rows) == limit:
            self._turns.come(owner, now)
            return
        busy = places.busy(owner)
        at = await insist(lambda: self._store.read.deliveries.next_at(owner, now, busy))
        if at is not None:
            self._turns.later(owner, at)

    async def _due(self, owner: str, now: int, limit: int) -> list[DeliveryRow]:
        """What the owner may begin, first at hosts where nothing is under way and none was slow
        of late: else those that hang, whose rows wait longest, had every place that is free."""
        places, due = self._places, self._store.read.deliveries.due
        full, but, behind = places.full(owner), places.under_way(owner), places.behind(owner, now)
        rows = await insist(lambda: due(owner, now, hosts=behind, but=but, limit=limit))
        if not behind or len(rows) == limit:
            return rows
        seen, left = [*but, *(row.id for row in rows)], limit - len(rows)
        more = await insist(lambda: due(owner, now, hosts=full, but=seen, limit=left))
        return [*rows, *more]

    async def _pause(self) -> None:
        """Until there is news, or it is time to look again."""
        first = self._turns.first()
        await self._until_news(self._know_at if first is None else min(first, self._know_at))

    async def _until_news(self, at: int) -> None:
        async with anyio.create_task_group() as group:

            async def wake() -> None:
                await self._sleep(max(0.0, (at - self._clock()) / 1000))
                self._news.set()

            group.start_soon(wake)
            await self._news.wait()
            group.cancel_scope.cancel()

    async def _send(self, row: DeliveryRow) -> None:
        began = over = 0
        try:
            body = row.body.encode()
            headers = await self._secrets.headers(row.owner, row.id, body)
            began = self._clock()
            verdict = await self._poster.post(row.url, headers, body)
            over = self._clock()
            if isinstance(verdict, Taken):
                record("webhook.sent", id=row.id, owner=row.owner, tries=row.tries + 1)
                await insist(lambda: self._store.put(Sent(row.id)))
                self.sent += 1
            else:
                await self._postpone(row, verdict.error, verdict.after_seconds, verdict.final)
        except Exception as defect:  # of one notice: the others are still sent
            record("webhook.defect", id=row.id, owner=row.owner, exc=defect)
            await self._postpone(row, "a bug of this server, which is in its log", 0.0, False)
        finally:
            self._places.leave(row, began, over)
            self.news(row.owner)

    async def _postpone(self, row: DeliveryRow, error: str, after: float, final: bool) -> None:
        now, tries = self._clock(), row.tries + 1
        again = None
        if not final and row.tries < len(self._pauses):
            pause = max(self._pauses[row.tries] * (1 + JITTER * self._share()), after)
            again = now + round(pause * 1000)
        named = {"id": row.id, "owner": row.owner, "tries": tries, "error": error}
        record("webhook.dead" if again is None else "webhook.failed", **named)
        await insist(lambda: self._store.put(Postponed(row.id, tries, again, error, now)))
        self.failed += 1
        self.dead += again is None
