"""Who waits is told why, and until when: what `queued` events say after the first one.

A host whose backend is down is held: nothing of it is claimed, so that no attempt is burnt on
it. Who waits there is told that at once. All others are told in rounds, when there is
something new to say: another reason, or a range of another bucket. Nobody is told more than
once in five seconds. Of long lines a round looks at those in front and at one stretch of the
rest, so that it costs as much for a hundred thousand as for a thousand. Whoever has not been
read since the start is not told: nobody asks for it, and it costs two reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import anyio.abc
import anyio.lowlevel

from .backends import Directory
from .dispatch import Dispatcher, Waiting, host_of
from .orchestrator import Orchestrator
from .patience import Outlook, Patience, is_news

AT_ONCE = 64
"""Tasks that are told together: their commits share transactions, and nobody waits for many."""

TELL_SECONDS = 5.0
"""A task is told at most once in this time why it waits."""

FRONT, STRETCH = 64, 256
"""How many of each line a round looks at: from its head, and of the rest."""

MOST = 1024
"""Tasks of a host after which a round ends; the next one goes on with the next line."""


class Waits:
    """Holds and releases the hosts of `backends`; tells who waits anywhere."""

    def __init__(
        self,
        backends: Directory,
        dispatcher: Dispatcher,
        patience: Patience,
        orchestrator: Orchestrator,
        group: anyio.abc.TaskGroup,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], int],
    ) -> None:
        self._backends = backends
        self._dispatcher = dispatcher
        self._patience = patience
        self._orchestrator = orchestrator
        self._group = group
        self._sleep = sleep
        self._clock = clock
        self._reasons: dict[str, str | None] = {}
        self._untold: set[str] = set()
        self._telling: set[str] = set()
        self._reached: dict[str, tuple[int, int]] = {}

    def begin(self) -> None:
        """Hold them all, until each has said how it is."""
        for backend in self._backends:
            host = host_of(backend.type, backend.name)
            self._reasons[host] = self._backends.reason(backend.name)
            self._orchestrator.hold(host, self._reasons[host])

    def news(self, name: str) -> None:
        """There may be something new of a backend."""
        host = host_of(self._backends.backend(name).type, name)
        reason = self._backends.reason(name)
        if reason == self._reasons.get(host):
            return
        self._reasons[host] = reason
        self._orchestrator.hold(host, reason)
        self._untold.add(host)
        if host not in self._telling:
            self._telling.add(host)
            self._group.start_soon(self._tell, host)

    async def _tell(self, host: str) -> None:
        """Tell who waits at a host, again while there is something new."""
        while host in self._untold:
            self._untold.discard(host)
            waiting = self._dispatcher.reasons(host)
            await self._tell_all([(uid, Outlook(reason, None)) for uid, reason in waiting])
            if waiting:
                await self._sleep(TELL_SECONDS)
        self._telling.discard(host)

    async def _tell_all(self, outlooks: list[tuple[str, Outlook]]) -> None:
        for start in range(0, len(outlooks), AT_ONCE):
            async with anyio.create_task_group() as group:
                for uid, outlook in outlooks[start : start + AT_ONCE]:
                    work = partial(self._orchestrator.tell_waiting, uid, *outlook)
                    group.start_soon(self._orchestrator.guarded, uid, "wait", work)

    async def run(self) -> None:
        """Rounds, for ever."""
        while True:
            await self._sleep(TELL_SECONDS)
            for host in self._dispatcher.hosts():
                if host not in self._telling:
                    await self.round(host)

    async def round(self, host: str) -> None:
        """Tell those of a host who have something new to hear."""
        now = self._clock()
        found: list[tuple[str, Outlook]] = []
        for number, waiting in enumerate(self._looked_at(host)):
            if number % AT_ONCE == AT_ONCE - 1:
                await anyio.lowlevel.checkpoint()  # others have their turn meanwhile
            stands = self._dispatcher.waiting(waiting.uid) is waiting
            if not stands or 0 <= now - waiting.told_at < TELL_SECONDS * 1000:
                continue
            told = self._orchestrator.told_to(waiting.uid)
            if told is None:
                continue
            outlook = self._patience.outlook(waiting, now)
            if is_news(outlook, told.reason, told.eta):
                waiting.told_at = now
                found.append((waiting.uid, outlook))
        await self._tell_all(found)

    def _looked_at(self, host: str) -> list[Waiting]:
        """The front of the next lines, and the next stretch of what is behind."""
        number, behind = self._reached.get(host, (0, 0))
        found: list[Waiting] = []
        for line in self._dispatcher.lines(host, number, number + MOST):
            found += line.stretch(0, FRONT)
            found += line.stretch(FRONT + behind, STRETCH)
            number += 1
            if len(found) >= MOST:
                break
        else:
            number, behind = 0, behind + STRETCH
        longest = max(map(len, self._dispatcher.lines(host)), default=0)
        self._reached[host] = (number, behind if FRONT + behind < longest else 0)
        return found
