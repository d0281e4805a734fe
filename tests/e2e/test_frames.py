"""docs/frames.json, and so docs/wire.md, is what a server says today.

The scenes are played again on a fresh server over real sockets. Words and numbers may
differ from run to run; keys, types, status lines and the order of frames may not.
After a change that is meant: `python -m tests.e2e.record_frames`, `safelight schema`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.e2e.record_frames import FILE, record
from tests.e2e.recorder import Scene, fits, shape

PRINTED = msgspec.json.decode(FILE.read_bytes(), type=list[Scene])

TYPES = (
    "queued started progress text artifact retrying canceling completed failed canceled"
).split()

CHANNEL_EVENTS = (
    "phx_reply phx_close status progress preview_ready image_response llm_response"
    " task task_deleted broadcast"
).split()


async def test_a_server_says_what_is_printed(tmp_path: Path) -> None:
    """Every printed exchange comes again, with the same keys, types and order."""
    played = await record(tmp_path / "data")
    assert [scene.name for scene in played] == [scene.name for scene in PRINTED]
    for now, printed in zip(played, PRINTED, strict=True):
        assert len(now.lines) == len(printed.lines), now.name
        for one, other in zip(now.lines, printed.lines, strict=True):
            assert one.by == other.by, now.name
            found, expected = shape(one.text), shape(other.text)
            assert fits(found, expected), f"{now.name}: {one.text}"


def test_every_kind_of_event_is_printed() -> None:
    """No type of event and no push of the server is without a real frame."""
    text = "\n".join(line.text for scene in PRINTED for line in scene.lines if line.by == "server")
    assert [name for name in TYPES if f'"type":"{name}"' not in text] == []
    assert [name for name in CHANNEL_EVENTS if f'"{name}",{{' not in text] == []
    assert "binary, " in text and "close 1011" in text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1}', '{"a":"1"}'),
        ('{"a":1}', '{"a":1,"b":2}'),
        ("HTTP/1.1 200 OK", "HTTP/1.1 202 Accepted"),
        ("Location: /x", "Etag: y"),
        ("event: gap", "event: progress"),
        ('data: {"a":[1]}', 'data: {"a":[]}'),
        ("close 1011: x", "close 1012: x"),
    ],
)
def test_a_difference_of_shape_is_seen(one: str, other: str) -> None:
    """Another key, type, status, header, name of an event or close code does not fit."""
    assert not fits(shape(one), shape(other))
    assert fits(shape(one), shape(one))


def test_words_and_nulls_may_differ() -> None:
    """Another value of the same type fits, and so does null."""
    assert fits(shape('{"a":1,"b":null}'), shape('{"a":2,"b":"text"}'))
