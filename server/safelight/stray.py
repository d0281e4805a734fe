"""Cancellations that nobody asked for.

A library may cancel a future that its caller awaits: of a connection that it closes, say.
That looks just like our own way of stopping work, and would end the process in silence
and with success. Told apart here, in one place, by whether somebody cancelled this task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Stray(Exception):
    """What was awaited was cancelled, and not by us: a defect like any other."""


async def spared(work: Awaitable[T]) -> T:
    """Await work. A cancellation of ours ends it as ever; a stray one is raised as Stray."""
    try:
        return await work
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Stray("what it awaited was cancelled by somebody else") from cancelled
