"""A client's place in a task's log: repeats, holes, gaps and the end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight_protocol.cursor import Cursor, Reader, Verdict, read_cursor

NEW, SEEN, HOLE = Verdict.NEW, Verdict.SEEN, Verdict.HOLE


def raw(**fields: Any) -> msgspec.Raw:
    """A payload."""
    return msgspec.Raw(msgspec.json.encode(fields))


def joined(log: str = "L", seq: int = 0, *, after: str | None = None, **more: Any) -> Reader:
    """A reader that has had its join reply."""
    reader = Reader(after)
    reader.joined(raw(log=log, cursor=f"{log}-{seq}", seq=seq, **more))
    return reader


def judge(reader: Reader, seq: int, **more: Any) -> Verdict:
    """The verdict on one event."""
    return reader.judge(raw(seq=seq, **more))


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        ("L-12", Cursor("L", 12)),
        ("a-b-c-0", Cursor("a-b-c", 0)),
        ("7", Cursor(None, 7)),
        ("", None),
        ("L", None),
        ("L-", None),
        ("L-x", None),
        ("L--1", Cursor("L-", 1)),
        ("L-\u0661", None),
    ],
)
def test_cursors_are_read_and_spelt(text: str, cursor: Cursor | None) -> None:
    """A cursor is a log, a hyphen and a number; a log may have hyphens of its own."""
    assert read_cursor(text) == cursor
    assert cursor is None or str(cursor) == text


def test_events_are_new_once_and_in_order() -> None:
    """Each event after the cursor is new once, and the cursor goes with it."""
    reader = joined(seq=2)
    assert [judge(reader, seq) for seq in (1, 2, 3, 3, 4)] == [SEEN, SEEN, NEW, SEEN, NEW]
    assert str(reader.cursor) == "L-4"


def test_a_folded_frame_tells_all_of_its_events() -> None:
    """`from_seq` to `seq` counts as told, even where it overlaps what was seen."""
    reader = joined(seq=2)
    assert judge(reader, 5, from_seq=3) is NEW
    assert judge(reader, 7, from_seq=4) is NEW
    assert str(reader.cursor) == "L-7"


def test_a_hole_is_not_taken() -> None:
    """An event after a missing one does not move the cursor."""
    reader = joined(seq=2)
    assert judge(reader, 4) is HOLE
    assert str(reader.cursor) == "L-2"


@pytest.mark.parametrize("from_seq", [None, 6])
def test_a_hole_that_stays_is_passed(from_seq: int | None) -> None:
    """A hole that is still there after the rejoin is passed, and a later one reported."""
    reader = joined(seq=2)
    more = {} if from_seq is None else {"from_seq": from_seq}
    assert judge(reader, 6, **more) is HOLE
    assert str(reader.cursor) == "L-2"
    reader.joined(raw(log="L", cursor="L-2", seq=6))
    assert judge(reader, 6, **more) is NEW
    assert judge(reader, 9) is HOLE
    assert str(reader.cursor) == "L-6"


def test_a_hole_that_was_mended_leaves_no_trace() -> None:
    """Once the missing events came, the next hole is reported like the first."""
    reader = joined(seq=2)
    assert judge(reader, 4) is HOLE
    assert [judge(reader, 3), judge(reader, 4), judge(reader, 6)] == [NEW, NEW, HOLE]


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        ({"log": "L", "cursor": "L-9", "seq": 9}, "L-5"),  # ours; 6 to 9 are on their way
        ({"log": "L", "cursor": "L-5", "seq": 9}, "L-5"),
        ({"log": "L", "seq": 9}, "L-5"),
        ({"log": "L", "cursor": "L-9", "seq": 9, "gap": True}, "L-9"),
        ({"log": "M", "cursor": "M-3", "seq": 3}, "M-3"),  # a restored backup
        ({"log": "M", "cursor": "M-3", "seq": 3, "gap": True}, "M-3"),
        ({}, "L-5"),
        ({"cursor": "nonsense"}, "L-5"),
        ({"seq": "nine"}, "L-5"),
    ],
)
def test_a_rejoin_keeps_its_place(reply: dict[str, object], place: str) -> None:
    """The own place is kept while log and history are the same, else the reply's is taken."""
    reader = joined(seq=5)
    reader.joined(raw(**reply))
    assert str(reader.cursor) == place


def test_a_place_can_be_brought_along() -> None:
    """A cursor from an earlier life is kept like one's own."""
    reader = joined(seq=9, after="L-5")
    assert judge(reader, 6) is NEW


def test_a_bare_zero_learns_the_log() -> None:
    """Who asks for the whole log begins at 0 of whatever log there is."""
    reader = joined(seq=9, after="0")
    assert str(reader.cursor) == "L-0"
    assert judge(reader, 1) is NEW


def test_a_bare_number_with_a_gap_is_given_up() -> None:
    """A number of an unknown log yields to the reply that announces a gap."""
    assert str(joined(seq=3, after="5", gap=True).cursor) == "L-3"


@pytest.mark.parametrize("type", ["completed", "failed", "canceled"])
def test_the_end_at_the_cursor_is_new_once(type: str) -> None:
    """The terminal event that repeats the reply's cursor is new, and then seen."""
    reader = joined(seq=12)
    assert judge(reader, 12, type=type) is NEW
    assert judge(reader, 12, type=type) is SEEN
    reader.joined(raw(log="L", cursor="L-12", seq=12))
    assert judge(reader, 12, type=type) is SEEN


def test_the_end_is_owed_until_it_was_given() -> None:
    """A join that was lost between its reply and the terminal event does not count."""
    reader = joined(seq=12)
    reader.joined(raw(log="L", cursor="L-12", seq=12))
    assert judge(reader, 12, type="completed") is NEW


def test_only_the_end_may_repeat_the_cursor() -> None:
    """Neither another type at the cursor nor an end below it is owed."""
    reader = joined(seq=12)
    assert judge(reader, 12, type="progress") is SEEN
    assert judge(reader, 11, type="completed") is SEEN


def test_another_log_owes_its_end_anew() -> None:
    """After a gap the terminal event of the new history is new, whatever was seen."""
    reader = joined(seq=12)
    assert judge(reader, 12, type="completed") is NEW
    reader.joined(raw(log="M", cursor="M-12", seq=12, gap=True))
    assert judge(reader, 12, type="failed") is NEW


@pytest.mark.parametrize("payload", [{}, {"seq": "1"}, {"seq": None}])
def test_an_event_without_seq_moves_nothing(payload: dict[str, object]) -> None:
    """What has no seq is told as it is."""
    reader = joined(seq=2)
    assert reader.judge(raw(**payload)) is NEW
    assert str(reader.cursor) == "L-2"


def test_without_a_place_everything_is_new() -> None:
    """A server that names no cursor gets no filter."""
    reader = Reader()
    reader.joined(raw())
    assert [judge(reader, 3), judge(reader, 3)] == [NEW, NEW]
    assert reader.cursor is None


@given(st.integers(0, 8), st.lists(st.integers(1, 12), max_size=30))
def test_what_is_new_rises_by_one(start: int, seqs: list[int]) -> None:
    """Whatever arrives, new events before the first hole are start+1, start+2 and so on."""
    reader = joined(seq=start)
    told = []
    for seq in seqs:
        verdict = judge(reader, seq)
        if verdict is HOLE:
            break
        if verdict is NEW:
            told.append(seq)
    assert told == list(range(start + 1, start + 1 + len(told)))
