"""Responses on a bad day: cancels that are not heard, answers that hang, servers that forget."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import msgspec
import pytest
from openai import AsyncStream

from safelight.providers.base import Delta, Done, Ended, Unclear
from tests.doubles import openai_words as words
from tests.doubles.openai_talk import SOON, Opening, code_of
from tests.doubles.openai_words import BEGINS, USED, response, stands, told, writes
from tests.doubles.sse_end import CUT, HOLD, SseEnd, answered, event, nameless, streamed
from tests.doubles.turns import until

CANCELLED = answered(200, response("cancelled"))
MISSING = answered(404, words.error("Response not found."))
NEVER_SILENT = msgspec.structs.replace(SOON, silence=1000.0, answer=1000.0)


def streams() -> list[Any]:
    """The SDK's streams that are open. Held here, none is closed by being collected."""
    found = [one for one in gc.get_objects() if type(one) is AsyncStream]
    return [one for one in found if not one.response.is_closed]


async def test_a_cancel_is_asked_for_until_it_is_heard(opening: Opening, end: SseEnd) -> None:
    """Trouble of the server's, and none of it raised: nobody else would ask again."""
    talk = await opening()
    end.scripts = [
        answered(503, words.error("overloaded")),
        [CUT],
        answered(429, words.error("slow down")),
        list(CANCELLED),
    ]
    await talk.provider.cancel(talk.asked, words.ID)
    assert [asked.line for asked in end.asked] == ["POST /v1/responses/resp_1/cancel HTTP/1.1"] * 4


async def test_a_cancel_ends_with_who_follows(opening: Opening, end: SseEnd) -> None:
    """What has ended by itself meanwhile is not asked to end for ever."""
    talk = await opening()
    end.scripts = [streamed(*BEGINS, HOLD, stands(3, "completed", text="so"))]
    await talk.start()
    following = asyncio.create_task(talk.follow())
    await end.holding.wait()
    canceling = asyncio.create_task(talk.provider.cancel(talk.asked, words.ID))
    async with asyncio.timeout(20):
        end.release()
        assert await following == Done(usage=USED)
        await canceling


@pytest.mark.parametrize("how", ["the stream", "the response"])
async def test_a_cancel_does_not_wait_for_an_answer_that_hangs(
    opening: Opening, end: SseEnd, how: str
) -> None:
    """Once it is confirmed, the response is asked anew, whatever was being waited for."""
    talk = await opening(timings=NEVER_SILENT)
    end.scripts = [
        streamed(*BEGINS, writes(3, "so "), CUT),
        *([streamed()] if how == "the response" else []),
        [HOLD],
        list(CANCELLED),
        answered(200, response("cancelled", "so ", usage=words.USAGE)),
    ]
    await talk.start()
    async with asyncio.timeout(20):
        following = asyncio.create_task(talk.follow())
        await end.holding.wait()
        await talk.provider.cancel(talk.asked, words.ID)
        assert await following == Ended(usage=USED)
    assert not end.scripts


async def test_a_held_stream_is_closed_by_a_cancel(opening: Opening, end: SseEnd) -> None:
    """By us: it does not hang on whether anybody collects what was forgotten."""
    talk = await opening()
    end.scripts = [streamed(BEGINS[0], HOLD), list(CANCELLED)]
    handle = await talk.start()
    (held,) = streams()
    await talk.provider.cancel(talk.asked, handle)
    assert held.response.is_closed


@pytest.mark.parametrize("how", ["its first event", "a name"])
async def test_a_create_that_tells_nothing_leaves_nothing_open(
    opening: Opening, end: SseEnd, how: str
) -> None:
    """A stream on which nobody waits any more is closed."""
    talk = await opening(timings=msgspec.structs.replace(SOON, answer=1.0))
    end.scripts = [streamed(*([nameless({"type": "x"})] if how == "a name" else []), HOLD)]
    starting = asyncio.create_task(talk.run())
    await end.holding.wait()
    await until(streams)
    (held,) = streams()
    assert isinstance(await starting, Unclear)
    assert held.response.is_closed


TROUBLE: dict[str, bytes] = {
    "an event": event("error", {"type": "error", "code": "server_error", "message": "broke"}),
    "a gateway's": nameless({"error": {"message": "upstream timed out", "code": None}}),
    "a strange one": event("error", {"type": "error", "code": "what", "message": "broke"}),
}


