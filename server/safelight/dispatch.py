"""Which queued task runs next, and which one has waited or run for too long.

Pure bookkeeping over uids; the orchestrator asks it and does the claiming. Times
are milliseconds since 1970. What has places is a host: a provider, or one backend of
it. First come, first served at each; a task that waits for a retry joins the end of the
line when its time has come, so that new tasks never keep it waiting for ever. A host that
is held takes nobody, and says why. Every task has an instant at which it is overdue,
whatever it does then; one heap of them serves for all.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Mapping

import msgspec

from safelight_protocol.task import Resolved

FEW = 64
"""Entries of those who left that may stand in a queue before it is put in order."""


def host_of(provider: str, backend: str | None) -> str:
    """What has the places for a task: its backend, or its provider where there is none."""
    return provider if backend is None else f"{provider}/{backend}"


def host_for(resolved: Resolved) -> str:
    """The same of what a request was taken to mean."""
    return host_of(resolved.provider, resolved.backend)


def backend_of(host: str) -> str | None:
    """The backend that a host is; None for a provider."""
    return host.partition("/")[2] or None


def label_of(host: str) -> str:
    """A host's name in a sentence: that of the backend."""
    return host.rpartition("/")[2]


class _Waiting(msgspec.Struct, gc=False, eq=False):
    """One stay in the queue. Its entry is left where it stands when the task leaves,
    and is passed over, or cleared away with others: it counts only while `_queued` holds
    this very object."""

    uid: str
    host: str
    not_before: int
    ready: bool


