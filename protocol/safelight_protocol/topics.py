"""The grammar of topics, both ways.

Owns which topics exist, and what an id looks like. Whether a task of that id
exists, and who may join, is for the server to say. A topic that does not parse
here has no route: joining it is answered "unmatched topic".
"""

from __future__ import annotations

import re

import msgspec

TASK_ID = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
"""An id that a client may choose. Use `fullmatch`: `$` alone lets a last newline pass."""

CONVERSATION_PREFIXES = ("llm_", "chat_", "swift_")
"""How the ids of conversations begin. No task may have such an id."""

FORM = "task:<id> with 1 to 64 letters, digits, _ or - as id, or tasks:mine"
"""The grammar in words, for error messages."""

REALTIME = "realtime:task:"
"""How the topics of tasks begin for `@supabase/realtime-js`."""

PHOENIX = "phoenix"
"""The topic of heartbeats. It cannot be joined."""


class TaskTopic(msgspec.Struct, frozen=True, tag="task"):
    """`task:<id>`: the one story of one task."""

    id: str


class ConversationTopic(msgspec.Struct, frozen=True, tag="conversation"):
    """`task:<id>` with a conversation's prefix: exists without a task, may see many."""

    id: str


class RealtimeTopic(msgspec.Struct, frozen=True, tag="realtime"):
    """`realtime:task:<id>`: a task's story for `@supabase/realtime-js`, which puts
    `realtime:` before every topic and speaks a dialect (`realtime.py`)."""

    id: str


class GalleryTopic(msgspec.Struct, frozen=True, tag="gallery"):
    """`tasks:mine`: every task of the owner of the socket."""


Topic = TaskTopic | ConversationTopic | RealtimeTopic | GalleryTopic


def is_id(text: str) -> bool:
    """Whether `text` can be an id, of a task or of a conversation."""
    return TASK_ID.fullmatch(text) is not None


def is_conversation(id: str) -> bool:
    """Whether an id names a conversation. Says nothing about its characters."""
    return id.startswith(CONVERSATION_PREFIXES)


def is_task_id(text: str) -> bool:
    """Whether `text` can be the id of a task."""
    return is_id(text) and not is_conversation(text)


def parse(topic: str) -> Topic | None:
    """What a topic names, or None when no topic has that form."""
    if topic == "tasks:mine":
        return GalleryTopic()
    if topic.startswith(REALTIME):
        id = topic.removeprefix(REALTIME)
        return RealtimeTopic(id) if is_task_id(id) else None
    family, _, id = topic.partition(":")
    if family != "task" or not is_id(id):
        return None
    return ConversationTopic(id) if is_conversation(id) else TaskTopic(id)


def spell(topic: Topic) -> str:
    """The topic as the wire spells it; the inverse of `parse`."""
    match topic:
        case GalleryTopic():
            return "tasks:mine"
        case RealtimeTopic(id=id):
            return REALTIME + id
        case TaskTopic(id=id) | ConversationTopic(id=id):  # pragma: no branch - none is left
            return f"task:{id}"
