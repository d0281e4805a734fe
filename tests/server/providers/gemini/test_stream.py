"""One answer from the POST to its last word: what is sent, reported, used, and ended with."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.base import Done, Failure, InputFile, Made, Moved, Never, Shown, Unclear
from safelight.providers.gemini import Gemini
from safelight_protocol.prices import used
from tests.doubles.gemini_words import blocked, counts, picture, piece, says
from tests.doubles.heard import Heard, followed, prediction
from tests.doubles.sse_end import CUT, SseEnd, streamed

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


async def test_a_text_is_told_as_it_comes(provider: Gemini, end: SseEnd) -> None:
    """Every piece is a report of its own; thoughts are none; the last counts are the usage."""
    thought = piece({"text": "hm", "thought": True}, **counts(written=1))
    last = says(" turns.", finish="STOP", **counts(thoughtsTokenCount=3))
    end.scripts = [streamed(thought, says("A light"), last)]
    heard = Heard()
    outcome = await followed(provider, prediction(), heard)
    assert [report.text for report in heard.reports] == ["A light", " turns."]
    expected = used({"input_token": 10, "cached_token": 0, "output_token": 8})
    assert outcome == Done(usage=expected)


async def test_what_is_sent(provider: Gemini, end: SseEnd) -> None:
    """One POST with the key in its header, and every parameter where it belongs; those that
    we do not know go with the others of generation."""
    end.scripts = [streamed(says("x", finish="STOP"))]
    params = {"max_tokens": 99, "system": "Be brief.", "temperature": 0, "mediaResolution": "LOW"}
    await followed(provider, prediction(model="gemini-x", params=params, seed=2**31 + 5))
    (asked,) = end.asked
    assert asked.headers["x-client-request-id"] == "gemini-u1-1"
    assert asked.line == "POST /v1/models/gemini-x:streamGenerateContent?alt=sse HTTP/1.1"
    assert asked.headers["x-goog-api-key"] == "g-secret"
    sent = end.sent()
    assert sent["contents"] == [{"role": "user", "parts": [{"text": "a lighthouse"}]}]
    assert sent["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert sent["generationConfig"] == {
        "maxOutputTokens": 99,
        "temperature": 0,
        "seed": 5,
        "mediaResolution": "LOW",
    }


async def test_a_picture_is_a_file(provider: Gemini, end: SseEnd) -> None:
    """A picture is reported with its bytes, one that is only thought of as a preview; tokens
    of pictures are told apart."""
    details = [{"modality": "IMAGE", "tokenCount": 1290}]
    used_up = counts(written=1300, thoughtsTokenCount=20, candidatesTokensDetails=details)
    end.scripts = [
        streamed(
            piece(picture(b"draft", thought=True)),
            piece({"text": "Here it is."}, picture(PNG)),
            piece(finish="STOP", **used_up),
        )
    ]
    heard = Heard()
    params = {"aspect_ratio": "16:9", "image_size": "2K"}
    outcome = await followed(provider, prediction(kind="image", params=params), heard)
    assert heard.reports == [Shown(1, "image/png", b"draft"), Made("image", "image/png", PNG)]
    config = end.sent()["generationConfig"]
    assert config["responseModalities"] == ["TEXT", "IMAGE"]
    assert config["imageConfig"] == {"aspectRatio": "16:9", "imageSize": "2K"}
    counted = {"input_token": 10, "cached_token": 0, "output_token": 30}
    assert outcome == Done(usage=used(counted | {"image": 1, "output_image_token": 1290}))


async def test_a_large_picture_comes_whole(provider: Gemini, end: SseEnd) -> None:
    """A piece of several megabytes is read like any other."""
    large = PNG + bytes(6_000_000)
    end.scripts = [streamed(piece(picture(large), finish="STOP"))]
    heard = Heard()
    assert isinstance(await followed(provider, prediction(kind="image"), heard), Done)
    assert [made.data for made in heard.of(Made)] == [large]


async def test_input_pictures_go_before_the_words(
    provider: Gemini, end: SseEnd, tmp_path: Path
) -> None:
    """An input picture is a part of its own, its bytes in base64."""
    end.scripts = [streamed(says("x", finish="STOP"))]
    (tmp_path / "a.png").write_bytes(b"png!")
    await followed(provider, prediction(inputs=(InputFile(tmp_path / "a.png", "image/png"),)))
    first, last = end.sent()["contents"][0]["parts"]
    inline = first["inlineData"]
    assert inline["data"] == base64.b64encode(b"png!").decode()
    assert "image/png" in inline.values()  # by a name in either of Google's two ways to write it
    assert last == {"text": "a lighthouse"}


async def test_what_cannot_be_sent_is_refused_before_anything_is(
    provider: Gemini, end: SseEnd, tmp_path: Path
) -> None:
    """A video, as an input or as a result, is refused by the start; a file that has gone is
    told as that."""
    clip = InputFile(tmp_path / "a.mp4", "video/mp4")
    gone = InputFile(tmp_path / "a.png", "image/png")
    for asked in (prediction(inputs=(clip,)), prediction(kind="video")):
        with pytest.raises(Failure) as failure:
            await provider.start(asked)
        assert isinstance(failure.value.outcome, Never)
        assert failure.value.outcome.code == "invalid_input"
    with pytest.raises(FileNotFoundError):
        await provider.start(prediction(inputs=(gone,)))
    assert not end.asked


async def test_cached_tokens_are_told_apart(provider: Gemini, end: SseEnd) -> None:
    """What came out of the cache is not counted as input as well."""
    last = says("x", finish="STOP", **counts(prompt=100, cachedContentTokenCount=80))
    end.scripts = [streamed(last)]
    outcome = await followed(provider, prediction())
    expected = used({"input_token": 20, "cached_token": 80, "output_token": 5})
    assert outcome == Done(usage=expected)


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "CONTINUATION"])
async def test_a_text_that_was_cut_off_is_not_gone_on_with(
    provider: Gemini, end: SseEnd, reason: str
) -> None:
    """It is done and says so. The SDK, left to itself, would send another request and pay for
    it, where there is a token to go on by."""
    candidate = {"continuationToken": base64.b64encode(b"go on").decode()}
    end.scripts = [streamed(says("x", finish=reason, candidate=candidate))] * 2
    heard = Heard()
    assert isinstance(await followed(provider, prediction(), heard), Done)
    (moved,) = heard.of(Moved)
    assert "cut off" in (moved.message or "")
    assert len(end.asked) == 1


@pytest.mark.parametrize(
    "reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR"]
)
async def test_a_verdict_on_the_content_is_final(
    provider: Gemini, end: SseEnd, reason: str
) -> None:
    """It is content_refused, with what it used."""
    end.scripts = [streamed(says("x"), piece(finish=reason, **counts()))]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Never) and outcome.code == "content_refused"
    assert outcome.usage is not None


async def test_a_prompt_that_is_blocked_is_refused(provider: Gemini, end: SseEnd) -> None:
    """There is no candidate then, only a word on the prompt."""
    end.scripts = [streamed(blocked())]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Never) and outcome.code == "content_refused"


@pytest.mark.parametrize(("reason", "words"), [("STOP", "I cannot draw."), ("NO_IMAGE", "")])
async def test_a_picture_that_was_not_made_is_a_failure(
    provider: Gemini, end: SseEnd, reason: str, words: str
) -> None:
    """An answer of words alone is none to who asked for a picture; the words are told."""
    end.scripts = [streamed(piece({"text": words}, finish=reason, **counts()))]
    outcome = await followed(provider, prediction(kind="image"))
    assert isinstance(outcome, Never) and outcome.code == "provider_failed"
    assert words in outcome.message and outcome.usage is not None


@pytest.mark.filterwarnings("default:.*is not a valid")
async def test_a_reason_that_nobody_knows_is_told(provider: Gemini, end: SseEnd) -> None:
    """A new reason to finish is no success, and is named."""
    end.scripts = [streamed(says("x", finish="BOREDOM"))]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Never) and "BOREDOM" in outcome.message


@pytest.mark.parametrize("tail", [[], [CUT]])
async def test_the_end_of_a_stream_is_not_the_end_of_a_run(
    provider: Gemini, end: SseEnd, tail: list[Any]
) -> None:
    """A stream that ends well, or is cut, before the model has finished tells nothing, and is
    not taken up by another request, though there were a token for that."""
    candidate = {"continuationToken": base64.b64encode(b"go on").decode()}
    end.scripts = [streamed(says("x", candidate=candidate), *tail)] * 2
    assert isinstance(await followed(provider, prediction()), Unclear)
    assert len(end.asked) == 1


async def test_after_the_last_word_nothing_can_be_lost(provider: Gemini, end: SseEnd) -> None:
    """A connection that breaks when the model had finished breaks nothing; counts that come
    after it are heard."""
    end.scripts = [streamed(says("x", finish="STOP"), piece(**counts(written=9)), CUT)]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Done)
    assert outcome.usage == used({"input_token": 10, "cached_token": 0, "output_token": 9})


@pytest.mark.parametrize("garbage", [b"data: {nonsense\n\n", b'data: {"candidates": 7}\n\n'])
async def test_a_stream_that_is_no_stream_is_unclear(
    provider: Gemini, end: SseEnd, garbage: bytes
) -> None:
    """Garbage in the middle says nothing of the run, and is no bug of ours."""
    end.scripts = [streamed(says("x"), garbage)]
    assert isinstance(await followed(provider, prediction()), Unclear)
