"""Whether a provider takes us: what is asked of it to learn that, and what it says.

A greeting costs nothing and begins nothing. What a provider says of our key or our credit is
for the operator, and even there only words that are known are told on: whatever else a
vendor writes may be about our account. Asks nobody; knows neither HTTP nor runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

About = Literal["key", "credit", "rights"]
"""What of ours is not accepted: the key, the account's money, or the key for just that."""

ABOUT: dict[int, About] = {401: "key", 402: "credit", 403: "rights"}
"""The same by the status, where no provider means another thing by it."""

WORDS = frozenset(
    {
        # Replicate, SuperDuperAI
        *("Unauthenticated", "Unauthorized", "Insufficient credit", "Insufficient balance"),
        *("Not authenticated", "Could not validate credentials", "VIP access required"),
        # OpenAI, and those that speak like it
        *("invalid_api_key", "missing_scope", "insufficient_permissions", "insufficient_quota"),
        *(
            "billing_hard_limit_reached",
            "billing_not_active",
            "unsupported_country_region_territory",
        ),
        # Anthropic
        *("authentication_error", "permission_error", "billing_error"),
        # Gemini
        *("API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "FAILED_PRECONDITION"),
        *("UNAUTHENTICATED", "PERMISSION_DENIED"),
    }
)
"""Their own words for it, which are told on; no other is."""

FIELDS = ("reason", "code", "status", "type", "title", "detail")
"""Where such a word stands, the one that says most first."""


class Welcome(msgspec.Struct, frozen=True):
    """It is there, and takes our key. Without `proves_key` it may answer so to anybody."""

    proves_key: bool = True


class Denied(msgspec.Struct, frozen=True):
    """It is there, and does not take what we ask: `status` is that of its answer, `word` its
    own for it, if that is known."""

    status: int
    about: About
    word: str | None = None


class Away(msgspec.Struct, frozen=True):
    """It could not be asked, or what answered is none of its kind; anybody may be told why."""

    why: str


Answer = Welcome | Denied | Away

Heard = Callable[[Denied], None]
"""Takes what a provider says of us beside the outcomes of runs. Must not raise."""


@runtime_checkable
class Greeting(Protocol):
    """A provider that can be asked whether it takes us. `speaks` is the type of it, `url`
    where it is, without credentials; `heard` is set by whoever wants to know what it says."""

    heard: Heard

    @property
    def speaks(self) -> str: ...
    @property
    def url(self) -> str: ...

    async def greet(self) -> Answer:
        """Ask it now, once, for as long as one answer of it may take. Begins nothing, costs
        nothing, and raises nothing that is not a defect."""


def unheard(denied: Denied) -> None:
    """Nobody wants to know yet."""


def denied(status: int, body: Any, about: About | None = None) -> Denied:
    """What an answer says of us, by its status and its JSON."""
    known = (word for word in _words(body) if word in WORDS)
    return Denied(status, about or ABOUT.get(status, "key"), next(known, None))


def _words(body: Any) -> Iterator[str]:
    """All places of an answer where a word for it may stand, of usual shapes."""
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        return
    error = body.get("error")
    within = error if isinstance(error, dict) else {}
    details = within.get("details")
    listed = details if isinstance(details, list) else []
    for one in (*listed, within, body):
        if isinstance(one, dict):
            yield from (word for field in FIELDS if isinstance(word := one.get(field), str))
