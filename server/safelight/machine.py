"""What the parts take from the machine they run on: its clocks, its sleep, its chance.

The composition root hands these out, so that a whole server can run in another time.
Knows no part.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import anyio
import msgspec

SEED_BITS = 53
"""Seeds we draw stay exact in every JSON reader."""


def now_ms() -> int:
    """The wall clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


POOL_BYTES = 4096
"""Randomness that is fetched from the system at a time; a create needs 17 bytes of it."""


class Pool:
    """Bytes that nobody can guess, fetched many at once: each asking of the system costs as
    much as all else about an id. For one thread; `fresh` is for a process that was forked off."""

    def __init__(self, fetch: Callable[[int], bytes] = os.urandom) -> None:
        self._fetch = fetch
        self._left = b""
        self._place = 0

    def take(self, count: int) -> bytes:
        """So many, none of which was handed out before."""
        place, self._place = self._place, self._place + count
        found = self._left[place : self._place]
        if len(found) == count:
            return found
        self._left, self._place = self._fetch(max(POOL_BYTES, count)), count
        return self._left[:count]

    def bits(self, count: int) -> int:
        """A whole number below 2**count."""
        return int.from_bytes(self.take((count + 7) // 8)) >> (-count % 8)

    def fresh(self) -> None:
        """Forget what is left: somebody else has the same."""
        self._left = b""


_pool = Pool()
os.register_at_fork(after_in_child=_pool.fresh)


class Timer(Protocol):
    """Something that will happen, unless it is called off."""

    def cancel(self) -> None:
        """It will not."""


class Clock(Protocol):
    """What the limits of connections need of time; an event loop is one."""

    def time(self) -> float:
        """Seconds of a clock that never goes back."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call back in so many seconds."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """`clock` is the wall clock in milliseconds, `monotonic` never goes back, in seconds,
    `share` is 0 to 1, `bits` and `token` are integers and bytes that nobody can guess."""

    clock: Callable[[], int] = now_ms
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    share: Callable[[], float] = random.random
    bits: Callable[[int], int] = _pool.bits
    token: Callable[[int], bytes] = _pool.take

    def seed(self) -> int:
        """A seed for a task whose creator left it open."""
        return self.bits(SEED_BITS)
