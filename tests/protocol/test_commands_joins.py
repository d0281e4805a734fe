"""What a client sends when it joins a channel; and any JSON at all, at every reader."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight_protocol.codes import Refused
from safelight_protocol.commands import (
    JoinGallery,
    JoinTask,
    read_app,
    read_generate,
    read_join_gallery,
    read_join_task,
    read_native,
)

PLAIN = {"kind": "image", "prompt": "a monk"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def test_a_join_is_read() -> None:
    """Cursor, log, previews and events; what is unknown is listed and does no harm."""
    payload = {"after": "L-12", "previews": "url", "events": True, "token": "t"}
    assert read_join_task(payload, "x") == JoinTask(
        after="L-12", previews="url", events=True, warnings=("token is ignored",)
    )
    assert read_join_task({"after": 3, "log": "L"}, "x") == JoinTask(after=3, log="L")
    assert read_join_task({}, "x") == read_join_task({"create": None}, "x") == JoinTask()


@pytest.mark.parametrize("create", [PLAIN, PLAIN | {"id": "x"}, {"input_data": {"prompt": "p"}}])
def test_a_join_can_create(create: dict[str, Any]) -> None:
    """Both forms of body; the topic is the id and the channel."""
    made = read_join_task({"create": create}, "x").create
    assert made is not None
    assert (made.id, made.topic_id) == ("x", "x")


BAD_JOINS: dict[str, tuple[dict[str, Any], str]] = {
    "after negative": ({"after": -1}, "after"),
    "after fraction": ({"after": 1.5}, "after"),
    "after list": ({"after": []}, "after"),
    "after long": ({"after": "L" * 101}, "after"),
    "log number": ({"log": 5}, "log"),
    "previews": ({"previews": "all"}, "previews"),
    "events": ({"events": "yes"}, "events"),
    "create text": ({"create": "x"}, "create"),
    "create list": ({"create": []}, "create"),
    "create bad": ({"create": PLAIN | {"seed": -1}}, "create.seed"),
    "create unknown": ({"create": PLAIN | {"colour": 1}}, "create.colour"),
    "create elsewhere": ({"create": PLAIN | {"id": "y"}}, "create.id"),
    "create with reuse": ({"create": PLAIN | {"reuse": "inflight"}}, "create.reuse"),
    "create with reuse and id": ({"create": PLAIN | {"reuse": "never", "id": "x"}}, "create.reuse"),
}


@pytest.mark.parametrize(("payload", "field"), BAD_JOINS.values(), ids=list(BAD_JOINS))
def test_a_bad_join_is_named(payload: dict[str, Any], field: str) -> None:
    """Wrong known fields are refused, with their place within the payload."""
    with pytest.raises(Refused) as refusal:
        read_join_task(payload, "x")
    assert [detail["field"] for detail in refusal.value.details] == [field]


def test_a_join_of_the_gallery_is_read() -> None:
    """A position with its log, and how many; the newest fifty without."""
    read = read_join_gallery({"after": 7, "log": "L", "limit": 200, "x": 1})
    assert read == JoinGallery(after=7, log="L", limit=200, warnings=("x is ignored",))
    assert read_join_gallery({}) == JoinGallery(limit=50)


@pytest.mark.parametrize(
    "payload", [{"after": -1}, {"after": "7"}, {"limit": 0}, {"limit": 201}, {"limit": None}, []]
)
def test_a_bad_join_of_the_gallery_is_refused(payload: Any) -> None:
    """Positions and limits have their ranges."""
    with pytest.raises(Refused, match="expected"):
        read_join_gallery(payload)


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from([*PLAIN, "id", "seed", "inputs", "n"]) | st.text(), JSON))
def test_any_json_is_a_command_or_a_refusal(body: dict[str, Any]) -> None:
    """No body, of whatever form, makes a reader fail in another way."""
    readers = (
        lambda: read_native(body),
        lambda: read_app({"input_data": body} | body),
        lambda: read_generate("image", body, topic_id="x"),
        lambda: read_join_task(body | {"create": body}, "x"),
        lambda: read_join_gallery(body),
    )
    for read in readers:
        try:
            read()
        except Refused as refusal:
            assert refusal.code.name in ("invalid", "missing_prompt")
