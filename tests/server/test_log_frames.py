"""Frames of the log: shared, folded, wrapped, and never too large."""

from __future__ import annotations

from pathlib import Path

import msgspec

from safelight.tail import MAX_FRAMES, Entry, runs
from safelight_protocol import inputs as happened
from safelight_protocol.bounds import MAX_TEXT_FRAME
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
    """All readers who lag alike share its frame, which says where it begins; frames that
    few can want are not kept for ever."""
    two = serializer_for("2.0.0")
    async with chronicle(tmp_path) as book:
        *_, entry = await entries_of(book, *moved(1, 2, 3))
    frame = entry.frame(two, "task:x", 3)
    assert entry.frame(two, "task:x", 3) is frame
    body = msgspec.json.decode(entry.body)
    assert msgspec.json.decode(frame.message)[4] == body | {"from_seq": 3}
    assert msgspec.json.decode(entry.frame(two, "task:x").message)[4] == body
    for number in range(MAX_FRAMES):
        entry.frame(two, f"task:{number}", 3)
    again = entry.frame(two, "task:late", 3)
    assert entry.frame(two, "task:late", 3) is not again
    assert entry.frame(two, "task:late") is entry.frame(two, "task:late")
    assert entry.frame(two, "task:x", 3) is frame


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
