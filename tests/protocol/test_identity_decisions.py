"""The decision table over id, key and likeness, row by row and in every combination."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest

from safelight_protocol.codes import Refused
from safelight_protocol.identity import Comparison, Difference, Found, decide
from safelight_protocol.task import Task
from tests.doubles.lives import fresh

MINE = fresh("mine", id="mine")
OTHERS = fresh("others", id="others")
ALIKE = fresh("alike", id="alike")
SAME = Comparison()
ANOTHER = Comparison((Difference("prompt", "a cat", "a dog"),))

# What the store found; how the request compares with the task of its id and of its key;
# the id it wants; the task it gets, or the code of its refusal.
TABLE: list[tuple[str, Found, Comparison, str | None, Task | str | None]] = [
    ("id same, key absent or fresh", Found(by_id=MINE), SAME, "mine", MINE),
    ("id same, key of this task", Found(by_id=MINE, by_key=MINE), SAME, "mine", MINE),
    ("id another", Found(by_id=MINE), ANOTHER, "mine", "id_conflict"),
    ("id another, key of it", Found(by_id=MINE, by_key=MINE), ANOTHER, "mine", "id_conflict"),
    ("id same, key elsewhere", Found(by_id=MINE, by_key=OTHERS), SAME, "mine", "key_reused"),
    ("id another, key elsewhere", Found(by_id=MINE, by_key=OTHERS), ANOTHER, "mine", "key_reused"),
    ("no id, key same", Found(by_key=OTHERS), SAME, None, OTHERS),
    ("free id, key same", Found(by_key=OTHERS), SAME, "free", OTHERS),
    ("no id, key another", Found(by_key=OTHERS), ANOTHER, None, "key_reused"),
    ("free id, key another", Found(by_key=OTHERS), ANOTHER, "free", "key_reused"),
    ("free id, key absent or fresh", Found(), SAME, "free", None),
    ("free id, and one alike", Found(alike=ALIKE), SAME, "free", None),
    ("no id, nothing alike", Found(), SAME, None, None),
    ("no id, one alike", Found(alike=ALIKE), SAME, None, ALIKE),
    ("no id, key same, one alike", Found(by_key=OTHERS, alike=ALIKE), SAME, None, OTHERS),
    ("id deleted", Found(id_gone=True), SAME, "mine", "gone"),
    ("key of a deleted one", Found(key_gone=True), SAME, None, "gone"),
    ("free id, key of a deleted one", Found(key_gone=True), SAME, "free", "gone"),
    ("id deleted, key lives", Found(id_gone=True, by_key=OTHERS), SAME, "mine", "gone"),
    ("one alike, key of a deleted one", Found(key_gone=True, alike=ALIKE), SAME, None, "gone"),
]


def compared(comparison: Comparison) -> Mapping[str, Comparison]:
    return {task.uid: comparison for task in (MINE, OTHERS, ALIKE)}


@pytest.mark.parametrize(
    ("found", "comparison", "wants", "expected"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
@pytest.mark.parametrize("channel", [False, True], ids=["rest", "socket"])
def test_the_decision_table(
    found: Found,
    comparison: Comparison,
    wants: str | None,
    expected: Task | str | None,
    channel: bool,
) -> None:
    """Each row gives its task, a new one, or its refusal; a channel only differs where it must."""
    topic = wants if channel else None
    if isinstance(expected, Task) and topic not in (None, expected.id):
        expected = "key_reused"
    if isinstance(expected, str):
        with pytest.raises(Refused) as refused:
            decide(found, compared(comparison), wants_id=wants, topic_id=topic)
        assert refused.value.code.name == expected
    else:
        assert decide(found, compared(comparison), wants_id=wants, topic_id=topic) is expected


BOOLS = (False, True)


@pytest.mark.parametrize("by_id", [None, MINE])
@pytest.mark.parametrize("by_key", [None, MINE, OTHERS])
def test_whatever_is_found_there_is_one_answer(by_id: Task | None, by_key: Task | None) -> None:
    """No combination has two answers, attaches to another request, or to another channel's task."""
    comparisons = (SAME, ANOTHER)
    for alike, gone, key_gone, channel in product((None, ALIKE), BOOLS, BOOLS, BOOLS):
        for mine, others, wants in product(comparisons, comparisons, (None, "mine")):
            found = Found(by_id, by_key, alike, gone, key_gone)
            against = {"mine": mine, "others": others}
            topic = wants if channel else None
            try:
                task = decide(found, against, wants_id=wants, topic_id=topic)
            except Refused as refused:
                assert refused.code.name in ("gone", "id_conflict", "key_reused")
                continue
            assert not gone and not key_gone
            assert task is None or task is alike or against[task.uid].same
            assert task is None or topic is None or task.id == topic
            assert task is not None or (by_id is None and by_key is None)


def test_a_conflict_says_what_differs() -> None:
    """The refusal names the task, and each field with what was asked and what it has."""
    long = Comparison((Difference("prompt", "x" * 500, "y" * 500), Difference("n", 2, 1)))
    with pytest.raises(
        Refused, match=r"task mine, made by another request; .* prompt, n"
    ) as refused:
        decide(Found(by_id=MINE), compared(long), wants_id="mine")
    assert [detail["field"] for detail in refused.value.details] == ["prompt", "n"]
    assert refused.value.details[1] == {"field": "n", "found": "2", "expected": "1"}
    assert all(len(str(v)) <= 80 for detail in refused.value.details for v in detail.values())
    assert refused.value.extra == {"task_id": "mine"}


def test_a_key_of_another_task_names_both() -> None:
    """Whoever mixes up id and key is told the two tasks that they lead to."""
    with pytest.raises(Refused, match=r"others.*mine") as refused:
        decide(Found(by_id=MINE, by_key=OTHERS), compared(SAME), wants_id="mine")
    assert refused.value.extra == {"task_id": "others"}


def test_a_channel_is_told_where_its_key_leads() -> None:
    """On `task:free` a key of task `others` creates nothing and answers with that id."""
    with pytest.raises(Refused) as refused:
        decide(Found(by_key=OTHERS), compared(SAME), wants_id="free", topic_id="free")
    assert (refused.value.code.name, refused.value.extra) == ("key_reused", {"task_id": "others"})
