"""What a request to Messages says, held against what is taken: its words and their count.

Problems are told as the real one tells them, with the place in front: `max_tokens: Field
required`. The answer is to the last thing that a user said, the count is of everything.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ..canvas import NotAPicture, opened
from ..prose import tokens
from .errors import invalid, refused
from .models import MODELS

KNOWN = frozenset(
    "model messages max_tokens system stream stop_sequences metadata temperature top_p top_k"
    " tools tool_choice thinking service_tier cache_control container output_config"
    " inference_geo diagnostics speed".split()
)
MESSAGE_TOKENS = 4
CACHED_FROM = 1024
"""So many tokens must a part have at least to be cached."""


class Said(msgspec.Struct, frozen=True):
    """`prompt` is the last that a user said; `marked` is what stands up to the last mark of
    the cache, with its count; empty without a mark."""

    prompt: str
    tokens: int
    marked: str
    marked_tokens: int


def check(asked: Mapping[str, Any], *, counts_only: bool = False) -> str:
    """The model of a request whose fields are right. Raises Refusal."""
    needed = ("model", "messages") if counts_only else ("model", "max_tokens", "messages")
    for name in needed:
        if asked.get(name) is None:
            raise invalid(f"{name}: Field required")
    for name in asked:
        if name not in KNOWN:
            raise invalid(f"{name}: Extra inputs are not permitted")
    model = asked["model"]
    if model not in MODELS:
        raise refused("not_found_error", f"model: {model}")
    if not counts_only:
        _check_most(asked["max_tokens"], MODELS[model].most)
    stops = asked.get("stop_sequences") or []
    if not isinstance(stops, list) or not all(isinstance(each, str) for each in stops):
        raise invalid("stop_sequences: Input should be a valid list")
    return str(model)


def read(asked: Mapping[str, Any]) -> Said:
    """The words of the system prompt and the messages. Raises Refusal."""
    messages = asked["messages"]
    if not isinstance(messages, list) or not messages:
        raise invalid("messages: at least one message is required")
    prompt, whole, count = "", "", 0
    marked, marked_tokens = "", 0
    for place, role, content in _blocks(asked):
        for words, size, is_marked in _read(content, place):
            whole, count = whole + words, count + size
            if is_marked:
                marked, marked_tokens = whole, count
        if role == "user":
            prompt = "".join(words for words, _, _ in _read(content, place))
        count += MESSAGE_TOKENS if role else 0
    if asked.get("cache_control"):
        marked, marked_tokens = whole, count
    if marked_tokens < CACHED_FROM:
        marked, marked_tokens = "", 0
    return Said(prompt, count, marked, marked_tokens)


def _blocks(asked: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Place, role and content of the system prompt and of each message."""
    if asked.get("system") is not None:
        yield "system", "", asked["system"]
    for number, message in enumerate(asked["messages"]):
        place = f"messages.{number}"
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
            raise invalid(f"{place}.role: Input should be 'user' or 'assistant'")
        yield f"{place}.content", message["role"], message.get("content")


def _read(content: Any, place: str) -> Iterator[tuple[str, int, bool]]:
    """Words, tokens, and whether the cache is marked behind them."""
    if isinstance(content, str):
        yield content, tokens(content), False
        return
    if not isinstance(content, list):
        raise invalid(f"{place}: Field required")
    for number, block in enumerate(content):
        where = f"{place}.{number}"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "text" and isinstance(block.get("text"), str):
            yield block["text"], tokens(block["text"]), bool(block.get("cache_control"))
        elif kind == "image":
            yield "", _tokens_of(block.get("source"), where), bool(block.get("cache_control"))
        else:
            raise invalid(f"{where}: Input tag {kind!r} found using 'type' is not expected here")


def _tokens_of(source: Any, place: str) -> int:
    if not isinstance(source, dict) or source.get("type") != "base64":
        raise invalid(f"{place}.source: only base64 sources are read here")
    try:
        image = opened(base64.b64decode(str(source.get("data")), validate=True))
    except (NotAPicture, binascii.Error, ValueError):
        raise invalid(f"{place}.source.base64.data: Could not process image") from None
    return max(1, image.width * image.height // 750)


def _check_most(most: Any, limit: int) -> None:
    if isinstance(most, bool) or not isinstance(most, int):
        raise invalid("max_tokens: Input should be a valid integer")
    if most < 1:
        raise invalid("max_tokens: must be greater than or equal to 1")
    if most > limit:
        raise invalid(f"max_tokens: {most} > {limit}, which is the maximum allowed")


def stops_of(asked: Mapping[str, Any]) -> Sequence[str]:
    """Where to stop."""
    return asked.get("stop_sequences") or ()
