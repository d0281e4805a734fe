"""How a store that stands before the real one is handed a creation.

The real one calls back without a future (`Store.hand`). A double has its say in `begin`, and
must have it about creations too. Unrealistic: it is heard a turn of the loop later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


def hand_over(
    begin: Callable[[Any], asyncio.Future[Any]], item: Any, learn: Callable[[Any], None]
) -> None:
    """`Store.hand` by way of somebody's `begin`."""
    begin(item).add_done_callback(lambda end: learn(end.exception() or end.result()))
