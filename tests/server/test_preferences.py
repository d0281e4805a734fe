"""What owners have chosen: on disk before it counts, whatever befalls the write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from safelight.backends import Directory
from safelight.preferences import Chosen, Preferences
from safelight.store import Preference, StoreTrouble
from tests.doubles.workshop import WorkshopBackend


class Shelf:
    """A store of choices that a test can hold up, or have fail. As in the real one a write
    that was begun is done, whoever stops waiting for it."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.free = asyncio.Event()
        self.free.set()
        self.trouble: Callable[[], StoreTrouble] | None = None
        self.read = self

    async def put(self, made: Preference) -> Preference:
        """Write it."""
        await self.free.wait()
        if self.trouble is None or self.trouble().unknown:
            self.kept |= {made.owner: made.backend or ""}
        if self.trouble is not None:
            raise self.trouble()
        return made

    async def preferences(self) -> dict[str, str]:
        """What is on disk."""
        return dict(self.kept)


def choices() -> tuple[Preferences, Shelf, list[str]]:
    """Over the backends `red` and `blue`, with the owners who were told of a change."""
    names = ("red", "blue")
    backends = {name: WorkshopBackend(name, f"http://{name}") for name in names}
    shelf, told = Shelf(), []
    store: Any = shelf
    return Preferences(store, Directory(backends, clock=lambda: 0), told.append), shelf, told


async def test_a_choice_counts_once_it_is_on_disk() -> None:
    """Not while it is being written, and from then on at once; its owner's tabs are told."""
    preferences, shelf, told = choices()
    shelf.free.clear()
    choosing = asyncio.create_task(preferences.choose("ann", "red"))
    await asyncio.sleep(0)
    assert (preferences.backend("ann"), preferences.version("ann"), told) == (None, 0, [])
    shelf.free.set()
    assert await choosing == Chosen("red")
    assert (preferences.backend("ann"), preferences.version("ann"), told) == ("red", 1, ["ann"])
    assert preferences.backend("bob") is None


async def test_each_choice_is_answered_with_itself() -> None:
    """Of several that are written at once, each is told what it has set, not what the last
    of them left behind."""
    preferences, shelf, _ = choices()
    shelf.free.clear()
    wishes = ("red", None, "blue", "red")
    choosing = [asyncio.create_task(preferences.choose("ann", wish)) for wish in wishes]
    await asyncio.sleep(0)
    shelf.free.set()
    assert await asyncio.gather(*choosing) == [Chosen(wish) for wish in wishes]
    assert preferences.of("ann") == Chosen("red")


async def test_a_choice_goes_on_without_the_one_who_made_it() -> None:
    """A client that hangs up in the middle leaves memory and disk in agreement."""
    preferences, shelf, told = choices()
    shelf.free.clear()
    choosing = asyncio.create_task(preferences.choose("ann", "red"))
    await asyncio.sleep(0)
    choosing.cancel()
    shelf.free.set()
    with pytest.raises(asyncio.CancelledError):
        await choosing
    while not told:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert (preferences.backend("ann"), shelf.kept) == ("red", {"ann": "red"})


@pytest.mark.parametrize("unknown", [False, True], ids=["refused", "unknown"])
async def test_trouble_leaves_what_is_on_disk(unknown: bool) -> None:
    """A write that was refused changes nothing; one whose end was not learnt is looked up."""
    preferences, shelf, told = choices()
    await preferences.choose("ann", "red")
    shelf.trouble = lambda: StoreTrouble("ill", unknown=unknown)
    with pytest.raises(StoreTrouble):
        await preferences.choose("ann", "blue")
    assert preferences.backend("ann") == ("blue" if unknown else "red") == shelf.kept["ann"]
    assert told == ["ann"] * (2 if unknown else 1)


async def test_what_the_settings_have_no_more_is_kept_and_ignored() -> None:
    """It is no backend, it is told with the reason, and nothing is told of what is fine."""
    preferences, shelf, _ = choices()
    shelf.kept = {"ann": "gone", "bob": "blue"}
    await preferences.load()
    sentence = 'preferences.backend: "gone" is ignored, no backend of that name is left'
    assert (preferences.backend("ann"), preferences.ignored("ann")) == (None, sentence)
    assert preferences.of("ann") == Chosen("gone", (sentence,))
    assert (preferences.ignored("bob"), preferences.ignored("eve")) == (None, None)
