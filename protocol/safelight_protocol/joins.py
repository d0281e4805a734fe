"""What is asked for on topics that are no task's own: conversations and the gallery.

Owns two payloads and their readers; joins of a task's topic and of the gallery are in
`commands.py`, which this follows: unknown fields are listed in `warnings`, not refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .fields import MAX_NAMED, Field, read_object, typed


class JoinConversation(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a join of a conversation, which has no cursor."""

    events: bool = False
    previews: Literal["binary", "url"] | None = None
    warnings: tuple[str, ...] = ()


class ListTasks(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of `list` on the gallery: what comes before the `next` of a page."""

    before: str | None = None
    limit: int = 50
    warnings: tuple[str, ...] = ()


_JOIN = {
    "events": Field(typed(bool, "true or false")),
    "previews": Field(typed(Literal["binary", "url"] | None, "one of binary, url")),
}

_PLACE = Annotated[str, Meta(pattern=r"\A[0-9]{1,15}\Z")]

_LIST = {
    "before": Field(typed(_PLACE | None, "the `next` of another page, or nothing")),
    "limit": Field(typed(Annotated[int, Meta(ge=1, le=200)], "an integer from 1 to 200")),
}


def read_join_conversation(payload: Any) -> JoinConversation:
    """The payload of a join of a conversation; a cursor is among what is ignored."""
    values, unknown = read_object(payload, _JOIN, strict=False)
    return JoinConversation(**values, warnings=_ignored(unknown))


def read_list(payload: Any) -> ListTasks:
    """The payload of `list`. Raises Refused `invalid`, naming each wrong field."""
    values, unknown = read_object(payload, _LIST, strict=False)
    return ListTasks(**values, warnings=_ignored(unknown))


def _ignored(names: list[str]) -> tuple[str, ...]:
    return tuple(f"{name[:80]} is ignored" for name in names[:MAX_NAMED])
