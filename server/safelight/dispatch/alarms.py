"""The instants at which tasks are overdue: one heap of them, however many there are."""

from __future__ import annotations

import heapq


class Alarms:
    """One for each task; a later one replaces it."""

    def __init__(self) -> None:
        self._limits: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def set(self, uid: str, limit: int) -> bool:
        """Until it is forgotten the task is due from `limit` on. Whether it is the first."""
        self._limits[uid] = limit
        heap = self._heap
        heapq.heappush(heap, (limit, uid))
        return heap[0][1] == uid

    def forget(self, uid: str) -> None:
        """It is not due any more."""
        if self._limits.pop(uid, None) is not None and len(self._heap) > 2 * len(self._limits):
            self._heap = [(limit, uid) for uid, limit in self._limits.items()]
            heapq.heapify(self._heap)

    def due(self, now: int) -> list[str]:
        """Those whose time has come; each is told once."""
        up = []
        while self._heap and self._heap[0][0] <= now:
            limit, uid = heapq.heappop(self._heap)
            if self._limits.get(uid) == limit:
                del self._limits[uid]
                up.append(uid)
        return up

    def first(self) -> int | None:
        """The next of these instants."""
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        return len(self._heap)
