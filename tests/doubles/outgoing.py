"""A store with a sender of webhooks at it, and a clock that the test moves.

Stands for the server around what is sent. Notices are given by hand, each with a task of its
own. Unrealistic: nobody else writes, and nobody learns of them but by `news`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from safelight.machine import Machine
from safelight.store import DeliveryRow, Store, open_store
from safelight.webhooks import Poster, Secrets, Sender
from safelight_protocol import lifecycle
from safelight_protocol.inputs import CancelAsked
from tests.doubles.lives import fresh
from tests.doubles.writes import change, create


class Hands:
    """A clock that the test moves; who sleeps wakes when it has passed."""

    def __init__(self, share: Callable[[], float] = lambda: 0.0) -> None:
        self.now = 1_800_000_000_000
        self._share = share
        self._moved = asyncio.Event()

    def machine(self) -> Machine:
        """Machine with these hands, and a share that adds nothing unless given."""
        return Machine(clock=lambda: self.now, sleep=self.sleep, share=self._share)

    async def sleep(self, seconds: float) -> None:
        """Until the clock has been moved so far."""
        until = self.now + seconds * 1000
        while self.now < until:
            await self._moved.wait()
            await asyncio.sleep(0)

    def move(self, seconds: float) -> None:
        """Time passes."""
        self.now += round(seconds * 1000)
        self._moved.set()
        self._moved = asyncio.Event()


class Desk:
    """A store with a sender at it."""

    def __init__(self, store: Store, sender: Sender, secrets: Secrets, hands: Hands) -> None:
        self.store = store
        self.secrets = secrets
        self.sender = sender
        self.hands = hands
        self.begin = asyncio.Event()

    async def run(self) -> None:
        """Send, once it may begin."""
        await self.begin.wait()
        await self.sender.run()

    async def give(self, id: str, url: str, host: str = "127.0.0.1", owner: str = "ann") -> None:
        """A notice that is due."""
        await self.slip(id, url, host, owner)
        self.sender.news(owner)

    async def slip(self, id: str, url: str, host: str = "127.0.0.1", owner: str = "ann") -> None:
        """The same, and nobody is told."""
        now = self.hands.now
        row = DeliveryRow(
            id=id,
            owner=owner,
            task_id="t",
            seq=1,
            type="task.completed",
            url=url,
            host=host,
            body="{}",
            next_at=now,
            created_at=now,
            updated_at=now,
        )
        await _insert(self.store, row)

    async def states(self, owner: str = "ann") -> dict[str, tuple[str, int]]:
        """Each notice's state and tries."""
        read = self.store.read.deliveries
        pages = [await read.page(owner, state, (2**62, ""), 100) for state in ("waiting", "dead")]
        return {row.id: (row.state, row.tries) for page in pages for row in page}


async def _insert(store: Store, row: DeliveryRow) -> None:
    """As a move writes it, with its event."""
    task = await create(store, fresh(row.id))
    asked = CancelAsked()
    step = lifecycle.step(task, asked, row.created_at)
    await store.put(msgspec.structs.replace(change(task, step, asked), notice=row))


@asynccontextmanager
async def desk(
    path: Path,
    seconds: float = 5.0,
    poster: type[Poster] = Poster,
    begun: bool = True,
    share: float = 0.0,
) -> AsyncIterator[Desk]:
    """A sender that runs on a store of its own; one that has not `begun` waits for its word."""
    hands = Hands(lambda: share)
    posting = poster(seconds, private=True)
    async with open_store(path, hands.now) as store, posting.open():
        machine = hands.machine()
        secrets = Secrets(store, machine.clock, machine.token)
        sender = Sender(store, posting, secrets, machine)
        place = Desk(store, sender, secrets, hands)
        running = asyncio.create_task(place.run())
        if begun:
            place.begin.set()
        try:
            yield place
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
