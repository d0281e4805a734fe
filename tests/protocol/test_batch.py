"""The form of a batch, and which of its members wait for which."""

from __future__ import annotations

from typing import Any

import pytest

from safelight_protocol.batch import MAX_SHARED_KEY, MAX_TASKS, read_batch, waits_for
from safelight_protocol.codes import Refused
from safelight_protocol.commands import Create, read_key_header

IMAGE: dict[str, Any] = {"kind": "image", "prompt": "a monk"}
APP: dict[str, Any] = {"input_data": {"type": "image", "prompt": "a monk"}}


def commands(*tasks: Any, key: str | None = None) -> list[Create | Refused]:
    return [member.command for member in read_batch({"tasks": list(tasks)}, key=key)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "tasks"),
        ([], "body"),
        ([IMAGE], "body"),
        (None, "body"),
        ({"tasks": []}, "tasks"),
        ({"tasks": None}, "tasks"),
        ({"tasks": IMAGE}, "tasks"),
        ({"tasks": [IMAGE] * (MAX_TASKS + 1)}, "tasks"),
        ({"tasks": [IMAGE], "task": 1}, "task"),
    ],
)
def test_a_wrong_list_is_refused_by_its_field(body: Any, field: str) -> None:
    """A batch that is no list of 1 to 100 requests is refused as a whole."""
    with pytest.raises(Refused) as refused:
        read_batch(body)
    assert refused.value.code.name == "invalid"
    assert [detail["field"] for detail in refused.value.details] == [field]


def test_a_hundred_are_taken() -> None:
    """The bound itself is allowed."""
    assert len(commands(*[IMAGE] * MAX_TASKS)) == MAX_TASKS


def test_a_wrong_member_is_refused_alone() -> None:
    """What is wrong with one member is its own refusal, in its place."""
    first, second, third, last = commands(IMAGE, {"kind": "image"}, 5, APP)
    assert isinstance(first, Create) and isinstance(last, Create)
    assert isinstance(second, Refused) and second.details[0]["field"] == "prompt"
    assert isinstance(third, Refused) and third.details[0]["field"] == "body"


def test_members_want_tasks_of_their_own() -> None:
    """Left open, `reuse` is `never` in a batch; what is asked for, or an id, stays."""
    plain, app, asked, named = commands(
        IMAGE, APP, IMAGE | {"reuse": "completed"}, IMAGE | {"id": "a"}
    )
    assert [c.reuse for c in (plain, app, asked, named)] == ["never", "never", "completed", None]


def test_the_key_of_a_batch_is_that_of_each_member_by_its_place() -> None:
    """Key K is `K/<index>` for members without a `request_id`; theirs goes first."""
    app = {"input_data": APP["input_data"] | {"request_id": "theirs"}}
    read = commands(IMAGE, IMAGE | {"request_id": "own"}, app, APP, IMAGE | {"id": "a"}, key="K")
    assert [c.key for c in read] == ["K/0", "own", "theirs", "K/3", "K/4"]
    assert [c.key for c in commands(IMAGE, APP)] == [None, None]


@pytest.mark.parametrize(
    ("earlier", "later", "waits"),
    [
        (IMAGE, IMAGE, False),
        (IMAGE | {"id": "a"}, IMAGE | {"id": "a", "prompt": "a nun"}, True),
        (IMAGE | {"id": "a"}, IMAGE | {"id": "b"}, False),
        (IMAGE | {"request_id": "k"}, APP | {"input_data": {"prompt": "x", "request_id": "k"}}, 1),
        (IMAGE | {"request_id": "k"}, IMAGE | {"request_id": "l"}, False),
        (IMAGE, IMAGE | {"reuse": "inflight"}, True),
        (IMAGE | {"reuse": "completed"}, IMAGE, True),
        (IMAGE | {"id": "a"}, IMAGE | {"reuse": "inflight"}, True),
        (IMAGE | {"prompt": "a nun"}, IMAGE | {"reuse": "inflight"}, False),
        (IMAGE | {"seed": -1, "id": "a"}, IMAGE | {"id": "a"}, False),
    ],
)
def test_members_that_may_be_one_task_are_decided_in_order(
    earlier: Any, later: Any, waits: bool
) -> None:
    """A member waits for an earlier one with its id, its key, or its likeness where one of
    the two asks for that; for no other, and never for a later one."""
    assert waits_for(commands(earlier, later), 1) == ([0] if waits else [])
    assert waits_for(commands(earlier, later), 0) == []


def test_an_inherited_key_is_as_long_as_a_key_may_be() -> None:
    """The longest key that is taken leaves room for the last member's `/99`."""
    body = {"tasks": [{"kind": "image", "prompt": "p"}] * MAX_TASKS}
    last = read_batch(body, key="k" * MAX_SHARED_KEY)[-1]
    assert isinstance(last.command, Create)
    assert read_key_header(last.command.key) == last.command.key
    with pytest.raises(Refused) as refused:
        read_batch(body, key="k" * (MAX_SHARED_KEY + 1))
    assert refused.value.details[0]["field"] == "Idempotency-Key"
