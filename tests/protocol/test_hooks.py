"""The form of a webhook in a body, and what is written to a receiver."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safelight_protocol.events import error_data, timestamp
from safelight_protocol.fields import Wrong
from safelight_protocol.hooks import MAX_NOTICE, NOTICE_TYPES, notice, notice_id, read_hook
from safelight_protocol.inputs import Claimed, Finished, GaveUp, HandleSaved, Wrote
from safelight_protocol.task import ENDS, Hook
from tests.doubles.lives import CHARGED, NOW, events, fresh, lived, result

URL = "https://example.com/hook?a=b"

READ: dict[str, tuple[Any, Hook | None]] = {
    "none": (None, None),
    "address": (URL, Hook(URL, ENDS)),
    "object": ({"url": URL}, Hook(URL, ENDS)),
    "null events": ({"url": URL, "events": None}, Hook(URL, ENDS)),
    "events in our order, once": (
        {"url": URL, "events": ["failed", "started", "failed"]},
        Hook(URL, ("started", "failed")),
    ),
    "port and no path": ("http://example.com:8080", Hook("http://example.com:8080", ENDS)),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_read(name: str) -> None:
    """An address, or an object of address and events."""
    given, expected = READ[name]
    assert read_hook(given) == expected


WRONG: list[Any] = [
    "",
    "example.com",
    "ftp://example.com",
    "https://a:b@example.com",
    "https://example.com\\@evil.example",
    "https://exa mple.com",
    "https://example.com/#x",
    "https://example.com:port/",
    "https://example.com:99999/",
    "https://example.com:0/",
    "https://:80/",
    "https://[abc/",
    "https://a\x00b/",
    "https://exämple.com/",
    "https://example.com/ä",
    [],
    {},
    {"url": None},
    {"url": URL, "events": []},
    {"url": URL, "events": ["text"]},
    {"url": URL, "events": "completed"},
    {"url": URL, "more": 1},
]


@pytest.mark.parametrize("value", WRONG, ids=str)
def test_what_is_refused(value: Any) -> None:
    """Everything else is refused in words."""
    with pytest.raises(Wrong):
        read_hook(value)


def test_a_notice_is_the_event_with_a_cursor() -> None:
    """Type and time stand outside, as the specification wants it; the rest is the event."""
    task = fresh()
    (*_, end) = events(lived(task, [Claimed(NOW), HandleSaved("h"), Finished(result(task, NOW))]))
    told = json.loads(notice(end, "log-4", "https://x/api/tasks/u1"))
    assert told["type"] == "task.completed"
    assert told["timestamp"] == timestamp(NOW + 3) == told["data"]["timestamp"]
    assert told["data"]["cursor"] == "log-4"
    assert told["data"]["url"] == "https://x/api/tasks/u1"
    assert told["data"]["seq"] == end.seq
    assert "truncated" not in told["data"]


def test_what_is_long_is_cut() -> None:
    """However long a text is, the body stays small, and says that it was cut."""
    task = fresh()
    (*_, written) = events(lived(task, [Claimed(NOW), HandleSaved("h"), Wrote("é" * 100_000)]))
    body = notice(written, "log-3", "u")
    assert len(body) <= MAX_NOTICE
    assert json.loads(body)["data"]["truncated"] is True


def test_a_body_is_small_whatever_is_in_it() -> None:
    """Two long texts of characters that are long when they are written: what is left of each
    is what fits, and the addresses stay whole."""
    error = error_data("provider_failed", "\x01" * 5000, retryable=False)
    (*_, end) = events(lived(fresh(), [Claimed(NOW), HandleSaved("h"), GaveUp(error, CHARGED)]))
    url = "https://x/" + "y" * 300
    body = notice(end, "log-4", url)
    assert len(body) <= MAX_NOTICE
    told = json.loads(body)["data"]
    assert told["truncated"] is True
    assert told["url"] == url
    assert 200 <= len(told["error_data"]["message"]) <= 2000


def test_an_id_has_no_dot() -> None:
    """The specification's signature joins its parts by dots."""
    assert notice_id("0192-ab", 12) == "msg_0192-ab_12"
    assert "completed" in NOTICE_TYPES
