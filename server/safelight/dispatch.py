"""Which queued task runs next: ready tasks per provider, and its free places.

Pure bookkeeping over uids; the orchestrator asks it and does the claiming. Times
are milliseconds since 1970. First come, first served within a provider; a task
that waits for a retry takes its turn when its time has come.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping


class Dispatcher:
    """Places by provider; a provider that is not in `places` has `default` of them."""

    def __init__(self, places: Mapping[str, int], default: int = 4) -> None:
        self._places = dict(places)
        self._default = default
        self._ready: dict[str, list[tuple[int, int, str]]] = {}
        self._queued: dict[str, str] = {}
        self._running: dict[str, str] = {}
        self._waiting: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._order = 0

    def enqueue(self, uid: str, provider: str, not_before: int = 0) -> None:
        """Add a task, or add it again after its attempt has ended."""
        self.remove(uid)
        self._order += 1
        self._queued[uid] = provider
        self._waiting[provider] += 1
        heapq.heappush(self._ready.setdefault(provider, []), (not_before, self._order, uid))

    def remove(self, uid: str) -> None:
        """The task has ended: it waits no more and gives its place back."""
        queued, running = self._queued.pop(uid, None), self._running.pop(uid, None)
        if queued is not None:
            self._waiting[queued] -= 1
        if running is not None:
            self._busy[running] -= 1

    def occupy(self, uid: str, provider: str) -> None:
        """Count a task as running that was not taken here (after a restart)."""
        self._running[uid] = provider
        self._busy[provider] += 1

    def take(self, now: int) -> list[str]:
        """The tasks to claim now; each is counted as running from here on."""
        taken = []
        for provider, ready in self._ready.items():
            while ready and self._has_place(provider):
                not_before, _, uid = ready[0]
                if self._queued.get(uid) != provider:
                    heapq.heappop(ready)  # removed while it waited
                    continue
                if not_before > now:
                    break
                heapq.heappop(ready)
                self.remove(uid)
                self.occupy(uid, provider)
                taken.append(uid)
        return taken

    def due(self) -> int | None:
        """When the next task's time comes, among providers with a free place."""
        times = [
            ready[0][0]
            for provider, ready in self._ready.items()
            if ready and self._has_place(provider)
        ]
        return min(times, default=None)

    def places(self, provider: str) -> int:
        """How many tasks of a provider may run at once."""
        return self._places.get(provider, self._default)

    def reason(self, provider: str) -> str:
        """Why a task that is added now would wait, as a plain sentence."""
        busy, places = self._busy[provider], self.places(provider)
        ahead = self._waiting[provider]
        if busy < places and not ahead:
            return f"{provider} has a free place"
        waiting = f", {ahead} waiting ahead" if ahead else ""
        return f"{provider} is busy ({busy} of {places} places{waiting})"

    def position(self, uid: str) -> int | None:
        """How many tasks of the same provider stand before it, or None if it does not wait."""
        provider = self._queued.get(uid)
        if provider is None:
            return None
        waiting = sorted(
            entry for entry in self._ready[provider] if self._queued.get(entry[2]) == provider
        )
        return next(i for i, entry in enumerate(waiting) if entry[2] == uid)

    def statistics(self) -> dict[str, int]:
        """Tasks that wait and tasks that run."""
        return {"waiting": len(self._queued), "running": len(self._running)}

    def _has_place(self, provider: str) -> bool:
        return self._busy[provider] < self.places(provider)
