"""What the parts take from the machine they run on: its clocks, its sleep, its chance.

The composition root hands these out, so that a whole server can run in another time.
Knows no part.
"""

from __future__ import annotations

import os
import random
import secrets
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
    bits: Callable[[int], int] = secrets.randbits
    token: Callable[[int], bytes] = os.urandom

    def seed(self) -> int:
        """A seed for a task whose creator left it open."""
        return self.bits(SEED_BITS)
