"""Words that come one by one are told together, in order, and none is lost."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from safelight.gathering import MOST, Gathering
from tests.doubles.turns import until
from tests.simulation.loop import run


class Log:
    """What was told, and when; a gate makes it slow."""

    def __init__(self) -> None:
        self.told: list[tuple[float, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.trouble: Exception | None = None

    async def tell(self, text: str) -> None:
        await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        self.told.append((asyncio.get_running_loop().time(), text))


def test_a_flood_of_words_is_twenty_events_a_second() -> None:
    """However many words come, events are 50 ms apart, and hold every character in order."""

    async def world() -> None:
        log = Log()
        words = Gathering(log.tell)
        for number in range(1000):
            await words.add(f"{number} ")
            await asyncio.sleep(0.002)
        await words.flush()
        assert "".join(text for _, text in log.told) == "".join(f"{n} " for n in range(1000))
        times = [at for at, _ in log.told]
        gaps = [after - before for before, after in itertools.pairwise(times[:-1])]
        assert min(gaps) >= 0.0499
        assert 35 <= len(times) <= 42

    run(world)


def test_the_first_word_and_slow_ones_are_told_at_once() -> None:
    """Nobody waits for a word that comes alone."""

    async def world() -> None:
        log = Log()
        words = Gathering(log.tell)
        for text in ("once", "upon", "a"):
            await words.add(text)
            assert log.told[-1][1] == text
            await asyncio.sleep(0.06)

    run(world)


def test_a_word_that_stays_alone_is_told_by_itself() -> None:
    """What waits for company is told 50 ms after the event before, asked or not."""

    async def world() -> None:
        log = Log()
        words = Gathering(log.tell)
        await words.add("one")
        await words.add("two")
        assert [text for _, text in log.told] == ["one"]
        await asyncio.sleep(1)
        assert [text for _, text in log.told] == ["one", "two"]
        assert log.told[1][0] - log.told[0][0] == pytest.approx(0.05)

    run(world)


async def test_a_slow_disk_makes_the_writer_wait() -> None:
    """Beyond a bound nothing more is taken until it is told."""
    log = Log()
    words = Gathering(log.tell)
    await words.add("first")
    log.gate.clear()
    await words.add("x" * (MOST - 1))
    task = asyncio.ensure_future(words.add("yz"))
    await until(lambda: words.waiting)
    assert not task.done()
    log.gate.set()
    await task
    assert [len(text) for _, text in log.told] == [5, MOST + 1]


async def test_trouble_of_a_word_told_later_reaches_the_writer() -> None:
    """A piece that could not be told ends the writing, not only itself."""
    log = Log()
    words = Gathering(log.tell, seconds=0.001)
    await words.add("one")
    log.trouble = RuntimeError("the log is broken")
    await words.add("two")
    with pytest.raises(RuntimeError, match="the log is broken"):
        while True:
            await asyncio.sleep(0)
            await words.add("more")