@pytest.mark.parametrize("how", TROUBLE)
async def test_trouble_in_place_of_the_first_event_says_nothing(
    opening: Opening, end: SseEnd, how: str
) -> None:
    """Like an answer of 500: what is behind it may run on, so that it is begun again only
    where nobody is billed."""
    for key, code in (("sk-secret", "Unclear"), (None, "provider_failed")):
        talk = await opening(key=key)
        end.scripts = [streamed(TROUBLE[how])]
        assert code_of(await talk.run()) == code


async def test_one_that_is_missing_once_is_asked_about_again(opening: Opening, end: SseEnd) -> None:
    """What was just written may not be found everywhere yet; only what is missing thrice in a
    row is gone."""
    talk = await opening()
    last = stands(4, "completed", text="so it is")
    missing = [list(MISSING) for _ in range(8)]
    end.scripts = [
        streamed(*BEGINS, CUT),
        *missing[:4],
        list(MISSING),
        answered(200, response("in_progress")),
        *missing[4:],
        streamed(writes(3, "so it is"), last),
    ]
    assert await talk.run() == Done(usage=USED)
    assert talk.text == "so it is"


async def test_text_without_numbers_is_told_once(opening: Opening, end: SseEnd) -> None:
    """A server that does not count its events begins anew, and what was told is left out,
    however it is cut this time."""
    talk = await opening()

    def said(text: str) -> bytes:
        return nameless({"type": "response.output_text.delta", "delta": text})

    created = nameless({"type": "response.created", "response": response("in_progress")})
    completed = nameless({"type": "response.completed", "response": response(text="so it is!")})
    end.scripts = [
        streamed(created, said("so "), said("it"), CUT),
        answered(200, response("in_progress")),
        streamed(created, said("so it "), said("is"), CUT),
        answered(200, response("in_progress")),
        streamed(created, said("s"), said("o it is"), said("!"), completed),
    ]
    assert await talk.run() == Done(usage=USED)
    assert [one.text for one in talk.of(Delta)] == ["so ", "it", " ", "is", "!"]


async def test_a_cancelled_one_that_was_not_seen_to_wait_may_have_begun(
    opening: Opening, end: SseEnd
) -> None:
    """A server need not say what a cancelled response used: only one that was seen in the
    queue is free."""
    talk = await opening()
    end.scripts = [streamed(told(0, "created", response=response("queued")), CUT)]
    end.scripts += [streamed(), list(CANCELLED)]
    assert await talk.run() == Ended()


async def test_a_cancel_is_seen_while_a_piece_is_being_written(
    opening: Opening, end: SseEnd
) -> None:
    """The piece is kept, and the rest of the stream is not waited for."""
    talk = await opening(timings=NEVER_SILENT)
    writing, written = asyncio.Event(), asyncio.Event()

    async def slow(report: Any) -> None:
        await talk.report(report)
        writing.set()
        await written.wait()

    end.scripts = [
        streamed(*BEGINS, writes(3, "so "), HOLD),
        list(CANCELLED),
        answered(200, response("cancelled", "so ", usage=words.USAGE)),
    ]
    handle = await talk.start()
    following = asyncio.create_task(talk.provider.follow(talk.asked, handle, slow))
    async with asyncio.timeout(20):
        await writing.wait()
        await talk.provider.cancel(talk.asked, handle)
        written.set()
        assert await following == Ended(usage=USED)


async def test_a_text_that_was_changed_is_not_told_in_parts(opening: Opening, end: SseEnd) -> None:
    """What was told stands; of a whole that does not begin with it nothing is added."""
    talk = await opening()
    last = stands(4, "completed", text="It is otherwise")
    end.scripts = [streamed(*BEGINS, writes(3, "so "), last)]
    assert await talk.run() == Done(usage=USED)
    assert talk.text == "so "


async def test_a_refusal_behind_a_text_leaves_the_text(opening: Opening, end: SseEnd) -> None:
    """What was written is a result, and was paid."""
    talk = await opening()
    last = stands(4, "completed", output=words.refusing("no more")["output"])
    end.scripts = [streamed(*BEGINS, writes(3, "so "), last)]
    assert await talk.run() == Done(usage=USED)
    assert talk.text == "so "
