"""What waits, what runs, what has run: the queue and the history, in memory only.

A heap ordered by number and then by prompt id; one worker takes from it. Every change is
told to whoever asked to be told. Safe between threads.
"""

from __future__ import annotations

import copy
import heapq
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from .faults import Fault
from .values import Graph

MOST_HISTORY = 10_000


class Item(msgspec.Struct):
    """A prompt that was accepted."""

    number: int | float
    prompt_id: str
    graph: Graph
    extra_data: dict[str, Any]
    outputs: list[str]
    faults: list[Fault] = []

    def __lt__(self, other: Item) -> bool:
        return (self.number, self.prompt_id) < (other.number, other.prompt_id)

    def told(self) -> list[Any]:
        """As clients are shown it."""
        return [self.number, self.prompt_id, self.graph, self.extra_data, self.outputs]


class Result(msgspec.Struct):
    """What came of a prompt."""

    outputs: dict[str, Any]
    meta: dict[str, Any]
    messages: list[tuple[str, dict[str, Any]]]
    completed: bool


class LineUp:
    """The queue and history of one server. `changed` is called after each change, outside
    the lock."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._condition = threading.Condition()
        self._pending: list[Item] = []
        self._running: Item | None = None
        self._history: dict[str, dict[str, Any]] = {}
        self._number = 0
        self._closed = False

    def draw_number(self) -> int:
        """The next number; a prompt that is refused has spent it."""
        with self._condition:
            self._number += 1
            return self._number - 1

    def put(self, item: Item) -> None:
        """Let a prompt wait for its turn."""
        with self._condition:
            heapq.heappush(self._pending, item)
            self._condition.notify_all()
        self._changed()

    def take(self) -> Item | None:
        """The next prompt, once there is one; None after `close`."""
        with self._condition:
            self._condition.wait_for(lambda: self._pending or self._closed)
            if self._closed:
                return None
            self._running = item = heapq.heappop(self._pending)
        self._changed()
        return item

    def done(self, item: Item, result: Result) -> None:
        """The prompt that ran is over: history has it from now."""
        entry = {
            "prompt": item.told(),
            "outputs": copy.deepcopy(result.outputs),
            "status": {
                "status_str": "success" if result.completed else "error",
                "completed": result.completed,
                "messages": copy.deepcopy(result.messages),
            },
            "meta": result.meta,
        }
        with self._condition:
            self._running = None
            while len(self._history) >= MOST_HISTORY:
                self._history.pop(next(iter(self._history)))
            self._history[item.prompt_id] = entry
        self._changed()

    def close(self) -> None:
        """Nothing more is taken."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def remaining(self) -> int:
        """How many run or wait."""
        with self._condition:
            return len(self._pending) + (self._running is not None)

    def running(self) -> Item | None:
        """The prompt that runs."""
        return self._running

    def current(self) -> tuple[list[Item], list[Item]]:
        """What runs and what waits, the latter in the order of the heap."""
        with self._condition:
            return [self._running] if self._running else [], list(self._pending)

    def delete(self, prompt_id: str) -> bool:
        """Take a waiting prompt out; whether there was one."""
        with self._condition:
            kept = [item for item in self._pending if item.prompt_id != prompt_id]
            found = len(kept) < len(self._pending)
            if found:
                heapq.heapify(kept)
                self._pending = kept
        if found:
            self._changed()
        return found

    def clear(self) -> None:
        """Forget all that waits, whoever's it is."""
        with self._condition:
            self._pending.clear()
        self._changed()

    def history(self, most: int | None = None, offset: int = -1) -> dict[str, Any]:
        """What has run, oldest first; the last `most` of it when no offset is given."""
        with self._condition:
            entries = list(self._history.items())
        if offset < 0:
            offset = max(0, len(entries) - most) if most is not None else 0
        return dict(entries[offset : None if most is None else offset + most])

    def past(self, prompt_id: str) -> dict[str, Any] | None:
        """The history of one prompt."""
        with self._condition:
            return self._history.get(prompt_id)

    def forget(self, prompt_id: str | None) -> None:
        """Drop one entry of history, or all of them."""
        with self._condition:
            if prompt_id is None:
                self._history.clear()
            else:
                self._history.pop(prompt_id, None)
