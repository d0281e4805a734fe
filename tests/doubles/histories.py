"""A task at a server without a store: its log, the snapshots on the way, and older copies.

Steps are those of the real lifecycle, entries those of the real log. Unrealistic: a
restored copy keeps what was taken back among `ever`, as no database would.
"""

from __future__ import annotations

import msgspec

from safelight.log import Entry
from safelight_protocol import lifecycle
from safelight_protocol.events import encode_event
from safelight_protocol.snapshot import Snapshot, fold, opening
from safelight_protocol.task import Task
from tests.doubles.lives import fresh


class History:
    """One task at the server: its log, and the snapshot after each of its events."""

    def __init__(self, name: str) -> None:
        self.task: Task = msgspec.structs.replace(fresh(), id=name)
        self.entries: list[Entry] = []
        self.prefixes = [opening(self.task)]
        self.tasks = [self.task]
        self.ever: set[bytes] = set()
        self.take(lifecycle.born(self.task, "busy"), run=1)

    @property
    def end(self) -> Snapshot:
        """The snapshot of now."""
        return self.prefixes[-1]

    def take(self, step: lifecycle.Step, run: int) -> None:
        """One step more; a silent one leaves no event."""
        self.task = step.task
        if step.event is not None:
            body = encode_event(step.event)
            self.entries.append(Entry(step.event.seq, run, body))
            self.prefixes.append(fold(self.end, step.event))
            self.tasks.append(step.task)
            self.ever.add(msgspec.json.encode(self.end))

    def restore(self, seq: int) -> None:
        """The database is an older copy: what came after `seq` has not happened."""
        del self.entries[seq:], self.prefixes[seq + 1 :], self.tasks[seq + 1 :]
        self.task = self.tasks[-1]
