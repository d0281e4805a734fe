"""Charges that were unknown, learnt later: asked about until their provider tells, or too long.

Owns when it is asked. What is open and when it is due stands beside the ledger, so a restart
forgets nothing, and a look costs what it asks, however much waits. Providers are asked beside
each other: one that hangs keeps only its own waiting. What is learnt changes the ledger, and
is told beside the charge that the task's end told; the state of a task never changes. Starts
nothing at any provider.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import msgspec
from msgspec import UNSET

from safelight_protocol.charges import added, whole
from safelight_protocol.codes import Refused
from safelight_protocol.events import Charge
from safelight_protocol.prices import Price, Terms
from safelight_protocol.task import Asked, Resolved, Task

from .books import charge_in, corrected
from .charging import charge_of
from .log import Log
from .providers.base import Accounting, Provider
from .purse import Purse
from .run import prediction_of
from .store import Correction, Deferral, Entry, Store, StoreTrouble
from .stray import spared
from .telemetry import log as record

EVERY_SECONDS = 10.0
SELDOM_SECONDS = 60.0
"""Between two looks at what is open, and where nobody is to be asked before long. While
nothing is open, nobody looks."""

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 6 * 3600.0
"""The pause after the first time that a provider could not tell; it doubles up to the longest."""

GIVE_UP_SECONDS = 7 * 86_400.0
"""How long after a charge its provider is asked for it."""

ASK_SECONDS = 30.0
"""A provider that does not answer so long is asked nothing more in this round."""

PAGE = 100
"""What one provider is asked in a round at the most."""

TOO_LONG = "its provider could not say what it cost within 7 days; look at its bill"


class Reckoning:
    """`clock` is in milliseconds since 1970, `sleep` the loop's own."""

    def __init__(
        self,
        store: Store,
        providers: Mapping[str, Provider],
        purse: Purse,
        log: Log,
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        ask_seconds: float = ASK_SECONDS,
    ) -> None:
        self._store = store
        self._providers = providers
        self._purse = purse
        self._log = log
        self._clock = clock
        self._sleep = sleep
        self._ask_seconds = ask_seconds
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Look whenever there may be something; runs as a task of the group. A bug in it must
        not end the house."""
        self._purse.on_booked = self._news.set
        while True:
            self._news.clear()
            first: int | None = self._clock()
            try:
                first = await self.look()
            except Refused as trouble:
                record("reckoning.trouble", error=str(trouble))
            except Exception as defect:
                record("reckoning.defect", exc=defect)
            if first is None:
                await self._news.wait()
                first = self._clock()
            until = (first - self._clock()) / 1000
            await self._sleep(min(max(until, EVERY_SECONDS), SELDOM_SECONDS))

    async def look(self) -> int | None:
        """Ask each provider about some of what is due; when more is, or None if nothing is
        open at all. Raises StoreTrouble."""
        ledger = self._store.read.ledger
        now = self._clock()
        waiting = await ledger.open_at()  # not in the group, which would wrap its trouble
        async with anyio.create_task_group() as group:
            for provider, at in waiting.items():
                if at <= now:
                    group.start_soon(self._round, provider, now)
        times = (await ledger.open_at()).values()
        if times or await ledger.has_open():
            return min(times, default=now + round(SELDOM_SECONDS * 1000))
        return None

    async def _round(self, provider: str, now: int) -> None:
        """One provider's; trouble and bugs in it are none of the others'."""
        try:
            for tries, line in await self._store.read.ledger.unsettled(provider, now, PAGE):
                if not await self._settle(tries, line):
                    break
        except Refused as trouble:
            record("reckoning.trouble", error=str(trouble))
        except Exception as defect:
            record("reckoning.defect", exc=defect)

    async def _settle(self, tries: int, line: Entry) -> bool:
        """Whether its provider answers at all. A bug in one charge puts off that one only."""
        charge, answers = await self._ask(line)
        now = self._clock()
        try:
            entry = _learnt(line, charge, now)
            if entry is not None:
                await self._correct(line, entry)
                return answers
        except StoreTrouble:
            raise
        except Exception as defect:
            record("reckoning.defect", exc=defect)
        pause = min(FIRST_SECONDS * 2.0 ** min(tries, 30), LONGEST_SECONDS)
        due_at = now + round(pause * 1000)
        await self._store.put(Deferral(line.uid, line.attempt, tries + 1, due_at))
        return answers

    async def _ask(self, line: Entry) -> tuple[Charge | None, bool]:
        """What the attempt cost, None if that cannot be told now; and whether its provider
        answered in time."""
        provider: object = self._providers.get(line.provider)
        if not isinstance(provider, Accounting):
            return None, True
        charge: Charge | None = None
        with anyio.move_on_after(self._ask_seconds) as limit:
            try:
                task = _task_of(line, (await self._store.read.tasks([line.uid])).get(line.uid))
                account = await spared(provider.account(prediction_of(task, ()), line.handle))
                charge = None if account is None else charge_of(account, task, owed=True)
            except StoreTrouble:
                raise
            except Exception as defect:
                fields = {"uid": line.uid, "attempt": line.attempt, "provider": line.provider}
                record("prediction.defect", **fields, exc=defect)
        known = charge is not None and charge.verdict != "unknown"
        return charge if known else None, not limit.cancelled_caught

    async def _correct(self, line: Entry, entry: Entry) -> None:
        lines = await self._store.read.ledger.of_task(line.uid)
        told = None if entry.verdict == "unknown" else msgspec.json.encode(told_by([*lines, entry]))
        if await self._store.put(Correction(entry, told)):
            self._purse.book((entry,))
            self._log.forget(line.uid)
            fields = {"uid": line.uid, "attempt": line.attempt, "verdict": entry.verdict}
            record("charge.corrected", **fields, amount_micros=line.amount + entry.amount)


def _learnt(line: Entry, charge: Charge | None, now: int) -> Entry | None:
    """What corrects a charge: what its provider tells, or that nobody ever will; None as long
    as it is to be asked again."""
    if charge is not None:
        return corrected(line, charge, now)
    if now - line.at <= GIVE_UP_SECONDS * 1000:
        return None
    given_up = msgspec.structs.replace(charge_in(line), reason=TOO_LONG)
    return msgspec.structs.replace(corrected(line, given_up, now), counts=0)


def told_by(lines: list[Entry]) -> Charge:
    """The charge of a whole task, going by its lines."""
    charges: dict[int, Charge] = {}
    for line in lines:
        if line.entry == "charge":
            charges[line.attempt] = charge_in(line)
        elif line.entry == "correction":
            better, before = charge_in(line), charges[line.attempt]
            same = better.currency == before.currency
            amount = line.amount + (before.amount_micros if same else 0)
            charges[line.attempt] = msgspec.structs.replace(better, amount_micros=amount)
    spent: Charge | None = None
    *earlier, last = sorted(charges.items())
    for attempt, charge in earlier:
        spent = added(spent, charge, attempt)
    return whole(spent, last[1], last[0])


def _task_of(line: Entry, stored: Task | None) -> Task:
    """The attempt that a line is about, as a task; of one that was deleted what is known."""
    price = UNSET if line.price is None else msgspec.json.decode(line.price, type=Price)
    terms = Terms(hold=max(0, line.counts))
    if stored is not None:
        ran = msgspec.structs.replace(stored.ran, price=price, terms=terms)
        return msgspec.structs.replace(
            stored, attempt=line.attempt, handle=line.handle, resolved=ran, via=None
        )
    kind: Any = line.kind
    ran = Resolved(
        requested=line.model,
        model=line.model,
        provider=line.provider,
        backend=line.backend,
        params={},
        seed=0,
        n=1,
        price=price,
        terms=terms,
    )
    return Task(
        uid=line.uid,
        owner=line.owner,
        id=line.id,
        asked=Asked(kind=kind, prompt=""),
        resolved=ran,
        attempt=line.attempt,
        handle=line.handle,
        created_at=line.at,
        updated_at=line.at,
    )
