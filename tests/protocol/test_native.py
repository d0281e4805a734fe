"""The native body read in one go comes to what reading it field by field comes to."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight_protocol import native
from safelight_protocol.codes import Refused
from safelight_protocol.commands import NATIVE, Create, read_create

PLAIN = {"kind": "image", "prompt": "a lake"}

GOOD: list[dict[str, Any]] = [
    {},
    {"id": "one", "model": "local/abstract", "n": 2},
    {"id": None, "model": None, "n": None, "seed": None, "reuse": None, "webhook": None},
    {"webhook": "https://example.org/x"},
    {"webhook": {"url": "https://example.org/x", "events": ["failed", "started"]}},
    {"seed": 2**64 - 1, "params": {"width": 512, "ratio": 1.5, "deep": [{"a": None}]}},
    {"seed": "18446744073709551615", "request_id": "r", "max_cost": 1},
    {"reuse": "completed", "inputs": [{"task": "one"}, {"artifact": "two"}]},
    {"params": {"huge": 10**30, "minus": -1}},
]

BAD: list[Any] = [
    {"kind": "sound"},
    {"prompt": " "},
    {"prompt": 7},
    {"prompt": "x" * 20_001},
    {"id": "a b"},
    {"id": "one", "reuse": "never"},
    {"n": 2.5},
    {"n": True},
    {"seed": -1},
    {"seed": 2**64},
    {"params": []},
    {"model": ""},
    {"request_id": "a\u0000b"},
    {"inputs": [{"task": "one", "artifact": "two"}]},
    {"webhook": "ftp://example.org"},
    {"width": 512},
    {"input_data": {"prompt": "a lake"}},
]


def slowly(body: bytes) -> Create | None:
    """The command of a body read field by field, None where it is refused."""
    try:
        return read_create(msgspec.json.decode(body))
    except (Refused, msgspec.MsgspecError, UnicodeDecodeError):
        return None


@pytest.mark.parametrize("more", GOOD, ids=str)
def test_a_good_body_is_read_in_one_go(more: dict[str, Any]) -> None:
    """It comes to the same command."""
    body = json.dumps(PLAIN | more).encode()
    assert native.read(body) == slowly(body) is not None


@pytest.mark.parametrize("more", BAD, ids=str)
def test_of_a_body_with_something_wrong_nothing_is_said(more: dict[str, Any]) -> None:
    """Whoever reads it again tells what is wrong, or knows the app's form."""
    assert native.read(json.dumps(PLAIN | more).encode()) is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"kind":"image","prompt":"\xff"}', b"[" * 5_000]
)
def test_what_is_no_object_is_left_to_others(body: bytes) -> None:
    """Nothing is raised."""
    assert native.read(body) is None


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
likely = {"kind": st.sampled_from(["image", "video", "text", "x"]), "prompt": st.text(max_size=4)}
fields = st.fixed_dictionaries(
    {},
    optional={name: likely.get(name, anything) | anything for name in NATIVE}
    | {"model": st.text(max_size=3) | st.none(), "seed": st.integers(0, 2**65), "n": st.integers()},
)


@given(fields)
def test_both_ways_agree_on_any_object(body: dict[str, Any]) -> None:
    """What one takes the other takes, and as the same command."""
    sent = json.dumps(body).encode()
    assert native.read(sent) == slowly(sent)


def test_a_name_that_comes_twice_counts_once() -> None:
    """The last one does, in both ways."""
    body = b'{"kind":"image","prompt":"a","prompt":"b"}'
    made = native.read(body)
    assert made == slowly(body) and made is not None and made.asked.prompt == "b"
