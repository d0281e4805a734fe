"""Notices on their way: which is tried when, how often, and when it is given up.

The store has them all; here are only those under way. A host has few of them at a time, and
an owner half: who hangs, under however many names, keeps nobody else waiting. What is
learnt is written whatever the store suffers; what a crash takes is sent again, under the
same id.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial

import anyio
import anyio.abc

from ..insist import insist
from ..machine import Machine
from ..store import DeliveryRow, Postponed, Revived, Sent, Store
from ..telemetry import log as record
from .posting import Poster, Taken
from .secrets import Secrets

AT_ONCE = 64
PER_OWNER = 32
PER_HOST = 4

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
        self._under_way: set[str] = set()
        self._hosts: Counter[str] = Counter()
        self._owners: Counter[str] = Counter()
        self._news = asyncio.Event()
        self.sent = 0
        self.failed = 0
        self.dead = 0

    def news(self) -> None:
        """Something is due, or may be."""
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
                now = self._clock()  # one for both questions: nothing falls between them
                rows = await insist(partial(self._due, now))
                begun = [row for row in rows if self._may_begin(row)]
                for row in begun:
                    group.start_soon(self._send, row)
                if len(begun) == len(rows):
                    await self._pause(now)
                # Else somebody's turn is behind those of a host or an owner that has enough.

    async def revive(self, owner: str, id: str) -> bool:
        """Try a dead one again; whether there was one. Raises StoreTrouble."""
        revived: bool = await self._store.put(Revived(id, owner, self._clock()))
        self.news()
        return revived

    def _may_begin(self, row: DeliveryRow) -> bool:
        """Whether it has a place; then it is under way."""
        if self._hosts[row.host] >= PER_HOST or self._owners[row.owner] >= PER_OWNER:
            return False
        self._under_way.add(row.id)
        self._hosts[row.host] += 1
        self._owners[row.owner] += 1
        return True

    def _leave(self, row: DeliveryRow) -> None:
        self._under_way.discard(row.id)
        for busy, name in ((self._hosts, row.host), (self._owners, row.owner)):
            busy[name] -= 1
            if not busy[name]:
                del busy[name]
        self._news.set()

    async def _due(self, now: int) -> list[DeliveryRow]:
        room = AT_ONCE - len(self._under_way)
        if room <= 0:
            return []
        hosts = [host for host, busy in self._hosts.items() if busy >= PER_HOST]
        owners = [owner for owner, busy in self._owners.items() if busy >= PER_OWNER]
        under_way = sorted(self._under_way)
        return await self._store.read.deliveries.due(
            now, but=under_way, hosts=hosts, owners=owners, limit=room
        )

    async def _pause(self, now: int) -> None:
        """Until there is news, or the time of the next one after now has come."""
        if len(self._under_way) < AT_ONCE:
            at = await insist(partial(self._store.read.deliveries.next_at, now))
            if at is not None:
                return await self._until_news(at)
        await self._news.wait()

    async def _until_news(self, at: int) -> None:
        async with anyio.create_task_group() as group:

            async def wake() -> None:
                await self._sleep(max(0.0, (at - self._clock()) / 1000))
                self._news.set()

            group.start_soon(wake)
            await self._news.wait()
            group.cancel_scope.cancel()

    async def _send(self, row: DeliveryRow) -> None:
        try:
            body = row.body.encode()
            headers = await self._secrets.headers(row.owner, row.id, body)
            verdict = await self._poster.post(row.url, headers, body)
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
            self._leave(row)

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
