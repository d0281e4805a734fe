"""What comes after the last word of a chat, and refusals that only look like others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from safelight.providers.base import Done, Ended
from tests.doubles import openai_words as words
from tests.doubles.openai_talk import Opening, code_of
from tests.doubles.openai_words import DONE, USED, chunk, counts
from tests.doubles.sse_end import HOLD, SseEnd, answered, nameless, streamed
from tests.doubles.turns import until

SAID = (chunk("so "), chunk("it is"), chunk(finish="stop"))


async def test_an_error_behind_the_last_word_costs_no_second_run(
    opening: Opening, end: SseEnd
) -> None:
    """All was said: only the count of tokens is missing."""
    talk = await opening(api="chat")
    end.scripts = [streamed(*SAID, nameless(words.error("cannot count", code="server_error")))]
    assert await talk.run() == Done(usage=None)
    assert talk.text == "so it is"


async def test_a_cancel_behind_the_last_word_is_too_late(opening: Opening, end: SseEnd) -> None:
    """It is paid, so it is given."""
    talk = await opening(api="chat")
    end.scripts = [streamed(*SAID, HOLD, counts(), DONE)]
    handle = await talk.start()
    following = asyncio.create_task(talk.follow())
    await end.holding.wait()
    await until(lambda: talk.text == "so it is")
    for _ in range(20):  # turns of the loop, in which the last word is heard
        await asyncio.sleep(0)
    await talk.provider.cancel(talk.asked, handle)
    assert await following == Done(usage=None)


ECHOES: dict[str, Any] = {
    "a policy": words.error("'a stream, by seed' is not allowed", code="moderation_blocked"),
    "another field": words.error("no prompt with stream or seed in it", param="prompt"),
    "a list": {"detail": [{"loc": ["body", "prompt"], "input": "a stream, seed", "msg": "no"}]},
}


@pytest.mark.parametrize("kind", ["image", "text"])
@pytest.mark.parametrize("how", ECHOES)
async def test_a_refusal_that_tells_the_prompt_is_not_asked_again(
    opening: Opening, end: SseEnd, kind: str, how: str
) -> None:
    """Words of the request are not names of fields, and what a policy stopped may have run."""
    talk = await opening(api="chat", kind=kind, prompt="a stream, by seed")
    end.scripts = [answered(400, ECHOES[how]), streamed(*SAID, counts(), DONE)]
    assert code_of(await talk.run()) in ("content_refused", "invalid_input", "provider_failed")
    assert len(end.asked) == 1


FIELDS: dict[str, Any] = {
    "a list": {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]},
    "a part of it": words.error("no", param="stream_options.include_usage"),
}


@pytest.mark.parametrize("how", FIELDS)
async def test_a_field_that_is_named_is_left_out(opening: Opening, end: SseEnd, how: str) -> None:
    """However a server names it."""
    talk = await opening(api="chat")
    end.scripts = [answered(422, FIELDS[how]), streamed(*SAID, counts(), DONE)]
    assert await talk.run() == Done(usage=USED)


async def test_all_fields_that_are_named_are_left_out_at_once(
    opening: Opening, end: SseEnd
) -> None:
    """Each refusal costs a request."""
    talk = await opening(api="chat")
    refused = words.error("does not support parameters: ['seed', 'stream_options']")
    end.scripts = [answered(400, refused), streamed(*SAID, DONE)]
    assert await talk.run() == Done(usage=None)
    assert not {"seed", "stream_options"} & end.sent().keys()


async def test_a_cancel_where_nobody_is_billed_says_nothing_of_money(
    opening: Opening, end: SseEnd
) -> None:
    """A charge that is not known would be a lie."""
    talk = await opening(api="chat", key=None)
    end.scripts = [streamed(chunk("so "), HOLD)]
    handle = await talk.start()
    following = asyncio.create_task(talk.follow())
    await end.holding.wait()
    await talk.provider.cancel(talk.asked, handle)
    assert await following == Ended()
