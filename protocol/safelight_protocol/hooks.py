"""Webhooks that a create asks for: where to, which events, and what is written there.

Owns the form of `webhook` in a body, and the body of a notice (Standard Webhooks 1.0.0:
`type`, `timestamp`, `data`). Knows neither signatures nor networks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec

from .events import TaskEvent
from .fields import Wrong
from .task import Hook, NoticeType

NOTICE_TYPES: tuple[NoticeType, ...] = get_args(NoticeType)

MAX_URL = 2000

MAX_NOTICE = 20_000
"""Bytes of a body, as the specification advises: links instead of data."""

MAX_TEXTS = (2000, 500, 200)
"""Characters that are left of each text where the whole is too large: the most that fit."""

_URL = re.compile(r"https?://[^/\s?#@\\]+(?:[/?][^\s#]*)?", re.ASCII | re.IGNORECASE)


def read_hook(value: Any) -> Hook | None:
    """`"https://..."`, or `{"url": ..., "events": [...]}`; null is none."""
    if value is None:
        return None
    if isinstance(value, str):
        return Hook(_url(value))
    if not isinstance(value, dict) or not value.keys() <= {"url", "events"} or "url" not in value:
        raise Wrong('an address, or {"url": an address, "events": a list}')
    events = value.get("events")
    return Hook(_url(value["url"])) if events is None else Hook(_url(value["url"]), _events(events))


def _url(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_URL or not _is_address(value):
        raise Wrong(
            f"an http or https address of at most {MAX_URL} ASCII characters, with neither"
            " credentials nor a fragment"
        )
    return value


def _is_address(value: str) -> bool:
    """Whether it is one that can be asked at all: visible ASCII (other names in the form that
    begins with xn--), with a host, and with a port that is one."""
    if not _URL.fullmatch(value) or not (value.isascii() and value.isprintable()):
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the port, or of the brackets
        return False


def _events(value: Any) -> tuple[NoticeType, ...]:
    if not isinstance(value, list) or not value or not all(one in NOTICE_TYPES for one in value):
        raise Wrong(f"events: a list of {', '.join(NOTICE_TYPES)}")
    return tuple(one for one in NOTICE_TYPES if one in value)


def notice_id(uid: str, seq: int) -> str:
    """What a receiver tells repeats by: the same for every try at one event."""
    return f"msg_{uid}_{seq}"


def notice(event: TaskEvent, cursor: str, url: str) -> bytes:
    """The body about an event: the event itself, the cursor to go on from at any door, and
    where the whole task is. What does not fit is cut, and `truncated` says so."""
    data: dict[str, Any] = msgspec.to_builtins(event)
    more = {"cursor": cursor, "url": url}
    body = _body(event, data | more)
    for most in MAX_TEXTS:
        if len(body) <= MAX_NOTICE:
            break
        body = _body(event, _cut(data, most) | more | {"truncated": True})
    return body


def _body(event: TaskEvent, data: dict[str, Any]) -> bytes:
    told = {"type": f"task.{data['type']}", "timestamp": event.timestamp, "data": data}
    return msgspec.json.encode(told)


def _cut(value: Any, most: int) -> Any:
    """Without long texts, and with the first few of a long list."""
    if isinstance(value, str):
        return value[:most]
    if isinstance(value, dict):
        return {name: _cut(one, most) for name, one in value.items()}
    if isinstance(value, Sequence):
        return [_cut(one, most) for one in value[:8]]
    return value
