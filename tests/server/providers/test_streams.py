"""Calls that are answered once: sent once, ended when asked, and never kept."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from safelight.providers.base import Done, Ended, Outcome, Unclear
from safelight.providers.streams import Call, Calls, Garbled, Stopped
from tests.doubles.heard import prediction


class Talks:
    """A talk that says two pieces; it begins the second only when the first was dealt with."""

    def __init__(self) -> None:
        self.sent = 0
        self.dealing = asyncio.Event()
        self.dealt = asyncio.Event()
        self.told: list[str] = []

    async def __call__(self, call: Call[str], request: str) -> Outcome:
        self.sent += 1
        try:
            async for piece in call.each(self._pieces()):
                self.dealing.set()
                await self.dealt.wait()
                self.told.append(piece)
        except Stopped:
            return Ended()
        return Done()

    async def _pieces(self) -> AsyncIterator[str]:
        yield "one"
        yield "two"


async def test_two_who_follow_at_once_send_once() -> None:
    """The second is told that it cannot be known, while the first goes on."""
    calls: Calls[str] = Calls("x")
    handle, talks = calls.ready(prediction(), "request"), Talks()
    first = asyncio.create_task(calls.follow(handle, talks))
    async with asyncio.timeout(20):
        await talks.dealing.wait()
        assert isinstance(await calls.follow(handle, talks), Unclear)
        talks.dealt.set()
        assert await first == Done()
    assert (talks.sent, talks.told) == (1, ["one", "two"])


async def test_a_cancel_lets_what_came_be_kept() -> None:
    """What is being dealt with is dealt with to its end; nothing is waited for after it."""
    calls: Calls[str] = Calls("x")
    handle, talks = calls.ready(prediction(), "request"), Talks()
    following = asyncio.create_task(calls.follow(handle, talks))
    async with asyncio.timeout(20):
        await talks.dealing.wait()
        calls.cancel(handle)
        calls.cancel(handle)
        talks.dealt.set()
        assert await following == Ended()
    assert talks.told == ["one"]


async def test_a_handle_is_good_again_only_for_another_start() -> None:
    """After its end it is not followed again; an attempt that is readied anew is."""
    calls: Calls[str] = Calls("x")
    talks = Talks()
    talks.dealt.set()
    for _ in range(2):
        handle = calls.ready(prediction(), "request")
        assert await calls.follow(handle, talks) == Done()
        assert isinstance(await calls.follow(handle, talks), Unclear)
        calls.cancel(handle)
    assert talks.sent == 2


async def test_what_is_readied_anew_is_sent() -> None:
    """A cancel that nobody followed ends that request, and none that is made ready after it."""
    calls: Calls[str] = Calls("x")
    talks = Talks()
    talks.dealt.set()
    calls.cancel(calls.ready(prediction(), "request"))
    assert await calls.follow(calls.ready(prediction(), "request"), talks) == Done()
    assert talks.sent == 1


class Large:
    """A request with pictures."""


async def test_a_request_is_not_kept() -> None:
    """Its pictures go when its answer is over, or when it is cancelled before it was sent."""
    calls: Calls[Large] = Calls("x")

    async def talk(call: Call[Large], request: Large) -> Outcome:
        return Done()

    for sent in (True, False):
        request = Large()
        kept = weakref.ref(request)
        handle = calls.ready(prediction(), request)
        del request
        if sent:
            await calls.follow(handle, talk)
        else:
            calls.cancel(handle)
        gc.collect()
        assert kept() is None


async def test_nothing_is_sent_after_a_cancel() -> None:
    """One that comes before anybody follows is found by whoever does, and costs nothing."""
    calls: Calls[str] = Calls("x")
    handle, talks = calls.ready(prediction(), "request"), Talks()
    calls.cancel(handle)
    outcome = await calls.follow(handle, talks)
    assert isinstance(outcome, Ended) and outcome.charge is not None
    assert (outcome.charge.verdict, talks.sent) == ("free", 0)


async def test_what_cannot_be_read_says_nothing_of_the_run() -> None:
    """Errors of an SDK that mean something go through, all others are garbage."""
    calls: Calls[str] = Calls("x")

    async def broken(error: Exception) -> AsyncIterator[str]:
        yield "one"
        raise error

    async def talk(call: Call[str], request: str) -> Outcome:
        error = KeyError("x") if request == "meant" else TypeError("x")
        async for _ in call.each(broken(error), known=(KeyError,)):
            pass
        return Done()

    assert isinstance(await calls.follow(calls.ready(prediction(), "not"), talk), Unclear)
    with pytest.raises(KeyError):
        await calls.follow(calls.ready(prediction(), "meant"), talk)
    with pytest.raises(Garbled):
        async for _ in Call("request").each(broken(TypeError("x")), known=()):
            pass
