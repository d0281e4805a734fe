"""Frames of the log: shared, folded, wrapped, and never too large."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from safelight.tail import KEPT_BYTES, Entry, runs, words_of
from safelight_protocol import inputs as happened
from safelight_protocol.bounds import MAX_PAYLOAD, MAX_TEXT_FRAME
from safelight_protocol.events import Text, decode_event, error_data
from safelight_protocol.frames import serializer_for
from tests.doubles.chronicle import Chronicle, chronicle
from tests.doubles.lives import NOW

CLAIMED = happened.Claimed(NOW + 60_000)


async def entries_of(book: Chronicle, *happenings: happened.Happening) -> list[Entry]:
    """A task's events after those, with a provider's handle saved before the first."""
    await book.tell(await book.begin(), CLAIMED, happened.HandleSaved("p"), *happenings)
    return await book.log.read("u1", 0, 99)


def moved(*steps: int) -> list[happened.Happening]:
    """Progress to these hundredths."""
    return [happened.Progressed(step / 100, step, 100, None) for step in steps]


async def test_runs_of_progress_are_one_each(tmp_path: Path) -> None:
    """Consecutive progress of one attempt is its last event and the seq it begins at; the
    one that brings the provider's id, and everything else, stands for itself."""
    error = error_data("provider_failed", "no", retryable=True)
    retry = happened.Faulted(error, NOW)
    async with chronicle(tmp_path) as book:
        entries = await entries_of(
            book, *moved(1, 2, 3), happened.Wrote("a"), *moved(4, 5), retry, CLAIMED, *moved(1, 2)
        )
    kinds = [decode_event(e.body).__struct_config__.tag for e in entries]
    told = [(first, e.seq) for first, e in runs(entries)]
    assert kinds[2:8] == ["progress"] * 3 + ["text"] + ["progress"] * 2
    assert told == [(1, 1), (2, 2), (3, 3), (4, 5), (6, 6), (7, 8), (9, 9), (10, 10), (11, 12)]


async def test_an_attempt_never_stands_for_another(tmp_path: Path) -> None:
    """Progress of one attempt does not yield to that of the next, whatever lies between."""
    async with chronicle(tmp_path) as book:
        *_, one = await entries_of(book, *moved(1, 2))
    other = Entry(one.seq + 1, one.run, one.body.replace(b'"attempt":1', b'"attempt":2'))
    assert (one.yields_to(one), one.yields_to(other)) == (True, False)


async def test_a_run_is_encoded_once(tmp_path: Path) -> None:
    """All readers who lag alike share its frame, which says where it begins; one that is
    not wanted any more is not kept for ever."""
    two = serializer_for("2.0.0")
    async with chronicle(tmp_path) as book:
        *_, entry = await entries_of(book, *moved(1, 2, 3))
    frame = entry.frame(two, "task:x", 3)
    assert entry.frame(two, "task:x", 3) is frame
    body = msgspec.json.decode(entry.body)
    assert msgspec.json.decode(frame.message)[4] == body | {"from_seq": 3}
    assert msgspec.json.decode(entry.frame(two, "task:x").message)[4] == body
    other = entry.frame(two, "task:y")
    assert entry.frame(two, "task:y") is other
    for number in range(KEPT_BYTES // len(frame) + 1):
        wanted = entry.frame(two, "task:x", 2)
        entry.frame(two, f"task:{number:05}", 3)
    assert entry.frame(two, "task:x", 2) is wanted
    assert entry.frame(two, "task:x", 3) is not frame


async def test_a_supabase_topic_has_its_own_frame(tmp_path: Path) -> None:
    """On `realtime:` topics the event is wrapped as a broadcast."""
    async with chronicle(tmp_path) as book:
        entry = (await entries_of(book))[0]
    told = msgspec.json.decode(entry.frame(serializer_for("2.0.0"), "realtime:task:x").message)
    body = {"type": "broadcast", "event": "progress", "payload": msgspec.json.decode(entry.body)}
    assert told == [None, None, "realtime:task:x", "broadcast", body]


async def test_a_frame_too_large_is_cut_and_the_log_is_not(tmp_path: Path) -> None:
    """The frame says so and where the whole is; what is stored and read stays whole."""
    async with chronicle(tmp_path) as book:
        *_, entry = await entries_of(book, happened.Wrote("x" * 600_000))
    frame = entry.frame(serializer_for("2.0.0"), "task:x")
    told = msgspec.json.decode(frame.message)[4]
    assert len(frame.message) <= MAX_TEXT_FRAME
    assert (told["seq"], told["truncated"], told["url"]) == (3, True, "/api/tasks/u1")
    event = decode_event(entry.body)
    assert isinstance(event, Text)
    assert len(event.delta) == 600_000


TOPICS = ("task:x", "realtime:task:x", "llm_conversation:\u00e9")


@pytest.mark.parametrize("vsn", ["1.0.0", "2.0.0"])
@pytest.mark.parametrize("size", [1, 20, 200, 60_000, 66_000, 600_000])
async def test_a_frame_takes_nothing_from_the_event(tmp_path: Path, vsn: str, size: int) -> None:
    """Its JSON is the same bytes before its first frame and after it, whatever the topic and
    the length of the frame's head; it is not held twice beside that frame."""
    async with chronicle(tmp_path) as book:
        *_, entry = await entries_of(book, happened.Wrote("\u00e9" * size))
    body = entry.body
    for topic in TOPICS:
        fresh = Entry(entry.seq, entry.run, body)
        frame = fresh.frame(serializer_for(vsn), topic)
        assert fresh.body == body
        assert decode_event(fresh.body) == decode_event(body)
        assert fresh.frame(serializer_for(vsn), topic) is frame
        assert fresh.wire(words_of(serializer_for(vsn), topic)) is frame.wire
        assert len(fresh) == (len(body) if len(body) > MAX_PAYLOAD else len(frame.wire))


async def test_each_topic_and_version_has_its_own_frame(tmp_path: Path) -> None:
    """Whichever was asked for first, and by whatever instance of a serializer."""
    async with chronicle(tmp_path) as book:
        *_, entry = await entries_of(book, *moved(1))
    asked = [(vsn, topic) for vsn in ("2.0.0", "1.0.0") for topic in TOPICS]
    wires = [entry.frame(serializer_for(vsn), topic).wire for vsn, topic in asked]
    for (vsn, topic), wire in zip(asked, wires, strict=True):
        alone = Entry(entry.seq, entry.run, entry.body)
        assert alone.frame(serializer_for(vsn), topic).wire == wire
        assert entry.frame(serializer_for(vsn), topic).wire is wire
    assert len(set(wires)) == len(wires)
