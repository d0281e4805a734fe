"""Payloads on topics that are no task's own."""

from __future__ import annotations

from typing import Any

import pytest

from safelight_protocol.codes import Refused
from safelight_protocol.joins import (
    JoinConversation,
    ListTasks,
    read_join_conversation,
    read_list,
)


def test_a_conversation_is_silent_unless_asked() -> None:
    """Events and previews are for those who ask."""
    assert read_join_conversation({}) == JoinConversation()
    asked = read_join_conversation({"events": True, "previews": "url"})
    assert asked == JoinConversation(events=True, previews="url")


@pytest.mark.parametrize("after", [0, 12, "log-12", -1, [], None])
def test_a_cursor_of_a_conversation_is_ignored(after: Any) -> None:
    """There is none; whatever is sent as one is listed, not refused."""
    assert read_join_conversation({"after": after, "x": 1}).warnings == (
        "after is ignored",
        "x is ignored",
    )


def test_a_page_is_asked_for() -> None:
    """Nothing asked is the first page of 50; unknown fields are listed."""
    assert read_list({}) == ListTasks()
    assert read_list({"before": None, "limit": 200}) == ListTasks(limit=200)
    assert read_list({"before": "9", "page": 1}) == ListTasks(
        before="9", warnings=("page is ignored",)
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", 0),
        ("limit", 201),
        ("limit", "9"),
        ("limit", None),
        ("limit", True),
        ("before", 9),
        ("before", "x"),
        ("before", "-1"),
        ("before", "1" * 16),
        ("before", "9\n"),
    ],
)
def test_a_bad_page_is_refused_by_field(field: str, value: Any) -> None:
    """Nothing is guessed: what is found and what would do are named."""
    with pytest.raises(Refused) as refused:
        read_list({field: value})
    (problem,) = refused.value.details
    assert (refused.value.code.name, problem["field"]) == ("invalid", field)


@pytest.mark.parametrize("field", ["events", "previews"])
def test_a_bad_wish_is_refused_by_field(field: str) -> None:
    """The two fields that a conversation has are read strictly."""
    with pytest.raises(Refused) as refused:
        read_join_conversation({field: "loud"})
    assert refused.value.details[0]["field"] == field
