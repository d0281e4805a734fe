"""Which queued task runs next, and which one has waited or run for too long.

Pure bookkeeping over uids; the orchestrator asks it and does the claiming. Times
are milliseconds since 1970. First come, first served within a provider; a task
that waits for a retry joins the end of the line when its time has come, so that
new tasks never keep it waiting for ever. Every task has an instant at which it is
overdue, whatever it does then; one heap of them serves for all.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Mapping

FEW = 64
"""Entries of those who left that may stand in a queue before it is put in order."""


class _Waiting:
    """One stay in the queue. Its entry is left where it stands when the task leaves,
    and is passed over, or cleared away with others: it counts only while `_queued` holds
    this very object."""

    __slots__ = ("not_before", "provider", "ready", "uid")

    def __init__(self, uid: str, provider: str, not_before: int) -> None:
        self.uid = uid
        self.provider = provider
        self.not_before = not_before
        self.ready = not_before <= 0


class Dispatcher:
    """Places by provider; a provider that is not in `places` has `default` of them."""

    def __init__(self, places: Mapping[str, int], default: int = 4) -> None:
        self._places = dict(places)
        self._default = default
        self._lines: dict[str, deque[_Waiting]] = {}
        self._later: list[tuple[int, int, _Waiting]] = []
        self._queued: dict[str, _Waiting] = {}
        self._running: dict[str, str] = {}
        self._ready: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._order = 0
        self._limits: dict[str, int] = {}
        self._alarms: list[tuple[int, str]] = []
        self._closed = False

    def close(self) -> None:
        """Nothing is taken any more; what waits is for the next start."""
        self._closed = True

    def watch(self, uid: str, limit: int) -> None:
        """Until it is removed the task is told as overdue, once, from `limit` on."""
        self._limits[uid] = limit
        heapq.heappush(self._alarms, (limit, uid))

    def overdue(self, now: int) -> list[str]:
        """The tasks whose time is up; each is told once, and is not taken any more."""
        up = []
        while self._alarms and self._alarms[0][0] <= now:
            limit, uid = heapq.heappop(self._alarms)
            if self._limits.get(uid) == limit:
                del self._limits[uid]
                self._unqueue(uid)
                up.append(uid)
        return up

    def enqueue(self, uid: str, provider: str, not_before: int = 0) -> None:
        """Add a task, or add it again after its attempt has ended. 0 means at once."""
        self._leave(uid)
        waiting = self._queued[uid] = _Waiting(uid, provider, not_before)
        if waiting.ready:
            self._line_up(waiting)
        else:
            self._order += 1
            heapq.heappush(self._later, (not_before, self._order, waiting))

    def remove(self, uid: str) -> None:
        """The task has ended: it waits no more and gives its place back."""
        self._leave(uid)
        if self._limits.pop(uid, None) is not None and len(self._alarms) > 2 * len(self._limits):
            self._alarms = [(limit, uid) for uid, limit in self._limits.items()]
            heapq.heapify(self._alarms)

    def _leave(self, uid: str) -> None:
        self._unqueue(uid)
        provider = self._running.pop(uid, None)
        if provider is not None:
            self._busy[provider] -= 1

    def _unqueue(self, uid: str) -> None:
        waiting = self._queued.pop(uid, None)
        if waiting is not None and waiting.ready:
            self._ready[waiting.provider] -= 1
            self._clear_line(waiting.provider)
        elif waiting is not None:
            self._clear_later()

    def _clear_line(self, provider: str) -> None:
        """However long a provider is busy, those who left do not pile up."""
        line = self._lines[provider]
        if len(line) > 2 * self._ready[provider] + FEW:
            standing = [one for one in line if self._stands(one)]
            line.clear()  # the same line, which `take` may be going along
            line.extend(standing)

    def _clear_later(self) -> None:
        if len(self._later) > 2 * len(self._queued) + FEW:
            self._later = [entry for entry in self._later if self._stands(entry[2])]
            heapq.heapify(self._later)

    def occupy(self, uid: str, provider: str) -> None:
        """Count a task as running, taken here or (after a restart) not."""
        self._leave(uid)
        self._running[uid] = provider
        self._busy[provider] += 1

    def take(self, now: int) -> list[str]:
        """The tasks to claim now; each is counted as running from here on."""
        while self._later and self._later[0][0] <= now:
            self._come_of_age(heapq.heappop(self._later)[2])
        taken = []
        for provider, line in self._lines.items():
            while line and self._has_place(provider):
                waiting = line.popleft()
                if self._stands(waiting):
                    self.occupy(waiting.uid, provider)
                    taken.append(waiting.uid)
        return taken

    def due(self) -> int | None:
        """When the next task's time comes: 0 if one could be taken at once, None if
        nothing will change by itself."""
        if any(line and self._has_place(provider) for provider, line in self._lines.items()):
            return 0
        return min((times[0][0] for times in (self._later, self._alarms) if times), default=None)

    def places(self, provider: str) -> int:
        """How many tasks of a provider may run at once."""
        return self._places.get(provider, self._default)

    def reason(self, provider: str) -> str:
        """Why a task that is added now would wait, as a plain sentence."""
        busy, places = self._busy[provider], self.places(provider)
        ahead = self._ready[provider]
        if busy + ahead < places:
            return f"{provider} has a free place"
        waiting = f", {ahead} waiting ahead" if ahead else ""
        return f"{provider} is busy ({busy} of {places} places{waiting})"

    def position(self, uid: str) -> int | None:
        """How many tasks of the same provider stand before it, or None if it does not wait.

        Before one that waits for a retry stand all that are ready, and the retries that
        come earlier."""
        waiting = self._queued.get(uid)
        if waiting is None:
            return None
        line = [*self._lines.get(waiting.provider, ()), *(one[2] for one in sorted(self._later))]
        own = [one for one in line if one.provider == waiting.provider and self._stands(one)]
        return own.index(waiting)

    def statistics(self) -> dict[str, int]:
        """Tasks that wait and tasks that run."""
        return {"waiting": len(self._queued), "running": len(self._running)}

    def _come_of_age(self, waiting: _Waiting) -> None:
        if self._stands(waiting):
            waiting.ready = True
            self._line_up(waiting)

    def _line_up(self, waiting: _Waiting) -> None:
        self._ready[waiting.provider] += 1
        self._lines.setdefault(waiting.provider, deque()).append(waiting)

    def _stands(self, waiting: _Waiting) -> bool:
        return self._queued.get(waiting.uid) is waiting

    def _has_place(self, provider: str) -> bool:
        return not self._closed and self._busy[provider] < self.places(provider)
