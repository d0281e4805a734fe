"""What each answer to a create comes to: refused and free, may pass, or not to be told."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from safelight.providers.base import Again, Never, Unclear
from safelight.providers.openai import OpenAI
from safelight.settings import ProviderSettings
from tests.doubles.openai_talk import SOON, Opening, Talk, code_of
from tests.doubles.openai_words import error
from tests.doubles.sse_end import SseEnd, answered

KEY = "sk-live-abcdef123456"

ANSWERS: dict[str, tuple[int, Any, dict[str, str], str, bool]] = {
    "no key": (401, error(f"Incorrect API key provided: {KEY}"), {}, "provider_refused", True),
    "not allowed": (403, error("Country not supported"), {}, "provider_refused", True),
    "no credit": (
        429,
        error("You exceeded your current quota", code="insufficient_quota"),
        {},
        "provider_refused",
        True,
    ),
    "too many": (
        429,
        error("Rate limit reached", code="rate_limit_exceeded"),
        {"retry_after": "7"},
        "throttled",
        True,
    ),
    "overloaded": (
        503,
        error("The engine is currently overloaded, please try again later."),
        {"retry_after": "3"},
        "provider_failed",
        True,
    ),
    "moderated": (400, error("blocked", code="moderation_blocked"), {}, "content_refused", False),
    "a prompt not allowed": (400, error(code="invalid_prompt"), {}, "content_refused", False),
    "no such model": (404, error("no m", code="model_not_found"), {}, "model_not_found", True),
    "a wrong address": (404, b"<html>", {}, "provider_failed", False),
    "too long": (400, error(code="context_length_exceeded"), {}, "invalid_input", False),
    "a wrong value": (
        400,
        error("Invalid value: 'x' in req_0123456789abcdef.", param="size"),
        {},
        "invalid_input",
        False,
    ),
    "what FastAPI says": (422, {"detail": "top_k must be positive"}, {}, "invalid_input", False),
    "what Ollama says": (400, {"error": "invalid options"}, {}, "invalid_input", False),
    "too large": (413, error("too large"), {}, "too_large", False),
    "a conflict": (409, error("try again"), {}, "provider_failed", False),
    "a web page": (400, b"<html>", {}, "provider_failed", False),
    "a redirect": (307, b"", {"location": "http://elsewhere.example/"}, "provider_failed", False),
}


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("why", ANSWERS)
async def test_a_refusal_began_nothing(opening: Opening, end: SseEnd, why: str, api: str) -> None:
    """It has a code, is free and says why; one request was made; no vendor's secret is told."""
    status, body, headers, code, elsewhere = ANSWERS[why]
    talk = await opening(api=api)
    end.scripts = [answered(status, body, **headers)]
    outcome = await talk.run()
    assert code_of(outcome) == code
    assert isinstance(outcome, Again | Never)
    assert outcome.charge is not None
    assert (outcome.charge.verdict, bool(outcome.charge.reason)) == ("free", True)
    assert outcome.elsewhere is elsewhere
    assert len(end.asked) == 1
    assert "sk-" not in outcome.message
    assert "req_" not in outcome.message
    if isinstance(outcome, Again) and headers:
        assert outcome.after_seconds == float(headers["retry_after"])


async def test_a_wrong_value_is_told_in_their_words(opening: Opening, end: SseEnd) -> None:
    """Words about the request are for whoever made it."""
    talk = await opening()
    end.scripts = [answered(400, error("Invalid value: 'x'.", param="size"))]
    outcome = await talk.run()
    assert isinstance(outcome, Never)
    assert outcome.message == "openai does not take size: Invalid value: 'x'."


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520])
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_a_servers_own_trouble_says_nothing_of_what_began(
    opening: Opening, end: SseEnd, status: int, api: str
) -> None:
    """It may have begun, so it is in doubt; but a server that bills nobody may be asked
    again."""
    talk = await opening(api=api)
    end.scripts = [answered(status, error("The server had an error", type="server_error"))]
    assert isinstance(await talk.run(), Unclear)
    own = await opening(api=api, key=None)
    end.scripts = [answered(status, error("The server had an error", type="server_error"))]
    assert code_of(await own.run()) in ("provider_failed", "Gone")


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_only_a_503_means_that_an_overload_began_nothing(
    opening: Opening, end: SseEnd, api: str
) -> None:
    """The same words in a 500 say nothing of what began."""
    talk = await opening(api=api)
    end.scripts = [answered(500, error("The engine is currently overloaded."))]
    assert isinstance(await talk.run(), Unclear)


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_who_takes_no_connection_has_begun_nothing(api: Any) -> None:
    """It may be tried again, here or elsewhere."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    settings = ProviderSettings(url=f"http://127.0.0.1:{port}/v1", key=KEY, api=api)
    provider = OpenAI(settings, timings=SOON)
    async with provider.open():
        outcome = await Talk(provider).run()
    assert isinstance(outcome, Again)
    assert outcome.charge is not None
    assert (outcome.code, outcome.charge.verdict) == ("provider_unreachable", "free")
    assert outcome.elsewhere
