"""How large a text frame may be, and what becomes of a payload that is larger.

URLSessionWebSocketTask closes its socket at a message of 1 MiB, its default maximum
(SwiftPhoenixClient issue 254), so nothing near that is ever sent as text. What is too
large is cut, says `truncated` and names the address of the whole. The log is not
touched: only a frame is cut, and every frame of one payload in the same way.
"""

from __future__ import annotations

from typing import Any

import msgspec

MAX_TEXT_FRAME = 512 * 1024
"""Bytes of the largest text frame that a server sends."""

MAX_NAME = 512
"""Bytes of the longest ref, topic or event that a session takes from its client."""

ENVELOPE = 16 * 1024
"""What they may take of a frame, even where JSON spells each byte with six."""

MAX_PAYLOAD = MAX_TEXT_FRAME - ENVELOPE
"""Bytes of the largest payload that is sent as it is."""

_LENGTHS = (100_000, 20_000, 2_000, 200)
"""To how many characters strings are cut, until the payload fits."""


def bounded(payload: bytes, task_id: str | None) -> bytes:
    """The payload, an encoded object; cut if it is larger than MAX_PAYLOAD.

    A cut one carries `truncated: true`, and as `url` the address of the whole task,
    unless it has a `url` of its own.
    """
    if len(payload) <= MAX_PAYLOAD:
        return payload
    whole = msgspec.json.decode(payload)
    mark: dict[str, object] = {"truncated": True}
    if task_id is not None:
        mark["url"] = f"/api/tasks/{task_id}"
    for length in _LENGTHS:
        cut = msgspec.json.encode(mark | _cut(whole, length) | {"truncated": True})
        if len(cut) <= MAX_PAYLOAD:
            return cut
    plain = {name: value for name, value in whole.items() if not isinstance(value, dict | list)}
    return msgspec.json.encode(mark | _cut(plain, _LENGTHS[-1]) | {"truncated": True})


def _cut(value: Any, length: int) -> Any:
    match value:
        case str():
            return value[:length]
        case list():
            return [_cut(item, length) for item in value]
        case dict():
            return {name: _cut(item, length) for name, item in value.items()}
        case _:
            return value
