"""What the health of backends means for tasks that wait for one of them.

A host whose backend is down is held: nothing of it is claimed, so that no attempt is
burnt on it, and who waits is told why, at most once in a while. How long a task may wait
so is bounded by its own time. Decides nothing of health: the directory does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.abc

from .backends import Directory
from .dispatch import Dispatcher, host_of
from .orchestrator import Orchestrator

AT_ONCE = 64
"""Tasks that are told together: their commits share transactions, and nobody waits for many."""

TELL_SECONDS = 5.0
"""A task is told at most once in this time why it waits."""


class Waits:
    """Holds and releases the hosts of `backends`."""

    def __init__(
        self,
        backends: Directory,
        dispatcher: Dispatcher,
        orchestrator: Orchestrator,
        group: anyio.abc.TaskGroup,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._backends = backends
        self._dispatcher = dispatcher
        self._orchestrator = orchestrator
        self._group = group
        self._sleep = sleep
        self._reasons: dict[str, str | None] = {}
        self._untold: set[str] = set()
        self._telling: set[str] = set()

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
            for start in range(0, len(waiting), AT_ONCE):
                async with anyio.create_task_group() as group:
                    for uid, reason in waiting[start : start + AT_ONCE]:
                        told = partial(self._orchestrator.tell_waiting, uid, reason)
                        group.start_soon(self._orchestrator.guarded, uid, "wait", told)
            if waiting:
                await self._sleep(TELL_SECONDS)
        self._telling.discard(host)
