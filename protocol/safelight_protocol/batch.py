"""A batch of creates: its form, and which of its members depend on each other.

A batch is nothing but its members: each is read as a single create would be and gets a
verdict of its own. Here is only what a list adds: how many there may be, the key that
each inherits, and the order in which members that may be one task have to be decided.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .codes import Refused
from .commands import Create, read_create
from .fields import Field, Wrong, invalid, read_object

MAX_TASKS = 100

MAX_SHARED_KEY = 252
"""Characters of a key that members inherit: with `/99` behind it, it is as long as a key
may be, so that a member can be asked for alone by the key that it has."""


class Member(msgspec.Struct, frozen=True):
    """One request of a batch: as it was sent, and as a command or its refusal."""

    body: Any
    command: Create | Refused


def read_batch(body: Any, *, key: str | None = None) -> list[Member]:
    """`{"tasks": [...]}`, 1 to MAX_TASKS. `key` is the Idempotency-Key of the whole.

    Raises Refused `invalid` if the list itself is wrong; a wrong member is only refused.
    """
    values, _ = read_object(body, {"tasks": Field(_read_tasks, required=True)})
    if key is not None and len(key) > MAX_SHARED_KEY:
        expected = f"at most {MAX_SHARED_KEY} characters, to which /<index> is added"
        wrong: dict[str, object] = {"field": "Idempotency-Key", "found": f"{len(key)} characters"}
        raise invalid([wrong | {"expected": expected}])
    return [
        Member(one, _read_member(one, None if key is None else f"{key}/{index}"))
        for index, one in enumerate(values["tasks"])
    ]


def waits_for(commands: list[Create | Refused], index: int) -> list[int]:
    """The earlier members that have to be decided before this one.

    Two members that may be one task are decided in the order of the list, so that the
    earlier one makes it. All others may be decided in any order.
    """
    later = commands[index]
    return [i for i, earlier in enumerate(commands[:index]) if _meet(earlier, later)]


def _meet(one: Create | Refused, other: Create | Refused) -> bool:
    if isinstance(one, Refused) or isinstance(other, Refused):
        return False
    if one.id is not None and one.id == other.id:
        return True
    if one.key is not None and one.key == other.key:
        return True
    alike = (one.asked.kind, one.asked.prompt) == (other.asked.kind, other.asked.prompt)
    return alike and any(c.reuse in ("inflight", "completed") for c in (one, other))


def _read_tasks(value: Any) -> list[Any]:
    if isinstance(value, list) and 1 <= len(value) <= MAX_TASKS:
        return value
    told = f", not {len(value)}" if isinstance(value, list) else ""
    raise Wrong(f"a list of 1 to {MAX_TASKS} requests{told}")


def _read_member(body: Any, key: str | None) -> Create | Refused:
    """A member's own `request_id` goes before the key that it inherits."""
    try:
        command = read_create(body)
    except Refused as refused:
        return refused
    own = command.key if command.key is not None else key
    reuse = "never" if command.id is None and command.reuse is None else command.reuse
    return msgspec.structs.replace(command, key=own, reuse=reuse)
