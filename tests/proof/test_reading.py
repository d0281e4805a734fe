"""Raw bytes as what they say, without the product's own codecs."""

from __future__ import annotations

import pytest

from .reading import (
    Frame,
    Unreadable,
    read_frame,
    read_json,
    read_message,
    read_place,
    write_frame,
)

EVENT = {"type": "text", "seq": 3}


@pytest.mark.parametrize("door", ["v1", "v2"])
def test_a_frame_is_read_as_it_was_written(door: str) -> None:
    """Both versions carry topic, event, ref and payload; V2 the join's ref besides."""
    frame = Frame("1" if door == "v2" else None, "2", "task:a:b", "progress", EVENT)
    read = read_frame(write_frame(frame, door), door)
    assert read == frame
    assert (frame.id, frame.told) == ("a:b", EVENT)


def test_only_progress_of_a_known_type_is_a_task_event() -> None:
    """Other pushes, and payloads without a type of event, tell none."""
    assert Frame(None, None, "task:a", "status", EVENT).told is None
    assert Frame(None, None, "task:a", "progress", {"type": "else"}).told is None


def test_a_binary_frame_is_no_text() -> None:
    """Previews are left alone."""
    assert read_frame(b"\x02\x06\x07task:apreview", "v2") is None


@pytest.mark.parametrize(
    ("data", "door"), [(b"{}", "v2"), (b"[1]", "v2"), (b"[]", "v1"), (b"[1", "v2")]
)
def test_what_is_no_frame_is_named(data: bytes, door: str) -> None:
    """A frame of the other version, or cut off, is unreadable."""
    with pytest.raises(Unreadable):
        read_frame(data, door)


def test_a_record_of_a_stream_has_id_name_and_data() -> None:
    """A comment has none of them."""
    told = read_message(b'id: log-3\nevent: progress\ndata: {"seq":3}')
    assert (told.id, told.event, told.data) == ("log-3", "progress", {"seq": 3})
    comment = read_message(b": still here")
    assert (comment.id, comment.event, comment.data) == (None, None, None)


def test_a_cursor_is_log_and_seq() -> None:
    """A bare seq has no log; what ends in no number is no cursor."""
    assert read_place("a-b-12") == ("a-b", 12)
    assert read_place(0) == (None, 0)
    assert read_place(None) is None
    with pytest.raises(Unreadable):
        read_place("log-x")
    with pytest.raises(Unreadable):
        read_json(b"nonsense")
