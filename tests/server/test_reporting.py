"""What a prediction reports reaches the log in the order in which it was said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import reduce
from typing import Any

import pytest

from safelight.echo import Echo
from safelight.providers.base import Delta, Failure, Made, Moved, Never, Shown
from safelight.reporting import MAX_DELTA, Hearers, Reporter
from safelight_protocol.inputs import Claimed, HandleSaved, Produced, Progressed, Wrote
from safelight_protocol.snapshot import Snapshot, fold, opening
from safelight_protocol.task import Task
from tests.doubles.lives import ARTIFACT, NOW, born, events, fresh, lived
from tests.doubles.timeless import timeless

PICTURE = Made(data=b"x", media_type="image/png", kind="image")
PREVIEW = Shown(step=1, data=b"x", media_type="image/png")


class Log:
    """All that was taken in, in short."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def tell(self, task: Task, what: Any) -> None:
        """Text as it is, the rest by its name."""
        await asyncio.sleep(0)
        match what:
            case Wrote(delta):
                self.taken.append(delta)
            case Progressed() | Produced():
                self.taken.append(type(what).__name__)

    @asynccontextmanager
    async def keep(self, task: Task, what: Any) -> AsyncIterator[Any]:
        """A file, at once on disk."""
        self.taken.append("kept")
        yield ARTIFACT

    def show(self, task: Task, what: Any) -> None:
        """A preview."""
        self.taken.append("shown")

    def reporter(self, told: Snapshot | None = None) -> Reporter:
        """One that is heard here, of a task of which so much is told."""
        hearers = Hearers(self.tell, self.keep, self.show, lambda task, progress: None)
        return Reporter(fresh(), Echo(told, 1), hearers)


@timeless
async def test_words_are_told_before_what_is_said_after_them() -> None:
    """Words that still wait for company go before progress, a file, and text that is whole."""
    log = Log()
    async with log.reporter() as reporter:
        for word in ("a", "b", "c"):
            await reporter.hear(Delta(word, part=True))
        await reporter.hear(Moved(progress=0.5))
        await reporter.hear(Delta("d", part=True))
        await reporter.hear(PICTURE)
        await reporter.hear(Delta("e", part=True))
        await reporter.hear(Delta("f"))
    assert log.taken == ["a", "bc", "Progressed", "d", "kept", "Produced", "e", "f"]


@timeless
async def test_a_preview_does_not_hasten_words() -> None:
    """It is no event, and has no place among them."""
    log = Log()
    async with log.reporter() as reporter:
        for word in ("a", "b"):
            await reporter.hear(Delta(word, part=True))
        await reporter.hear(PREVIEW)
        await reporter.hear(Delta("c", part=True))
        assert log.taken == ["a", "shown"]
    assert log.taken == ["a", "shown", "bc"]


@pytest.mark.parametrize("trouble", [Failure(Never("provider_failed", "no")), RuntimeError("bug")])
@timeless
async def test_a_failure_takes_no_words_along(trouble: Exception) -> None:
    """What was said before a prediction failed is told, whatever it failed of."""
    log = Log()
    with pytest.raises(type(trouble)):
        async with log.reporter() as reporter:
            for word in ("a", "b", "c"):
                await reporter.hear(Delta(word, part=True))
            raise trouble
    assert "".join(log.taken) == "abc"


@timeless
async def test_a_cancel_waits_for_no_words() -> None:
    """Who is cut off ends at once; nothing is told after that."""
    log = Log()
    with pytest.raises(asyncio.CancelledError):
        async with log.reporter() as reporter:
            for word in ("a", "b"):
                await reporter.hear(Delta(word, part=True))
            raise asyncio.CancelledError
    await asyncio.sleep(1)
    assert log.taken == ["a"]


@timeless
async def test_a_flood_between_two_events_is_told_in_pieces_that_fit() -> None:
    """However much is said at once, no event of text is larger than a frame takes."""
    log = Log()
    async with log.reporter() as reporter:
        await reporter.hear(Delta("x", part=True))
        await reporter.hear(Delta("y" * (2 * MAX_DELTA + 1), part=True))
    assert [len(one) for one in log.taken] == [1, MAX_DELTA, MAX_DELTA, 1]


@timeless
async def test_an_echo_is_left_out_word_by_word() -> None:
    """Whoever reports from the beginning after a restart is heard from where the log ends,
    also within a word."""
    log = Log()
    task, happened = fresh(), [Claimed(NOW), HandleSaved("h"), Wrote("once upon a t")]
    told = reduce(fold, events(lived(task, happened)), opening(born(task)))
    async with log.reporter(told) as reporter:
        for word in ("once ", "upon ", "a ", "time"):
            await reporter.hear(Delta(word, part=True))
    assert "".join(log.taken) == "ime"
