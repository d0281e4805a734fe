"""Work that outlives the one who asked for it is heard of when it fails."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from safelight.insist import see_through


async def test_a_failure_after_its_asker_has_gone_is_logged() -> None:
    """Nobody is there to raise it to, so it is told to the log, once, and not to asyncio."""
    going = asyncio.Event()

    async def fails() -> None:
        await going.wait()
        raise OSError("too late")

    asker = asyncio.create_task(see_through(fails()))
    await asyncio.sleep(0)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    with structlog.testing.capture_logs() as told:
        going.set()
        for _ in range(5):
            await asyncio.sleep(0)
    assert [(line["event"], str(line["exc"])) for line in told] == [("work.unheard", "too late")]


async def test_a_failure_that_is_raised_is_not_logged() -> None:
    """Whoever waits hears of it by the exception alone."""

    async def fails() -> None:
        raise OSError("now")

    with structlog.testing.capture_logs() as told, pytest.raises(OSError, match="now"):
        await see_through(fails())
    assert told == []