class Dispatcher:
    """`places` by host; one that is not in there has `default` of them."""

    def __init__(self, places: Mapping[str, int], default: int = 4) -> None:
        self._places = dict(places)
        self._default = default
        self._lines: dict[str, deque[_Waiting]] = {}
        self._later: list[tuple[int, int, _Waiting]] = []
        self._queued: dict[str, _Waiting] = {}
        self._running: dict[str, str] = {}
        self._ready: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._held: dict[str, str] = {}
        self._order = 0
        self._limits: dict[str, int] = {}
        self._alarms: list[tuple[int, str]] = []
        self._closed = False

    def close(self) -> None:
        """Nothing is taken any more; what waits is for the next start."""
        self._closed = True

    def hold(self, host: str, reason: str | None) -> None:
        """Take nobody to this host, for this reason, until it is None."""
        if reason is None:
            self._held.pop(host, None)
        else:
            self._held[host] = reason

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

    def enqueue(self, uid: str, host: str, not_before: int = 0) -> None:
        """Add a task, or add it again after its attempt has ended. 0 means at once."""
        self._leave(uid)
        waiting = self._queued[uid] = _Waiting(uid, host, not_before, not_before <= 0)
        self._waiting[host] += 1
        if waiting.ready:
            self._line_up(waiting)
        else:
            self._order += 1
            heapq.heappush(self._later, (not_before, self._order, waiting))

    def join(self, uid: str, host: str, limit: int) -> bool:
        """`enqueue` and `watch` a new task. Whether that is news to whoever takes: the task may
        be taken at once, or is the first to be overdue; most join a line."""
        self._queued[uid] = waiting = _Waiting(uid, host, 0, True)
        self._waiting[host] += 1
        self._line_up(waiting)
        self.watch(uid, limit)
        return self._has_place(host) or self._alarms[0][1] == uid

    def remove(self, uid: str) -> None:
        """The task has ended: it waits no more and gives its place back."""
        self._leave(uid)
        if self._limits.pop(uid, None) is not None and len(self._alarms) > 2 * len(self._limits):
            self._alarms = [(limit, uid) for uid, limit in self._limits.items()]
            heapq.heapify(self._alarms)

    def _leave(self, uid: str) -> None:
        self._unqueue(uid)
        host = self._running.pop(uid, None)
        if host is not None:
            self._busy[host] -= 1

    def _unqueue(self, uid: str) -> None:
        waiting = self._queued.pop(uid, None)
        if waiting is not None:
            self._waiting[waiting.host] -= 1
        if waiting is not None and waiting.ready:
            self._ready[waiting.host] -= 1
            self._clear_line(waiting.host)
        elif waiting is not None:
            self._clear_later()

    def _clear_line(self, host: str) -> None:
        """However long a host is busy, those who left do not pile up."""
        line = self._lines[host]
        if len(line) > 2 * self._ready[host] + FEW:
            standing = [one for one in line if self._stands(one)]
            line.clear()  # the same line, which `take` may be going along
            line.extend(standing)

    def _clear_later(self) -> None:
        if len(self._later) > 2 * len(self._queued) + FEW:
            self._later = [entry for entry in self._later if self._stands(entry[2])]
            heapq.heapify(self._later)

    def occupy(self, uid: str, host: str) -> None:
        """Count a task as running, taken here or (after a restart) not."""
        self._leave(uid)
        self._running[uid] = host
        self._busy[host] += 1

    def take(self, now: int) -> list[str]:
        """The tasks to claim now; each is counted as running from here on."""
        while self._later and self._later[0][0] <= now:
            self._come_of_age(heapq.heappop(self._later)[2])
        taken = []
        for host, line in self._lines.items():
            while line and self._has_place(host):
                waiting = line.popleft()
                if self._stands(waiting):
                    self.occupy(waiting.uid, host)
                    taken.append(waiting.uid)
        return taken

    def due(self) -> int | None:
        """When the next task's time comes: 0 if one could be taken at once, None if
        nothing will change by itself."""
        if any(line and self._has_place(host) for host, line in self._lines.items()):
            return 0
        return min((times[0][0] for times in (self._later, self._alarms) if times), default=None)

    def places(self, host: str) -> int:
        """How many tasks of a host may run at once."""
        return self._places.get(host, self._default)

    def reason(self, host: str) -> str:
        """Why a task that is added now would wait, as a plain sentence."""
        return self._reason(host, self._ready[host])

    def reasons(self, host: str) -> list[tuple[str, str]]:
        """Who stands in the line of a host, each with why it waits, the first one first. Of
        a host that is held also those that wait for a retry."""
        line = [one for one in self._lines.get(host, ()) if self._stands(one)]
        if host in self._held:
            later = (entry[2] for entry in sorted(self._later))
            line += [one for one in later if one.host == host and self._stands(one)]
        return [(one.uid, self._reason(host, ahead)) for ahead, one in enumerate(line)]

    def _reason(self, host: str, ahead: int) -> str:
        if host in self._held:
            return self._held[host]
        busy, places = self._busy[host], self.places(host)
        name = label_of(host)
        if busy + ahead < places:
            return f"{name} has a free place"
        waiting = f", {ahead} waiting ahead" if ahead else ""
        return f"{name} is busy ({busy} of {places} places{waiting})"

    def host(self, uid: str) -> str:
        """Where a task that was taken has its place."""
        return self._running[uid]

    def counts(self, host: str) -> tuple[int, int]:
        """How many tasks run at a host, and how many wait for it."""
        return self._busy[host], self._waiting[host]

    def position(self, uid: str) -> int | None:
        """How many tasks of the same host stand before it, or None if it does not wait.

        Before one that waits for a retry stand all that are ready, and the retries that
        come earlier."""
        waiting = self._queued.get(uid)
        if waiting is None:
            return None
        line = [*self._lines.get(waiting.host, ()), *(one[2] for one in sorted(self._later))]
        own = [one for one in line if one.host == waiting.host and self._stands(one)]
        return own.index(waiting)

    def statistics(self) -> dict[str, int]:
        """Tasks that wait and tasks that run."""
        return {"waiting": len(self._queued), "running": len(self._running)}

    def _come_of_age(self, waiting: _Waiting) -> None:
        if self._stands(waiting):
            waiting.ready = True
            self._line_up(waiting)

    def _line_up(self, waiting: _Waiting) -> None:
        self._ready[waiting.host] += 1
        self._lines.setdefault(waiting.host, deque()).append(waiting)

    def _stands(self, waiting: _Waiting) -> bool:
        return self._queued.get(waiting.uid) is waiting

    def _has_place(self, host: str) -> bool:
        if self._closed or host in self._held:
            return False
        return self._busy[host] < self.places(host)
