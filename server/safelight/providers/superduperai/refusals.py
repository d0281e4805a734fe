"""What a create that was refused means, in our words.

A refusal has begun nothing, and costs nothing. What an answer of 5xx, or none, means is
not to be read from it: that is looked up.
"""

from __future__ import annotations

from typing import Any

from safelight_protocol.identity import shown

from ..base import Again, Never
from ..http import NOTHING, Fault, misaddressed, no_model, refusal_of, too_large

MODERATED = ("content policy", "moderation", "moderated", "safety", "nsfw", "inappropriate")
"""Words by which a refusal is one of the prompt; they have no code for it."""

REPEATED = (
    "the provider makes nothing twice, and this seed was used with this prompt and model before"
)


def refusal(fault: Fault, provider: str) -> Again | Never | None:
    """What a create came to that certainly began nothing; None where that cannot be told."""
    common = refusal_of(fault, provider)
    if common is not None or fault.status is None or fault.status >= 500:
        return common
    detail = fault.body.get("detail") if isinstance(fault.body, dict) else None
    match fault.status:
        case 409:
            return Again("provider_failed", REPEATED, fresh_seed=True, charge=NOTHING)
        case 404:
            return no_model(provider)
        case 413:
            return too_large(provider)
        case 408 | 425:
            return None
        case _ if _is_moderation(detail):
            message = f"{provider} refuses to make this"
            return Never("content_refused", message, charge=NOTHING)
        case 400 | 422:
            return Never("invalid_input", f"{provider} {_fields(detail)}", charge=NOTHING)
    return misaddressed(provider, fault.status)


def _is_moderation(detail: Any) -> bool:
    return isinstance(detail, str) and any(word in detail.casefold() for word in MODERATED)


def _fields(detail: Any) -> str:
    """Which fields it does not take."""
    rows = [row for row in detail if isinstance(row, dict)] if isinstance(detail, list) else []
    places = [_place(row.get("loc")) for row in rows]
    named = [place for place in places if place]
    if not named:
        return "does not take the request"
    return f"does not take the request: wrong are {', '.join(dict.fromkeys(named))}"


def _place(loc: Any) -> str:
    """`["body", "config", "width"]` is `width`."""
    parts = [str(part) for part in loc] if isinstance(loc, list) else []
    kept = [part for part in parts if part not in ("body", "config")]
    return shown(".".join(kept))[1:-1] if kept else ""
