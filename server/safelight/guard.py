"""Work for one task, kept from harming any other: a defect in it ends that task.

Everything in the house's one task group that belongs to a task runs in here, since what
is raised there ends the process. Knows neither what the work is nor how a task ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio.abc

from .stray import spared
from .telemetry import log as record

Work = Callable[[], Awaitable[object]]


class Guard:
    """`give_up` ends a task under the reference that `mint` made for the log."""

    def __init__(
        self,
        group: anyio.abc.TaskGroup,
        give_up: Callable[[str, str], Awaitable[None]],
        mint: Callable[[], str],
    ) -> None:
        self._group = group
        self._give_up = give_up
        self._mint = mint

    def start(self, uid: str, name: str, work: Work) -> None:
        """Do it in a task of the group."""
        self._group.start_soon(self.run, uid, name, work, name=f"{name} {uid}")

    async def run(self, uid: str, name: str, work: Work) -> None:
        """Do it; what it raises is logged, and ends the task instead of the process. A task
        whose end cannot be written either is left as it is, for the next start."""
        try:
            await spared(work())
        except Exception as defect:
            reference = self._mint()
            record("task.defect", uid=uid, work=name, reference=reference, exc=defect)
            try:
                await spared(self._give_up(uid, reference))
            except Exception as worse:
                record("task.defect", uid=uid, work="end", reference=reference, exc=worse)
