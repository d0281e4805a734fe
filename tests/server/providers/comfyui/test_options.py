"""The lists of a backend: who waits for them, and how often they are asked for."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from safelight.providers.comfyui.client import Trouble, Unanswered
from safelight.providers.comfyui.options import Options, inputs_of

PATIENCE = 10.0
KEEP = 60.0


class Asked:
    """A server's classes: it answers once `free` is set, or fails with `trouble`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.counts: Counter[str] = Counter()
        self.at_once = 0
        self.most = 0
        self.free = asyncio.Event()
        self.trouble: Trouble | None = None
        self.has = ["a"]
        self.options = Options(self.answer, lambda: self.now, KEEP)

    async def answer(self, name: str) -> dict[str, Any]:
        """One class with one list."""
        self.counts[name] += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await self.free.wait()
        finally:
            self.at_once -= 1
        if self.trouble is not None:
            raise self.trouble
        return {"input": {"required": {"name": [list(self.has), {}]}}}

    async def warm(self) -> None:
        """Let it have answered once, and be silent from now on."""
        self.free.set()
        await self.options.have(["Loader"])
        self.free.clear()


async def test_many_who_ask_make_one_question() -> None:
    """Of 240 who need a class that nobody has heard of, each gets the one answer."""
    asked = Asked()
    waiting = [asyncio.create_task(asked.options.choices("Loader", "name")) for _ in range(240)]
    await asyncio.sleep(0)
    asked.free.set()
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*waiting) == [["a"]] * 240
    assert asked.counts == {"Loader": 1}


async def test_what_is_known_is_not_waited_for() -> None:
    """With a server that has gone silent, 240 get the old list at once, and it is asked for
    anew by one question, whose answer the next ones get."""
    asked = Asked()
    await asked.warm()
    asked.now += KEEP + 1
    asked.has = ["a", "b"]
    for _ in range(240):
        with pytest.raises(StopIteration):  # it never waits
            asked.options.choices("Loader", "name").send(None)
    await asyncio.sleep(0)
    assert asked.counts == {"Loader": 2}
    asked.free.set()
    async with asyncio.timeout(PATIENCE):
        while await asked.options.choices("Loader", "name") != ["a", "b"]:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await asked.options.close()


async def test_a_question_outlives_who_asked() -> None:
    """One who gives up leaves the question standing for the next."""
    asked = Asked()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asked.options.have(["Loader"])
    waiting = asyncio.create_task(asked.options.have(["Loader"]))
    asked.free.set()
    await asyncio.wait_for(waiting, PATIENCE)
    assert asked.counts == {"Loader": 1}


async def test_few_questions_are_out_at_once() -> None:
    """A graph of many classes does not storm a server."""
    asked = Asked()
    names = [f"Class{number}" for number in range(40)]
    waiting = asyncio.create_task(asked.options.have(names))
    while not asked.at_once:  # noqa: ASYNC110
        await asyncio.sleep(0)
    asked.free.set()
    await asyncio.wait_for(waiting, PATIENCE)
    assert asked.most == 4 and len(asked.counts) == 40


async def test_trouble_is_for_those_who_know_nothing() -> None:
    """A class that nobody has heard of is trouble; one that is known serves on, and so does
    one that is far too old once it could not be asked about."""
    asked = Asked()
    await asked.warm()
    asked.trouble = Unanswered("silence")
    asked.free.set()
    with pytest.raises(Unanswered):
        await asked.options.have(["Other"])
    for age in (1.0, KEEP + 1, KEEP * 100):
        asked.now = 1000.0 + age
        assert await asked.options.choices("Loader", "name") == ["a"]
    assert await asked.options.renew(["Loader"], younger=5.0)
    assert not await asked.options.renew(["Loader"], younger=KEEP * 1000)
    await asked.options.close()


async def test_closing_ends_what_is_asked() -> None:
    """Nothing is left running behind it."""
    asked = Asked()
    waiting = asyncio.create_task(asked.options.have(["Loader"]))
    while not asked.at_once:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asked.options.close()
    assert asked.at_once == 0
    await asyncio.gather(waiting, return_exceptions=True)


def test_inputs_are_read_once() -> None:
    """Lists and ranges are read where they arrive; every other input says nothing, and
    neither does a class that is told oddly."""
    read = inputs_of({"input": {"required": {"a": [["x", "y"]], "m": ["MODEL"]}, "optional": 3}})
    assert read is not None and list(read) == ["a"] and read["a"].among == {"x", "y"}
    assert inputs_of({"input": None}) == {} and inputs_of(None) is None
