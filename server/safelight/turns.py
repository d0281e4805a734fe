"""Whose turn it is: the loop that claims ready tasks and ends those that are overdue.

Asks the dispatcher whom to take, and patience for how long; each claim is a move like any
other. A task that went over to an equal host while it waited is told so in its claim.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import msgspec

from safelight_protocol.inputs import Claimed
from safelight_protocol.task import Resolved, Task

from .attempts import Attempts
from .backends import Directory
from .care import Live
from .dispatch import Dispatcher, backend_of, host_for
from .endings import Overdue
from .guard import Guard
from .insist import insist
from .moves import Moves
from .patience import Patience
from .runner import Runner
from .telemetry import log as record


class Turns:
    """`known` is a live task as it is now, None if it has ended."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        patience: Patience,
        backends: Directory,
        guard: Guard,
        moves: Moves,
        runner: Runner,
        attempts: Attempts,
        live: dict[str, Live],
        known: Callable[[str], Awaitable[Task | None]],
        clock: Callable[[], int],
    ) -> None:
        self._dispatcher = dispatcher
        self._patience = patience
        self._backends = backends
        self._guard = guard
        self._moves = moves
        self._runner = runner
        self._attempts = attempts
        self._live = live
        self._known = known
        self._clock = clock
        self._recalled: set[str] = set()
        self._ready = asyncio.Event()
        patience.wake = self.wake

    def wake(self) -> None:
        """Somebody may be taken, or be overdue, who was not before."""
        self._ready.set()

    def statistics(self) -> dict[str, int]:
        """Those of the dispatcher and of patience."""
        return self._dispatcher.statistics() | self._patience.statistics()

    def enqueue(self, task: Task) -> None:
        """It waits for its next attempt."""
        after, host = task.not_before or 0, host_for(task.ran)
        whose = {"owner": task.owner, "model": task.ran.model}
        self._dispatcher.enqueue(task.uid, host, after, **whose, told_at=task.updated_at)
        self.wake()

    def send_home(self, task: Task) -> None:
        """It waits for a host that is no more: its next attempt is where its first was."""
        self.enqueue(msgspec.structs.replace(task, via=None))
        self._patience.send(task.uid, task.resolved)

    def release(self, uid: str) -> None:
        """It has ended, and gives its place back."""
        self._dispatcher.remove(uid)
        self._patience.forget(uid)
        self.wake()

    async def run(self) -> None:
        """For ever."""
        while True:
            self.round(self._clock())
            with anyio.move_on_after(self.pause()):
                await self._ready.wait()
            self._ready.clear()

    def round(self, now: int) -> None:
        """Begin whatever is to be done by now."""
        for uid in self._dispatcher.overdue(now):
            self._guard.start(uid, "expire", partial(self._expire, uid))
        self._patience.refresh(now)
        self._dispatcher.ripen(now)  # who comes of age may have to go elsewhere
        self._patience.detour(self._resolved)
        for uid in self._dispatcher.take(now):
            self._take(uid, now)

    def pause(self) -> float | None:
        """Seconds until there is more to do, if nobody wakes it before; None for ever."""
        dues = (self._dispatcher.due(), self._patience.due())
        due = min((one for one in dues if one is not None), default=None)
        return None if due is None else max(0.0, (due - self._clock()) / 1000)

    def _take(self, uid: str, now: int) -> None:
        host, over = self._dispatcher.host(uid), self._patience.gone_over(uid)
        limit = self._patience.limit_ms((host, self._dispatcher.model(uid)))
        claimed = Claimed(now + limit, self._backends.url(backend_of(host)), over)
        self._guard.start(uid, "claim", partial(self._claim, uid, claimed))

    async def _claim(self, uid: str, claimed: Claimed) -> None:
        await insist(lambda: self._moves.move(uid, claimed))

    def _resolved(self, uid: str) -> Resolved | None:
        """What a waiting task may run as elsewhere; None for one whose owner said where. One
        that has not been read since the start is read first, and asked about then."""
        live = self._live.get(uid)
        if live is None:
            return None
        if not live.known:
            if uid not in self._recalled:
                self._recalled.add(uid)
                self._guard.start(uid, "recall", partial(self._recall, uid))
            return None
        return live.task.resolved if live.task.asked.backend is None else None

    async def _recall(self, uid: str) -> None:
        try:
            if await self._known(uid) is not None:
                self.wake()
        finally:
            self._recalled.discard(uid)

    async def _expire(self, uid: str) -> None:
        """End a task that is overdue, and only then leave whatever still runs for it."""
        task = await self._known(uid)
        if task is None:
            return
        record("task.overdue", uid=uid)
        overdue = Overdue(self._attempts.billed(task))
        await insist(lambda: self._moves.move(uid, overdue))
        self._runner.abandon(uid)
