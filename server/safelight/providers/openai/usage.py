"""What was used, by OpenAI's counts, in our units.

Tokens that were cached are told among those of the input, and so are pictures; here each is
counted once. What a server does not tell is not made up. Pure.
"""

from __future__ import annotations

from typing import Any

from safelight_protocol.prices import Usage, used


def of_response(usage: Any) -> Usage | None:
    """Of a response of the Responses API."""
    return _of_text(usage, "input_tokens", "input_tokens_details", "output_tokens")


def of_chat(usage: Any) -> Usage | None:
    """Of a chat completion."""
    return _of_text(usage, "prompt_tokens", "prompt_tokens_details", "completion_tokens")


def _of_text(usage: Any, into: str, details: str, out: str) -> Usage | None:
    inputs, outputs = _count(usage, into), _count(usage, out)
    if inputs is None or outputs is None:
        return None
    cached = min(_count(_get(usage, details), "cached_tokens") or 0, inputs)
    counts = {"input_token": inputs - cached, "cached_token": cached, "output_token": outputs}
    return used({"run": 1} | counts)


def of_images(usage: Any, pictures: int) -> Usage:
    """Of pictures that were made; their number is known even where nothing else is."""
    counts: dict[str, Any] = {"run": 1, "image": pictures}
    inputs, outputs = _count(usage, "input_tokens"), _count(usage, "output_tokens")
    if inputs is not None and outputs is not None:
        into = _count(_get(usage, "input_tokens_details"), "image_tokens") or 0
        words = _count(_get(usage, "output_tokens_details"), "text_tokens") or 0
        counts |= {"input_token": max(0, inputs - into), "input_image_token": into}
        counts |= {"output_token": words, "output_image_token": max(0, outputs - words)}
        counts |= {"cached_token": 0}
    return used(counts)


def _get(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)


def _count(thing: Any, name: str) -> int | None:
    found = _get(thing, name)
    whole = isinstance(found, int) and not isinstance(found, bool) and found >= 0
    return found if whole else None
