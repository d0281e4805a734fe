"""What may be asked for, and what it is called on the wire.

Every value is read before anything is sent, as the doors read a body: a refusal names the
field, what was found and what is expected. OpenAI's own server takes nothing that is not
listed here; another one may know more, which is handed on, but never what we decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight_protocol.fields import Field, Wrong, invalid, one_of, read_object, typed
from safelight_protocol.identity import shown

from ..base import Wanted
from .sizes import PATTERN, size_of

Api = Literal["responses", "chat", "images"]

MOST_SYSTEM = 100_000


def _number(low: float, high: float) -> Field:
    expected = f"a number from {low:g} to {high:g}"
    return Field(typed(Annotated[float, Meta(ge=low, le=high)], expected))


def _integer(low: int, high: int) -> Field:
    expected = f"an integer from {low} to {high}"
    return Field(typed(Annotated[int, Meta(ge=low, le=high)], expected))


def _text(most: int) -> Field:
    expected = f"a string of at most {most} characters"
    return Field(typed(Annotated[str, Meta(max_length=most)], expected))


def _pattern(pattern: str, expected: str) -> Field:
    return Field(typed(Annotated[str, Meta(pattern=pattern)], expected))


def _choice(*allowed: str) -> Field:
    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise Wrong(one_of(value, allowed))
        return value

    return Field(read)


_STOP = "a string, or a list of 1 to 4 strings"
_stops = typed(str | Annotated[list[str], Meta(min_length=1, max_length=4)], _STOP)

_TEXT: Mapping[str, Field] = {
    "system": _text(MOST_SYSTEM),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "reasoning_effort": _choice("none", "minimal", "low", "medium", "high", "xhigh"),
    "verbosity": _choice("low", "medium", "high"),
}

FIELDS: Mapping[Api, Mapping[str, Field]] = {
    "responses": {**_TEXT, "max_tokens": _integer(16, 1_000_000)},
    "chat": {
        **_TEXT,
        "max_tokens": _integer(1, 1_000_000),
        "stop": Field(_stops),
        "presence_penalty": _number(-2, 2),
        "frequency_penalty": _number(-2, 2),
    },
    "images": {
        "size": _pattern(PATTERN, 'a size like "1536x1024", or "auto"'),
        "width": _integer(16, 3840),
        "height": _integer(16, 3840),
        "aspect_ratio": _pattern(r"^[1-9][0-9]{0,3}:[1-9][0-9]{0,3}\Z", 'a ratio like "3:2"'),
        "quality": _choice("auto", "low", "medium", "high", "xhigh", "max"),
        "background": _choice("auto", "opaque", "transparent"),
        "output_format": _choice("png", "jpeg", "webp"),
        "output_compression": _integer(0, 100),
        "moderation": _choice("auto", "low"),
        "complexity": _choice("low", "medium", "high"),
        "input_fidelity": _choice("low", "high"),
        "partial_images": _integer(0, 3),
    },
}

OURS = frozenset(
    "model messages input prompt image mask n seed stream stream_options background store"
    " metadata tools tool_choice functions modalities audio user".split()
)
"""What no parameter may say, since we do, or since nobody here would hear the answer."""

NAMES: Mapping[Api, Mapping[str, str]] = {
    "responses": {"system": "instructions", "max_tokens": "max_output_tokens"},
    "chat": {},
    "images": {},
}
"""What some are called on the wire."""

OWN_CHAT = {"max_tokens": "max_completion_tokens"}
"""The same at OpenAI's own chat completions; other servers have kept the old name."""


class Options(msgspec.Struct, frozen=True):
    """Parameters as they go onto the wire. `body` is what the SDK has names for, `more` what
    only the server knows."""

    body: dict[str, Any]
    more: dict[str, Any]


def read_options(wanted: Wanted, api: Api, *, own: bool, model: str) -> Options:
    """What is asked for, checked. `own`: by OpenAI itself. Raises Refused `invalid`."""
    given = {name: value for name, value in wanted.params.items() if value is not None}
    values, unknown = read_object(given, FIELDS[api], where="params.", strict=own)
    more = {name.removeprefix("params."): given[name.removeprefix("params.")] for name in unknown}
    _check_rest(wanted, api, more)
    if api == "images":
        size = size_of(values, model, own=own)
        values = {name: v for name, v in values.items() if name not in _SIZING}
        return Options(values | ({} if size is None else {"size": size}), more)
    return Options(_renamed(values, api, own), more)


_SIZING = ("size", "width", "height", "aspect_ratio")


def _check_rest(wanted: Wanted, api: Api, more: Mapping[str, Any]) -> None:
    problems: list[dict[str, object]] = [
        {"field": f"params.{name}", "found": shown(more[name]), "expected": "no such field"}
        for name in more
        if name in OURS
    ]
    most = 10 if api == "images" else 1
    if wanted.n > most:
        problems.append({"field": "n", "found": shown(wanted.n), "expected": f"1 to {most}"})
    kind = "image" if api == "images" else "text"
    if wanted.kind != kind:
        problems.append({"field": "kind", "found": shown(wanted.kind), "expected": kind})
    if problems:
        raise invalid(problems)


def _renamed(values: Mapping[str, Any], api: Api, own: bool) -> dict[str, Any]:
    names = {**NAMES[api], **(OWN_CHAT if api == "chat" and own else {})}
    body = {names.get(name, name): value for name, value in values.items()}
    if api == "responses":
        for name, at, key in (
            ("reasoning_effort", "reasoning", "effort"),
            ("verbosity", "text", "verbosity"),
        ):
            if name in body:
                body[at] = {key: body.pop(name)}
    return body
