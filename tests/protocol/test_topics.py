"""The grammar of topics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight_protocol.topics import (
    TASK_ID,
    ConversationTopic,
    GalleryTopic,
    RealtimeTopic,
    TaskTopic,
    Topic,
    is_conversation,
    is_id,
    is_task_id,
    parse,
    spell,
)

LONGEST = "x" * 64

SPELT: list[tuple[str, Topic]] = [
    ("task:a", TaskTopic("a")),
    (
        "task:019a7c5e-0b1c-7d3e-8f00-000000000001",
        TaskTopic("019a7c5e-0b1c-7d3e-8f00-000000000001"),
    ),
    ("task:A_-9", TaskTopic("A_-9")),
    (f"task:{LONGEST}", TaskTopic(LONGEST)),
    ("task:LLM_a", TaskTopic("LLM_a")),
    ("task:llm_a", ConversationTopic("llm_a")),
    ("task:chat_", ConversationTopic("chat_")),
    ("task:swift_2026", ConversationTopic("swift_2026")),
    ("tasks:mine", GalleryTopic()),
    ("realtime:task:a", RealtimeTopic("a")),
    (f"realtime:task:{LONGEST}", RealtimeTopic(LONGEST)),
]

FORMLESS = [
    "",
    "phoenix",
    "task",
    "task:",
    "tasks:",
    "tasks:a",
    "task:a:b",
    "task:a b",
    "task:a/b",
    "task:a\n",
    "task:é",
    "task:*",
    f"task:{LONGEST}x",
    "Task:a",
    " task:a",
    "realtime:a",
    "realtime:task:",
    "realtime:task:chat_1",
    "realtime:tasks:mine",
    "realtime:realtime:task:a",
    f"realtime:task:{LONGEST}x",
]


@pytest.mark.parametrize(("text", "topic"), SPELT)
def test_topics_are_read_and_spelt(text: str, topic: Topic) -> None:
    """Every form of topic parses to its own type and is spelt back the same."""
    assert parse(text) == topic
    assert spell(topic) == text


@pytest.mark.parametrize("text", FORMLESS)
def test_what_has_no_form_has_no_topic(text: str) -> None:
    """Text outside the grammar names nothing."""
    assert parse(text) is None


@given(st.text(max_size=70) | st.from_regex(TASK_ID))
def test_ids_are_closed_under_the_topic(text: str) -> None:
    """A topic parses exactly when its id is one, and then carries that id."""
    topic = parse(f"task:{text}")
    assert (topic is not None) == is_id(text)
    assert topic is None or spell(topic) == f"task:{text}"


@pytest.mark.parametrize(
    ("text", "task", "conversation"),
    [("a", True, False), ("llm_a", False, True), ("a b", False, False), ("chat_ ", False, True)],
)
def test_conversations_are_told_by_prefix(text: str, task: bool, conversation: bool) -> None:
    """An id with a conversation's prefix is never a task's."""
    assert is_task_id(text) is task
    assert is_conversation(text) is conversation
