"""The database as the campaign found it in the end: what every telling is held against.

Snapshots are folds of the stored log by the protocol's own `fold`, whose meaning is
fixed elsewhere (tests/protocol/vectors/folds.json); everything else is read plainly.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from safelight_protocol.events import decode_event
from safelight_protocol.snapshot import Snapshot, fold, opening
from safelight_protocol.task import Asked, Resolved, Task

from .history import AnyRecord, StoredKey, StoredLog, StoredTask
from .reading import TERMINAL, read_json


class Page:
    """One task of the database: its row, its events by seq, and its folds."""

    def __init__(self, row: StoredTask) -> None:
        self.row = row
        self.bodies: dict[int, dict[str, Any]] = {e.seq: read_json(e.body) for e in row.events}
        self.runs = {e.seq: e.run for e in row.events}
        self._folds: list[dict[str, Any]] | None = None

    @property
    def last(self) -> int:
        """The seq of its last event."""
        return max(self.bodies, default=0)

    @property
    def ended(self) -> bool:
        """Whether its log says how it ended."""
        return self.bodies.get(self.last, {}).get("type") in TERMINAL

    def snapshot(self, seq: int) -> dict[str, Any] | None:
        """What anyone who has read the log up to `seq` knows; None past its end."""
        if self._folds is None:
            self._folds = [_plain(snapshot) for snapshot in self._folded()]
        return self._folds[seq] if 0 <= seq < len(self._folds) else None

    def _folded(self) -> Iterable[Snapshot]:
        row = self.row
        task = Task(
            uid=row.uid,
            owner=row.owner,
            id=row.id,
            asked=msgspec.json.decode(row.asked, type=Asked),
            resolved=msgspec.json.decode(row.resolved, type=Resolved),
            created_at=row.created_at,
            updated_at=row.created_at,
        )
        snapshot = opening(task)
        yield snapshot
        for event in row.events:
            snapshot = fold(snapshot, decode_event(event.body))
            yield snapshot


class Book:
    """Every task of the round, by id and by uid; the keys; the starts of the server."""

    def __init__(self, records: Iterable[AnyRecord]) -> None:
        self.tasks: dict[str, Page] = {}
        self.by_uid: dict[str, Page] = {}
        self.keys: dict[str, str] = {}
        self.logs: dict[str, StoredLog] = {}
        for record in records:
            match record:
                case StoredTask():
                    page = Page(record)
                    self.tasks[record.id] = self.by_uid[record.uid] = page
                case StoredKey():
                    self.keys[record.key] = record.uid
                case StoredLog():
                    self.logs[record.log] = record

    def covers(self, task: str, log: str | None, seq: int) -> bool:
        """Whether a cursor names a place of this very history, so that no gap is due."""
        page = self.tasks.get(task)
        if page is None or seq == 0:
            return page is not None  # before the first event there is nothing to mistake
        run = self.logs[log].run if log in self.logs else 0
        return seq <= page.last and page.runs.get(seq, run + 1) <= run


def _plain(snapshot: Snapshot) -> dict[str, Any]:
    return read_json(msgspec.json.encode(snapshot))
