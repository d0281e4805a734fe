"""The removal of an ended task: its row, its log, its bytes. A tombstone stays.

Asked for by an owner (DELETE) or by retention. Knows nothing of tasks that have not
ended, but that they are refused.
"""

from __future__ import annotations

from safelight_protocol.codes import Refused
from safelight_protocol.task import Task

from .log import Log
from .production import Production
from .store import Fenced, Removal, Store
from .subscriptions import Subscriptions, tasks_of
from .telemetry import log as record


class Remover:
    """Removes tasks from the store, the log's memory and the disk."""

    def __init__(
        self, store: Store, log: Log, subscriptions: Subscriptions, production: Production
    ) -> None:
        self._store = store
        self._log = log
        self._subscriptions = subscriptions
        self._production = production

    async def remove(self, task: Task) -> None:
        """Remove an ended task; its id and keys stay taken.

        Raises Refused `still_running` or `gone`.
        """
        if not task.ended:
            raise Refused("still_running", f"Task {task.id} has not ended; cancel it first.")
        made = await self._store.read.artifacts_of(task.uid)
        since = self._production.mark()
        try:
            unused = await self._store.put(Removal(task))
        except Fenced:
            raise Refused("gone", f"Task {task.id} was deleted or has expired.") from None
        self._log.forget(task.uid)
        self._subscriptions.wake(task.uid)
        await self._production.remove(unused, made, since)
        record("task.deleted", uid=task.uid, id=task.id, owner=task.owner)
        self._subscriptions.wake(tasks_of(task.owner))

    async def expire(self, task: Task) -> None:
        """Remove a task that was kept long enough. One that is gone is fine."""
        try:
            await self.remove(task)
        except Refused as refused:
            if refused.code.name != "gone":
                raise
