"""What is remembered of much that happens: the youngest of it, and no more.

For what is quicker to know than to ask. Whoever uses it must be right without it, too:
anything may have been forgotten. Knows nothing of what it keeps.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

MOST = 4096


class Recent(Generic[Key, Value]):
    """A mapping of at most `most` keys: a further one drives out that which was put in
    longest ago."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Value | None:
        """What is known of it; to look does not make it younger."""
        return self._kept.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Know this of it from here on; it is the youngest then."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def discard(self, key: Key) -> None:
        """Forget it, if it is known."""
        self._kept.pop(key, None)
