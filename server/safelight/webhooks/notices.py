"""Which notice a move of a task brings, as a row that is written with it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from safelight_protocol.cursor import Cursor
from safelight_protocol.events import TaskEvent
from safelight_protocol.hooks import notice, notice_id
from safelight_protocol.lifecycle import Step

from ..store import DeliveryRow
from .guarded import host_in


class Notices:
    """`log` is the id of this start's log, `public_url` what makes addresses absolute; `news`
    is called with its owner when a row is on disk."""

    def __init__(
        self, log: str, public_url: str | None, news: Callable[[str], None] = lambda owner: None
    ) -> None:
        self._log = log
        self._public_url = (public_url or "").rstrip("/")
        self.news = news

    def are_brought_by(self, step: Step) -> bool:
        """Whether there is one: its task has a webhook that wants this event."""
        hook, event = step.task.resolved.webhook, step.event
        return hook is not UNSET and event is not None and _kind(event) in hook.events

    def of(self, step: Step, now: int) -> DeliveryRow | None:
        """The row for a move, if it brings one."""
        task, event, hook = step.task, step.event, step.task.resolved.webhook
        if hook is UNSET or event is None or not self.are_brought_by(step):
            return None
        cursor = str(Cursor(self._log, event.seq))
        body = notice(event, cursor, f"{self._public_url}/api/tasks/{task.id}")
        return DeliveryRow(
            id=notice_id(task.uid, event.seq),
            owner=task.owner,
            task_id=task.id,
            seq=event.seq,
            type=f"task.{_kind(event)}",
            url=hook.url,
            host=host_in(hook.url),
            body=body.decode(),
            next_at=now,
            created_at=now,
            updated_at=now,
        )


def _kind(event: TaskEvent) -> str:
    return str(event.__struct_config__.tag)
