"""The SDK's client, made so that it sends what it is told to, once, and nothing else.

Its retries are off, its redirects are not followed, its time limits are ours, and it takes
neither account nor project from the environment. Knows no prediction.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import httpx2
import msgspec
from openai import AsyncOpenAI, Omit, OpenAIError

from ...settings import ProviderSettings
from ..base import Again, Unclear
from ..pace import grown
from ..streams import NO_KEY, client

URL = "https://api.openai.com/v1"

TROUBLE = (OpenAIError, httpx2.HTTPError, ValueError, RecursionError)
"""What a request, or the reading of its answer, may end in; a ValueError is an answer that
is none, a RecursionError one that is nested without end."""


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, all of them.

    `answer` is for one short answer, `silence` for a stream on which nothing comes, `whole`
    for pictures, which may come in one piece at the end. A response that is followed without
    a stream is asked for every `poll`, and more and more seldom up to `poll_most`. One that
    is queued `stuck` seconds after its stream was torn will not begin any more.
    """

    answer: float = 60.0
    silence: float = 120.0
    whole: float = 300.0
    poll: float = 1.0
    poll_most: float = 15.0
    stuck: float = 120.0

    def pause(self, tries: int) -> float:
        """Between one question and the next, after that many in vain."""
        return grown(self.poll, self.poll_most, tries)

    @classmethod
    def of(cls, settings: ProviderSettings) -> Timings:
        """Those that the settings mean."""
        silence = settings.silence_seconds
        return cls(answer=settings.request_seconds, silence=silence, whole=max(silence, 300.0))


def is_own(settings: ProviderSettings) -> bool:
    """Whether it is OpenAI that is spoken to, by its address or by the settings' word: only
    it has the Responses API as a whole."""
    url = settings.url or URL
    return settings.api == "responses" or _host(url) == "api.openai.com"


def _host(url: str) -> str:
    return url.split("/")[2].split(":")[0].lower()


def sdk_of(settings: ProviderSettings, silence: float) -> AsyncOpenAI:
    """A client to be closed by whoever has it. Without a key no such header is sent; an
    answer on which not a byte comes for `silence` seconds is given up."""
    url = settings.url or URL
    left_out: dict[str, Any] = {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
    http = client(url, silence)
    if settings.key is None:
        http.event_hooks["request"].append(_without_key)
    sdk = AsyncOpenAI(
        api_key=settings.key or NO_KEY,
        organization="",
        project="",
        webhook_secret="",
        base_url=url,
        max_retries=0,
        http_client=http,
    )
    sdk._custom_headers = left_out  # not those of OPENAI_CUSTOM_HEADERS, a key among them
    _used_of(sdk)
    return sdk


_used_of = attrgetter("responses", "chat.completions", "images", "models")
"""The SDK imports each when it is first looked at: while nobody waits, not at a request."""


async def _without_key(request: httpx2.Request) -> None:
    """The SDK has to be given some key; nobody else is."""
    del request.headers["Authorization"]


class Line(msgspec.Struct, frozen=True):
    """One configured server, and how we speak with it; `painting` is for pictures. `own`: it
    is OpenAI's. `billed`: what it runs may cost somebody money, so nothing is ever asked of
    it twice."""

    name: str
    sdk: AsyncOpenAI
    painting: AsyncOpenAI
    timings: Timings
    own: bool
    billed: bool

    def lost(self, why: str) -> Unclear | Again:
        """An answer that ended before its end. Who bills nobody may be asked again."""
        if self.billed:
            return Unclear(f"{self.name} may have run it, but {why}")
        return Again("provider_failed", f"{self.name} was lost: {why}")
