"""No frame is too large for a phone: what is cut, what is kept, and what it says then."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight_protocol.bounds import ENVELOPE, MAX_NAME, MAX_PAYLOAD, MAX_TEXT_FRAME, bounded
from safelight_protocol.frames import V1, V2

LONG = "é" * MAX_PAYLOAD


def cut(payload: Any, task_id: str | None = "t1") -> Any:
    """The payload after the wire."""
    made = bounded(msgspec.json.encode(payload), task_id)
    assert len(made) <= MAX_PAYLOAD
    return msgspec.json.decode(made)


def test_what_fits_is_not_touched() -> None:
    """A payload of the largest size goes out as the same bytes."""
    body = b'{"text":"' + b"x" * (MAX_PAYLOAD - 11) + b'"}'
    assert len(body) == MAX_PAYLOAD
    assert bounded(body, "t1") is body


def test_long_texts_are_cut_wherever_they_are() -> None:
    """Strings are cut at any depth; everything else stays, and the whole has an address."""
    payload = {"seq": 7, "result_data": {"content": LONG, "seed": 5}, "list": [LONG, None]}
    told = cut(payload)
    assert (told["seq"], told["truncated"], told["url"]) == (7, True, "/api/tasks/t1")
    assert told["result_data"]["seed"] == 5
    assert LONG.startswith(told["result_data"]["content"])
    assert len(told["result_data"]["content"]) >= 20_000
    assert told["list"][1] is None


def test_without_a_task_there_is_no_address() -> None:
    """An answer that is no task's own says only that it was cut."""
    told = cut({"text": LONG}, None)
    assert told["truncated"] is True
    assert "url" not in told


def test_what_is_long_by_number_loses_its_parts() -> None:
    """Where no cut of strings is enough, lists and objects are left out."""
    told = cut({"seq": 7, "many": [["x"] * 10] * 50_000, "word": LONG})
    assert told == {"seq": 7, "word": LONG[:200], "truncated": True, "url": "/api/tasks/t1"}


@pytest.mark.parametrize("writer", [V1(), V2()])
def test_the_envelope_has_room(writer: V1 | V2) -> None:
    """The largest payload under the longest names, at six bytes a character, still fits."""
    name = "\x01" * MAX_NAME
    payload = b'{"x":"' + b"y" * (MAX_PAYLOAD - 8) + b'"}'
    frame = writer.encode(name, name, name, name, payload)
    assert len(frame.encode()) <= MAX_TEXT_FRAME
    assert len(writer.encode_reply(name, name, name, "error", payload)) <= MAX_TEXT_FRAME
    assert ENVELOPE < MAX_TEXT_FRAME / 10


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4).map(lambda t: t * 60_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=5))
def test_anything_is_made_to_fit(payload: dict[str, Any]) -> None:
    """Whatever an object holds, it ends within the bound and is an object still."""
    assert isinstance(cut(payload), dict)
