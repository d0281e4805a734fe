"""A start whose answer was lost, found in the list by its mark or by its input."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.providers.http import Fault, Trouble
from safelight.providers.replicate.finding import (
    MOST_PAGES,
    MOST_TRIES,
    Sought,
    TooMany,
    find,
    is_ours,
    marks_in,
    time_of,
)
from safelight.providers.replicate.fitting import Fit
from safelight.providers.replicate.inputs import Placed
from safelight.providers.replicate.models import Model
from safelight.providers.replicate.schema import Shape
from safelight.providers.replicate.target import Route
from safelight.providers.replicate.wire import Page, Snapshot, snapshot_in

SINCE = 1_795_000_000_000
LATER = time_of(SINCE + 5000)
HOOK = "https://us.example/api/webhooks/replicate?task=u&attempt=2"


def told(id: str = "p", **more: Any) -> Snapshot:
    """A prediction in the list."""
    said = {"id": id, "status": "starting", "model": "a/b", "created_at": LATER} | more
    found = snapshot_in(said)
    assert found is not None
    return found


def sought(**more: Any) -> Sought:
    """Attempt 2 of task u, with a prompt, a seed and a picture."""
    shape = Shape({"prompt": {}, "steps": {"default": 4}}, ())
    fit = Fit({"prompt": "x", "seed": 3}, (Placed("image", False),), {})
    model = Model(Route("models/a/b/predictions", None, "a/b"), shape)
    return Sought(("u", 2), (model, fit), SINCE, **more)


EQUAL = {"prompt": "x", "seed": 3, "image": "https://files.example/other"}


class Listed:
    """A list in pages."""

    def __init__(self, *pages: list[Snapshot]) -> None:
        self.pages = pages
        self.asked: list[str] = []
        self.troubles: list[Fault] = []

    async def predictions(self, created_after: str) -> Page:
        """The first page."""
        self.asked.append(created_after)
        return self._page(0)

    async def more(self, next: str) -> Page:
        """A further one."""
        self.asked.append(next)
        return self._page(int(next))

    def _page(self, number: int) -> Page:
        if number == 1 and self.troubles:
            raise Trouble(self.troubles.pop(0))
        last = number + 1 >= len(self.pages)
        return Page(tuple(self.pages[number]), None if last else str(number + 1))


async def rest(tries: int, wish: float | None) -> None:
    """Takes no time."""


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (told(webhook=HOOK), True),
        (told(webhook=HOOK, input={"prompt": "whatever"}), True),
        (told(webhook=HOOK.replace("=2", "=1"), input=EQUAL), False),
        (told(webhook="https://elsewhere.example/", input=EQUAL), False),
        (told(input=EQUAL), True),
        (told(input=EQUAL | {"steps": 4}), True),
        (told(input=EQUAL | {"steps": 5}), False),
        (told(input=EQUAL | {"extra": 1}), False),
        (told(input=EQUAL | {"seed": 4}), False),
        (told(input={"prompt": "x", "seed": 3}), False),
        (told(input=EQUAL, model="a/c"), False),
        (told(input=EQUAL, created_at=time_of(SINCE - 5000)), False),
    ],
)
def test_ours(found: Snapshot, ours: bool) -> None:
    """The mark decides where there is one; else all of the input does."""
    assert is_ours(found, sought()) is ours


def test_without_an_input_only_the_mark() -> None:
    """Where it can no longer be told what was given, only the mark is believed."""
    blind = Sought(("u", 2), None, SINCE)
    assert is_ours(told(webhook=HOOK), blind)
    assert not is_ours(told(input=EQUAL), blind)


async def test_pages_are_read_on() -> None:
    """It is looked for in page after page, and never taken from another attempt."""
    listed = Listed([told("q", input={})], [told("r", input=EQUAL), told("p", input=EQUAL)])
    found = await find(listed, sought(), lambda id: id == "r", rest)
    assert found is not None and found.id == "p"
    assert listed.asked == [time_of(SINCE), "1"]


async def test_older_pages_are_not_read() -> None:
    """Pages that are older than the attempt cannot have it."""
    old = told("q", created_at=time_of(SINCE - 60_000))
    listed = Listed([old], [told(input=EQUAL)])
    assert await find(listed, sought(), lambda id: False, rest) is None
    assert len(listed.asked) == 1


async def test_a_list_without_an_end() -> None:
    """A list that goes on and on does not say that it is not there."""
    pages = [[told(f"q{number}", input={})] for number in range(MOST_PAGES + 5)]
    with pytest.raises(TooMany):
        await find(Listed(*pages), sought(), lambda id: False, rest)


def test_marks() -> None:
    """The mark is read out of the address, and nothing else is one."""
    assert marks_in(HOOK) == ("u", 2)
    for odd in ("https://a.example/", "?task=u", "?task=u&attempt=x", "?attempt=1"):
        assert marks_in(odd) is None


async def test_a_page_that_is_refused_is_asked_for_again() -> None:
    """What was read before it is not read anew, and the pause is the one that it wishes."""
    listed = Listed([told("q", input={})], [told(input=EQUAL)])
    listed.troubles = [Fault(sent=True, why="x", status=429, wait=3.0), Fault(sent=True, why="x")]
    rests: list[tuple[int, float | None]] = []

    async def noted(tries: int, wish: float | None) -> None:
        rests.append((tries, wish))

    found = await find(listed, sought(), lambda id: False, noted)
    assert found is not None and found.id == "p"
    assert listed.asked == [time_of(SINCE), "1", "1", "1"]
    assert rests == [(1, 3.0), (2, None)]


@pytest.mark.parametrize(("status", "times"), [(503, MOST_TRIES), (401, 1)])
async def test_a_page_that_never_comes_is_trouble(status: int, times: int) -> None:
    """It is asked for some times where that may help; it never says that it is not there."""
    listed = Listed([told("q", input={})], [told(input=EQUAL)])
    listed.troubles = [Fault(sent=True, why="x", status=status)] * 9
    with pytest.raises(Trouble):
        await find(listed, sought(), lambda id: False, rest)
    assert listed.asked.count("1") == times
