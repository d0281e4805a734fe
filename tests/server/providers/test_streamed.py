"""Providers that answer once and keep nothing: lost, silent, canceled. Never a second POST."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest

from safelight.providers.anthropic import Anthropic
from safelight.providers.base import Again, Delta, Ended, Never, Provider, Unclear
from safelight.providers.gemini import Gemini
from safelight.settings import ProviderSettings
from safelight_protocol.prices import used
from tests.doubles import anthropic_words, gemini_words
from tests.doubles.heard import Heard, followed, prediction
from tests.doubles.sse_end import CUT, HOLD, SseEnd, answered, streamed


class Speaker(NamedTuple):
    """A provider, a stream of its that has begun and said a word, and one that is whole."""

    name: str
    made: Callable[[ProviderSettings], Provider]
    begins: tuple[bytes, ...]
    whole: tuple[bytes, ...]


SPEAKERS = [
    Speaker(
        "anthropic",
        Anthropic,
        (anthropic_words.began(), anthropic_words.says("x")),
        (anthropic_words.began(), anthropic_words.ends()),
    ),
    Speaker(
        "gemini",
        Gemini,
        (gemini_words.says("x", **gemini_words.counts(written=1)),),
        (gemini_words.says("x", finish="STOP"),),
    ),
]


@pytest.fixture(params=SPEAKERS, ids=lambda speaker: speaker.name)
def speaker(request: pytest.FixtureRequest) -> Speaker:
    """Each of them."""
    found: Speaker = request.param
    return found


@pytest.fixture
async def provider(speaker: Speaker, end: SseEnd) -> AsyncIterator[Any]:
    """Its provider, opened."""
    made = speaker.made(ProviderSettings(url=end.url, key="secret", silence_seconds=5.0))
    async with made.open():
        yield made


async def test_an_answer_that_is_lost_is_unclear(provider: Any, end: SseEnd) -> None:
    """A connection that is cut before the answer is not asked again."""
    end.scripts = [[CUT]] * 3
    assert isinstance(await followed(provider, prediction()), Unclear)
    assert len(end.asked) == 1


async def test_words_may_be_gathered(speaker: Speaker, provider: Any, end: SseEnd) -> None:
    """Every word of a stream is told as a part: many of them may become one event."""
    end.scripts = [streamed(*speaker.begins, *speaker.whole)]
    heard = Heard()
    await followed(provider, prediction(), heard)
    words = heard.of(Delta)
    assert words and all(word.part for word in words)


async def test_a_redirect_is_not_followed(speaker: Speaker, provider: Any, end: SseEnd) -> None:
    """Neither prompt nor key goes to another address than that of the settings."""
    there = answered(307, {}, location=f"{end.url}/elsewhere")
    end.scripts = [there, streamed(*speaker.whole)]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Never) and outcome.code == "provider_failed"
    assert len(end.asked) == 1


async def test_nobody_there_is_no_doubt(speaker: Speaker) -> None:
    """A connection that never came about began nothing, and may be tried again."""
    provider = speaker.made(ProviderSettings(url="http://127.0.0.1:1", key="k"))
    async with provider.open():
        outcome = await followed(provider, prediction())
    assert isinstance(outcome, Again) and outcome.code == "provider_unreachable"
    assert outcome.charge is not None and outcome.charge.verdict == "free"


@pytest.mark.parametrize("has_begun", [False, True])
async def test_silence_has_an_end(speaker: Speaker, end: SseEnd, has_begun: bool) -> None:
    """A server that says nothing, at first or after a while, is given up as unclear, and its
    connection is closed."""
    end.scripts = [streamed(*speaker.begins, HOLD) if has_begun else [HOLD]]
    provider = speaker.made(ProviderSettings(url=end.url, key="k", silence_seconds=0.05))
    async with provider.open():
        assert isinstance(await followed(provider, prediction()), Unclear)
    async with asyncio.timeout(20):
        await end.left.wait()


async def test_a_cancel_closes_the_stream(speaker: Speaker, provider: Any, end: SseEnd) -> None:
    """It ends at once with what it had used so far, and the connection is closed."""
    end.scripts = [streamed(*speaker.begins, HOLD)]
    heard, asked = Heard(), prediction()
    handle = await provider.start(asked)
    following = asyncio.create_task(provider.follow(asked, handle, heard))
    async with asyncio.timeout(20):
        await heard.first.wait()
        await provider.cancel(asked, handle)
        await provider.cancel(asked, handle)
        outcome = await following
        await end.left.wait()
    assert isinstance(outcome, Ended)
    assert outcome.charge is not None and outcome.charge.verdict == "estimated"
    assert outcome.usage == used({"input_token": 10, "cached_token": 0, "output_token": 1})


async def test_a_cancel_finds_a_model_that_still_thinks(provider: Any, end: SseEnd) -> None:
    """Before a word has come it works as well; what it cost is unknown then."""
    end.scripts = [[HOLD]]
    asked = prediction()
    handle = await provider.start(asked)
    following = asyncio.create_task(provider.follow(asked, handle, Heard()))
    async with asyncio.timeout(20):
        await end.holding.wait()
        await provider.cancel(asked, handle)
        outcome = await following
    assert isinstance(outcome, Ended)
    assert outcome.charge is not None and outcome.charge.verdict == "unknown"


async def test_what_is_canceled_before_it_is_sent_is_free(provider: Any, end: SseEnd) -> None:
    """A start sends nothing, so a cancel that comes before `follow` costs nothing."""
    asked = prediction()
    handle = await provider.start(asked)
    await provider.cancel(asked, handle)
    outcome = await provider.follow(asked, handle, Heard())
    assert isinstance(outcome, Ended)
    assert outcome.charge is not None and outcome.charge.verdict == "free"
    assert not end.asked


async def test_no_handle_is_followed_twice(speaker: Speaker, provider: Any, end: SseEnd) -> None:
    """A second `follow`, and one by another process, sends nothing and is unclear."""
    end.scripts = [streamed(*speaker.whole)] * 2
    asked = prediction()
    handle = await provider.start(asked)
    await provider.follow(asked, handle, Heard())
    assert isinstance(await provider.follow(asked, handle, Heard()), Unclear)
    assert isinstance(await provider.follow(asked, f"{speaker.name}-u9-1", Heard()), Unclear)
    assert len(end.asked) == 1


async def test_followed_from_outside_no_more_it_leaves_nothing_open(
    speaker: Speaker, provider: Any, end: SseEnd
) -> None:
    """A `follow` that is cut off closes its connection."""
    end.scripts = [streamed(*speaker.begins, HOLD)]
    heard, asked = Heard(), prediction()
    following = asyncio.create_task(provider.follow(asked, await provider.start(asked), heard))
    async with asyncio.timeout(20):
        await heard.first.wait()
        following.cancel()
        await asyncio.wait([following])
        await end.left.wait()
    assert following.cancelled()


async def test_a_report_that_fails_closes_the_stream(
    speaker: Speaker, provider: Any, end: SseEnd
) -> None:
    """Trouble on our side goes through, and leaves no stream that nobody reads."""
    end.scripts = [streamed(*speaker.begins, HOLD)]

    async def full(_: Any) -> None:
        raise OSError("no space left")

    asked = prediction()
    with pytest.raises(OSError, match="no space"):
        await provider.follow(asked, await provider.start(asked), full)
    async with asyncio.timeout(20):
        await end.left.wait()
