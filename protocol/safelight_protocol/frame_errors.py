"""Why a frame was refused: one typed error, with found and expected in words.

Owns the error and the words. Runs only after a frame was refused, so it may read
the text a second time. The codes are rows of `codes.py`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Refusal = Literal["bad_frame", "invalid", "too_large"]


class FrameError(Exception):
    """A frame, or a part of one, that is refused.

    `code` is the row of the codes table: `bad_frame` when there is nothing to
    answer (hang up), `invalid` when one part is wrong, `too_large` past a limit.
    `field` names the part. `found` has at most 80 characters. The text of the error
    is one line of at most 123 bytes, so that it fits a close frame (RFC 6455, 5.5).
    """

    def __init__(self, code: Refusal, field: str, *, found: str, expected: str) -> None:
        self.code: Refusal = code
        self.field = field
        self.found = found if len(found) <= 80 else found[:79] + "…"
        self.expected = expected
        super().__init__(_shorten(f"{field}: expected {expected}, found {self.found}"))


def _shorten(line: str) -> str:
    return line.encode("utf-8", "replace")[:123].decode("utf-8", "ignore")


def in_words(value: object) -> str:
    """What kind of JSON value this is, with its article. It has been read from JSON."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def kind_of_json(raw: bytes | msgspec.Raw) -> str:
    """The same for one JSON value that is known to be well formed, by its first byte."""
    first = bytes(memoryview(raw)[:1])
    kinds = {b"{": "an object", b"[": "an array", b'"': "a string", b"n": "null"}
    return kinds.get(first, "a boolean" if first in b"tf" else "a number")


def unreadable(data: str, *, array: bool) -> FrameError:
    """Why `data`, which was refused, is no frame: of an array (V2) or an object (V1)."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return _bad("text that is not JSON", _expected(array))
    except RecursionError:
        return _bad("JSON nested too deeply", _expected(array))
    return _wrong_array(value) if array else _wrong_object(value)


def _expected(array: bool) -> str:
    return "a JSON array of five elements" if array else "a JSON object"


def _bad(found: str, expected: str, field: str = "frame") -> FrameError:
    return FrameError("bad_frame", field, found=found, expected=expected)


def _wrong_array(value: Any) -> FrameError:
    if not isinstance(value, list):
        return _bad(in_words(value), _expected(True))
    if len(value) < 5:
        return _bad(f"an array of {len(value)}", _expected(True))
    return _wrong_part(dict(zip(("join_ref", "ref", "topic", "event"), value, strict=False)))


def _wrong_object(value: Any) -> FrameError:
    if not isinstance(value, dict):
        return _bad(in_words(value), _expected(False))
    for field in ("topic", "event", "payload", "ref"):
        if field not in value:
            return _bad("nothing", f"the key {field}", field)
    return _wrong_part(value)


def _wrong_part(parts: dict[str, Any]) -> FrameError:
    for field in ("topic", "event"):
        if not isinstance(parts[field], str):
            return _bad(in_words(parts[field]), "a string", field)
    field = "ref" if _no_ref(parts["ref"]) else "join_ref"
    return _bad(in_words(parts.get(field)), "a string, an integer or null", field)


def _no_ref(value: object) -> bool:
    return isinstance(value, bool) or not isinstance(value, str | int | None)
