"""A test that runs in virtual time, where a pause costs nothing and no machine is slow.

For parts that need neither sockets nor threads: a moment of theirs is passed by sleeping
for it, and nothing else happens meanwhile, however loaded the machine is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from tests.simulation.loop import run


def timeless(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run this test so; callbacks that are ready together run in their order."""

    @functools.wraps(test)
    def told(*given: Any, **named: Any) -> None:
        run(lambda: test(*given, **named), shuffled=False)

    return told
