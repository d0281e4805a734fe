"""Pictures: partial ones on the way, several at once, and servers that do not stream."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.base import (
    Done,
    Ended,
    Found,
    Gone,
    InputFile,
    Made,
    Moved,
    Never,
    Shown,
    Unclear,
    Unknowable,
)
from safelight_protocol.prices import used
from tests.doubles import openai_words as words
from tests.doubles.openai_talk import Opening, Talk, code_of
from tests.doubles.openai_words import PICTURE, painted, partial
from tests.doubles.sse_end import CUT, HOLD, SseEnd, answered, event, streamed

COUNTED = {
    "run": 1,
    "input_token": 7,
    "input_image_token": 2,
    "cached_token": 0,
    "output_token": 0,
    "output_image_token": 300,
}


async def painting(opening: Opening, **fields: Any) -> Talk:
    """A picture that is asked for."""
    talk: Talk = await opening(kind="image", model="gpt-image-2", **fields)
    return talk


async def test_partial_pictures_come_before_the_picture(opening: Opening, end: SseEnd) -> None:
    """They are shown, progress grows with them, and the picture is what was made."""
    talk = await painting(opening, params={"width": 1536, "height": 1024, "quality": "low"})
    end.scripts = [streamed(partial(0), partial(1), painted())]
    assert await talk.run() == Done(usage=used(COUNTED | {"image": 1}))
    assert talk.of(Shown) == [
        Shown(1, "image/webp", b"partial 0"),
        Shown(2, "image/webp", b"partial 1"),
    ]
    assert [moved.progress for moved in talk.of(Moved)] == [
        pytest.approx(1 / 3),
        pytest.approx(2 / 3),
    ]
    assert talk.reports[-1] == Made("image", "image/webp", b"a picture")
    assert end.sent() == {
        "model": "gpt-image-2",
        "prompt": "a lamp",
        "n": 1,
        "size": "1536x1024",
        "quality": "low",
        "stream": True,
        "partial_images": 2,
    }
    assert end.asked[0].headers["x-client-request-id"] == talk.handle == "openai-u1-1"


async def test_several_come_in_one_answer(opening: Opening, end: SseEnd) -> None:
    """One request, one count of what they used, every picture reported."""
    talk = await painting(opening, n=3, params={"output_format": "jpeg"})
    data = [{"b64_json": PICTURE}] * 3
    told = {"created": 1, "data": data, "output_format": "jpeg", "usage": words.PAINTED}
    end.scripts = [answered(200, told)]
    assert await talk.run() == Done(usage=used(COUNTED | {"image": 3}))
    assert talk.of(Made) == [Made("image", "image/jpeg", b"a picture")] * 3
    assert len(end.asked) == 1
    assert "stream" not in end.sent()


async def test_who_refuses_to_stream_is_asked_without(opening: Opening, end: SseEnd) -> None:
    """The refusal began nothing, so the picture is still made once."""
    talk = await painting(opening)
    refused = words.error("Unknown parameter: 'stream'.", param="stream", code="unknown_parameter")
    end.scripts = [
        answered(400, refused),
        answered(200, {"data": [{"b64_json": PICTURE}]}),
    ]
    assert await talk.run() == Done(usage=used({"run": 1, "image": 1}))
    assert talk.reports == [Made("image", "image/png", b"a picture")]
    assert "stream" not in end.sent()


async def test_who_answers_whole_is_heard_all_the_same(opening: Opening, end: SseEnd) -> None:
    """A server that takes no notice of `stream` answers in one piece; one that names an
    address has its file fetched."""
    talk = await painting(opening, key=None)
    url = end.url + "/files/a.png"
    end.scripts = [answered(200, {"data": [{"url": url}]})]
    assert await talk.run() == Done(usage=used({"run": 1, "image": 1}))
    assert talk.reports == [Found(kind="image", key="0", url=url)]


async def test_pictures_to_start_from_are_sent_as_files(
    opening: Opening, end: SseEnd, tmp_path: Path
) -> None:
    """Then it is an edit, and its events are called so."""
    (tmp_path / "a.png").write_bytes(b"first pixels")
    (tmp_path / "b.webp").write_bytes(b"second pixels")
    given = (
        InputFile(tmp_path / "a.png", "image/png"),
        InputFile(tmp_path / "b.webp", "image/webp"),
    )
    talk = await painting(opening, inputs=given, params={"input_fidelity": "high"})
    end.scripts = [streamed(partial(0, "image_edit"), painted("image_edit"))]
    assert isinstance(await talk.run(), Done)
    asked = end.asked[0]
    assert asked.line == "POST /v1/images/edits HTTP/1.1"
    for part in (b'name="image[]"; filename="input-0.png"', b"first pixels", b"second pixels"):
        assert part in asked.body
    assert b'name="input_fidelity"\r\n\r\nhigh' in asked.body
    assert [type(report) for report in talk.reports] == [Shown, Moved, Made]


LOST: dict[str, list[Any]] = {
    "before the answer": [CUT],
    "in the middle": streamed(partial(0), CUT),
    "by an end that is none": streamed(partial(0)),
    "by an answer without a picture": answered(200, {"data": []}),
    "by a page": answered(200, b"<html>"),
    "by a server's trouble": answered(500, words.error("The server had an error")),
}


@pytest.mark.parametrize("how", LOST)
async def test_a_picture_that_is_lost_is_not_asked_for_again(
    opening: Opening, end: SseEnd, how: str
) -> None:
    """It is billed, probably, and nobody can be asked for it; one request was made."""
    talk = await painting(opening)
    end.scripts = [list(LOST[how])]
    assert isinstance(await talk.run(), Unclear)
    assert isinstance(await talk.look_up(), Unknowable)
    assert isinstance(await talk.follow(), Unclear)
    assert len(end.asked) == 1


async def test_after_a_restart_nothing_can_be_told(opening: Opening, end: SseEnd) -> None:
    """A handle that was saved may have been sent: it is followed in vain, and is unknowable
    from then on."""
    talk = await painting(opening)
    assert isinstance(await talk.follow("openai-u1-1"), Unclear)
    assert isinstance(await talk.look_up(), Unknowable)
    assert not end.asked


async def test_what_has_no_handle_was_never_sent(opening: Opening, end: SseEnd) -> None:
    """A claim that was cut off before its handle was saved began nothing, for certain."""
    talk = await painting(opening)
    assert isinstance(await talk.look_up(), Gone)
    await talk.start()
    assert isinstance(await talk.look_up(), Gone)
    assert not end.asked


async def test_a_picture_that_is_not_allowed_says_so(opening: Opening, end: SseEnd) -> None:
    """Before it began, which is free, and in the middle, which may not be."""
    blocked = words.error("Your request was rejected", code="moderation_blocked")
    talk = await painting(opening)
    end.scripts = [answered(400, blocked)]
    outcome = await talk.run()
    assert isinstance(outcome, Never)
    assert outcome.charge is not None
    assert (outcome.code, outcome.charge.verdict) == ("content_refused", "free")
    talk = await painting(opening)
    end.scripts = [streamed(partial(0), event("error", blocked))]
    outcome = await talk.run()
    assert isinstance(outcome, Never)
    assert (outcome.code, outcome.charge) == ("content_refused", None)


async def test_bytes_that_are_no_picture_are_a_failure(opening: Opening, end: SseEnd) -> None:
    """It ran, it is paid, and there is nothing to show."""
    talk = await painting(opening)
    end.scripts = [streamed(painted(b64_json="not base64!"))]
    outcome = await talk.run()
    assert code_of(outcome) == "provider_failed"
    assert isinstance(outcome, Never)
    assert outcome.usage == used(COUNTED | {"image": 0})


async def test_a_cancel_hangs_up(opening: Opening, end: SseEnd) -> None:
    """Also while the server has not answered at all."""
    talk = await painting(opening)
    end.scripts = [[HOLD]]
    handle = await talk.start()
    following = asyncio.create_task(talk.follow())
    await end.holding.wait()
    await talk.provider.cancel(talk.asked, handle)
    assert isinstance(await following, Ended)
    await asyncio.wait_for(end.left.wait(), 20)
