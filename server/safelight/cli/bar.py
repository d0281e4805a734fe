"""How a task's progress is shown: a bar that moves on a terminal, else plain lines.

Owns the drawing and nothing of what is drawn. A bar is redrawn in its place and wiped
before anything else is written; plain lines are written when the status changes, when
something else is said, and at every tenth of the way, so that a log of them stays short.
"""

from __future__ import annotations

import re
from typing import TextIO

from safelight_protocol.snapshot import Snapshot

from .world import columns, one_line

WIDTH = 24
WIPE = "\r\x1b[K"

_COUNTS = re.compile(r"[0-9]+")
"""What changes without anything else being said: places in a queue, seconds."""


class Bar:
    """Shows snapshots of one task on a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._moves = stream.isatty()
        self._drawn = False
        self._last: tuple[str, int, int, str] | None = None
        self._snapshot: Snapshot | None = None
        self._lost = False

    def show(self, snapshot: Snapshot) -> None:
        """Show where the task stands now."""
        self._snapshot = snapshot
        if self._moves:
            self._draw()
        else:
            self._write_line(snapshot)

    def line(self, up: bool) -> None:
        """The connection is there, or is lost and being made again."""
        if self._lost is (not up):
            return
        self._lost = not up
        if self._moves:
            self._draw()
        else:
            print("connected" if up else "connection lost; trying again", file=self._stream)

    def wipe(self) -> None:
        """Make room for something else to be written."""
        if self._drawn:
            self._stream.write(WIPE)
            self._stream.flush()
            self._drawn = False

    def _draw(self) -> None:
        if self._snapshot is None:
            return
        words = words_of(self._snapshot)
        if self._lost:
            words = "connection lost; trying again"
        text = f"{drawing(self._snapshot.progress, self._stream.encoding)} {words}"
        self._stream.write(WIPE + one_line(text, columns(self._stream) - 1))
        self._stream.flush()
        self._drawn = True

    def _write_line(self, snapshot: Snapshot) -> None:
        said = _COUNTS.sub("", said_of(snapshot))
        state = (snapshot.status, snapshot.attempt, int(snapshot.progress * 10), said)
        if state != self._last:
            self._last = state
            print(one_line(words_of(snapshot), 200), file=self._stream, flush=True)


def drawing(progress: float, encoding: str | None) -> str:
    """The bar itself: blocks where they can be written, else plain characters."""
    full, empty = "█░" if (encoding or "").lower().startswith("utf") else "#-"
    filled = round(min(max(progress, 0.0), 1.0) * WIDTH)
    return full * filled + empty * (WIDTH - filled)


def words_of(snapshot: Snapshot) -> str:
    """Status, percentage and whatever else is known, in one line."""
    parts = [f"{snapshot.progress:4.0%}", _status(snapshot)]
    if snapshot.status == "processing" and snapshot.step is not None:
        of = "" if snapshot.steps is None else f" of {snapshot.steps}"
        parts.append(f"step {snapshot.step}{of}")
    if snapshot.attempt > 1:
        parts.append(f"attempt {snapshot.attempt}")
    said = said_of(snapshot)
    return "  ".join([*parts, said] if said else parts)


def said_of(snapshot: Snapshot) -> str:
    """Why it waits, or what its provider says of it; nothing where nobody says anything."""
    match snapshot.status:
        case "processing":
            return snapshot.message or ""
        case "queued":
            return snapshot.reason or ""
    return ""


def _status(snapshot: Snapshot) -> str:
    if snapshot.status == "queued" and snapshot.retry_at is not None:
        return "waiting to try again"
    return (
        "canceling" if snapshot.status == "processing" and snapshot.canceling else snapshot.status
    )
