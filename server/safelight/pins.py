"""Which files may not be removed at the moment, and whose turn it is with a file.

A file is pinned from before it has its name until the event that names it is written. Calls
come from worker threads and from the loop; none of them waits for anybody but `turn`, which
is for worker threads only. Knows hashes, no files.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

REMEMBERED = 4096
"""Files whose last pin is remembered; far more than are kept while one task is removed."""


class Pins:
    """Counted by hash. `mark` is a moment, for `is_free`."""

    def __init__(self) -> None:
        self._pins: Counter[str] = Counter()
        self._made = 0
        self._last: OrderedDict[str, int] = OrderedDict()
        self._notes = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}

    def __len__(self) -> int:
        return len(self._pins)

    @property
    def mark(self) -> int:
        """This moment."""
        return self._made

    def pin(self, sha256: str) -> None:
        """Once more; undone by `release`."""
        with self._notes:
            self._pins[sha256] += 1
            self._made += 1
            self._last[sha256] = self._made
            self._last.move_to_end(sha256)
            if len(self._last) > REMEMBERED:
                self._last.popitem(last=False)

    def release(self, hashes: Iterable[str]) -> None:
        """Undo one pin of each."""
        with self._notes:
            for sha256 in hashes:
                self._pins[sha256] -= 1
                if self._pins[sha256] <= 0:
                    del self._pins[sha256]

    def has(self, sha256: str) -> bool:
        """Whether it is pinned now."""
        with self._notes:
            return self._pins[sha256] > 0

    def is_free(self, sha256: str, since: int) -> bool:
        """Whether it is not pinned, and certainly was not pinned anew since that moment."""
        with self._notes:
            forgotten = self._made - since > REMEMBERED
            again = self._last.get(sha256, 0) > since
            return not forgotten and not again and self._pins[sha256] <= 0

    @contextmanager
    def turn(self, sha256: str) -> Iterator[None]:
        """Alone with the file of this hash. There are 256 turns: some files share one."""
        with self._notes:
            turn = self._turns.setdefault(sha256[:2], threading.Lock())
        with turn:
            yield
