"""Our reader of frames against the one of `websockets`, on whatever Hypothesis thinks of.

Both get the same bytes, ours cut anywhere. Where the two may differ:

- theirs looks at a frame when it is whole, ours at its first two bytes: so theirs is asked
  again after its frame has been filled up, and of two faults it may find the other one;
- theirs leaves UTF-8 to its caller, so the judge checks it, part by part;
- a length with its highest bit set is too large for theirs, and malformed for ours;
- theirs counts control frames as part of the message around them, and takes a close
  between two parts for a fault; the standard has neither, and the judge allows for both.
"""

from __future__ import annotations

import codecs
import os
from typing import NamedTuple

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ProtocolError
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from safelight.framing import MALFORMED, NOT_UTF8, TOO_LARGE, Broken, Closed, Event, Ping, Reader
from tests.doubles.lined import frame

LIMIT = 300
FILLING = b"\0" * 70_000
"""Enough to fill up any frame that is within the limit, or of 16 bits."""

EXAMPLES = settings(max_examples=int(os.environ.get("SAFELIGHT_TEST_EXAMPLES", "150")))
masks = st.binary(min_size=4, max_size=4)
texts = st.text(max_size=70).map(str.encode)
payloads = st.one_of(texts, st.binary(max_size=200), st.binary(min_size=120, max_size=130))
codes = st.one_of(st.integers(990, 1020), st.integers(2990, 5010), st.integers(0, 65535))


class Outcome(NamedTuple):
    """What a stream came to: its messages and pings, and the end, if it has one."""

    events: list[Event]
    end: Closed | Broken | None


def ours(pieces: list[bytes]) -> Outcome:
    """What our reader makes of it."""
    reader = Reader(LIMIT)
    events: list[Event] = []
    for piece in pieces:
        reader.add(piece)
        while (found := reader.next()) is not None:
            events.append(found)
    if events and isinstance(events[-1], Closed | Broken):
        return Outcome(events[:-1], events[-1])
    return Outcome(events, None)


def theirs(data: bytes) -> Outcome:
    """What `websockets` makes of it, with UTF-8 added."""
    server = ServerProtocol(state=State.OPEN, max_size=LIMIT)
    server.receive_data(data)
    judge = Judge()
    for found in server.events_received():
        assert isinstance(found, Frame)
        judge.take(found)
        if judge.end is not None:
            return Outcome(judge.events, judge.end)
    fault = server.parser_exc
    if fault is None:
        return Outcome(judge.events, None)
    assert server.close_sent is not None
    if isinstance(fault, ProtocolError) and str(fault) == "incomplete fragmented message":
        assert server.close_rcvd is not None  # the close between two parts
        return Outcome(judge.events, closed(server.close_rcvd))
    return Outcome(judge.events, Broken(server.close_sent.code, str(fault)))


def closed(close: Close) -> Closed:
    """A goodbye as ours tells it."""
    return Closed(close.code, close.reason)


class Judge:
    """Puts frames together, and looks at their text part by part."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.end: Closed | Broken | None = None
        self._parts: list[bytes] = []
        self._decoder: codecs.IncrementalDecoder | None = None

    def take(self, found: Frame) -> None:
        """The next frame."""
        data = bytes(found.data)
        match found.opcode:
            case Opcode.PING:
                self.events.append(Ping(data))
            case Opcode.CLOSE:
                self.end = closed(Close.parse(data))
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                if found.opcode is not Opcode.CONT:
                    text = found.opcode is Opcode.TEXT
                    self._decoder = codecs.getincrementaldecoder("utf-8")() if text else None
                    self._parts = []
                self._part(data, found.fin)

    def _part(self, data: bytes, last: bool) -> None:
        self._parts.append(data)
        try:
            if self._decoder is not None:
                self._decoder.decode(data, last)
        except UnicodeDecodeError:
            self.end = Broken(NOT_UTF8, "")
            return
        if last:
            whole = b"".join(self._parts)
            self.events.append(whole if self._decoder is None else whole.decode())


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes in pieces; one byte at a time, or at any places."""
    if draw(st.integers(0, 9)) == 0:
        return [data[n : n + 1] for n in range(len(data))]
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


controls = st.builds(frame, st.sampled_from([0x89, 0x8A]), st.binary(max_size=125), mask=masks)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A message in one part or several, cut at any byte, with control frames between."""
    text = draw(st.booleans())
    data = draw(texts if text else st.binary(max_size=200))
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    parts = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    made = []
    for n, part in enumerate(parts):
        first = (0x80 if n == len(parts) - 1 else 0) | (0 if n else 1 if text else 2)
        made.append(frame(first, part, mask=draw(masks)))
        if n < len(parts) - 1 and sum(map(len, parts)) <= LIMIT - 125:
            made += draw(st.lists(controls, max_size=2))
    return b"".join(made)


streams = st.lists(st.one_of(messages(), controls), max_size=6).map(b"".join)
goodbyes = st.one_of(
    st.just(b""),
    st.just(b"x"),
    st.builds(
        lambda code, reason: code.to_bytes(2, "big") + reason,
        codes,
        st.one_of(st.text(max_size=30).map(str.encode), st.binary(max_size=30)),
    ),
).map(lambda body: frame(0x88, body))
near_misses = st.builds(
    lambda first, payload, mask: frame(first, payload, mask=mask),
    st.integers(0, 255),
    payloads,
    masks,
)


@EXAMPLES
@given(data=streams, pieces=st.data())
def test_what_is_allowed_is_read_alike(data: bytes, pieces: st.DataObject) -> None:
    """Messages in parts, with control frames between, come out the same however they are
    cut on their way; and none is taken for a fault."""
    expected = theirs(data)
    assert expected.end is None
    assert ours(pieces.draw(cut(data))) == expected


@EXAMPLES
@given(data=streams, end=goodbyes, behind=streams, pieces=st.data())
def test_goodbyes_are_read_alike(
    data: bytes, end: bytes, behind: bytes, pieces: st.DataObject
) -> None:
    """A close frame, good or bad, ends both alike, and nothing behind it is read."""
    expected = theirs(data + end + behind)
    found = ours(pieces.draw(cut(data + end + behind)))
    assert expected.end is not None and found.end is not None
    assert found.events == expected.events
    assert found.end.code == expected.end.code or two_faults(found.end, expected.end)
    assert isinstance(found.end, Broken) or found.end == expected.end


@EXAMPLES
@given(data=streams, hostile=st.one_of(near_misses, st.binary(max_size=60)), pieces=st.data())
def test_one_strange_frame_is_judged_alike(
    data: bytes, hostile: bytes, pieces: st.DataObject
) -> None:
    """After what is allowed comes something that hardly is: both read the same up to it,
    and refuse it or do not."""
    compare(data + hostile, pieces)


@EXAMPLES
@given(
    data=streams,
    changes=st.lists(st.tuples(st.integers(0), st.integers(0, 7)), min_size=1, max_size=3),
    pieces=st.data(),
)
def test_bits_that_flip_are_judged_alike(
    data: bytes, changes: list[tuple[int, int]], pieces: st.DataObject
) -> None:
    """What was allowed, with a few bits the other way."""
    assume(data)
    spoilt = bytearray(data)
    for place, bit in changes:
        spoilt[place % len(spoilt)] ^= 1 << bit
    compare(bytes(spoilt), pieces)


@EXAMPLES
@given(data=st.binary(max_size=400), pieces=st.data())
def test_nonsense_is_judged_alike(data: bytes, pieces: st.DataObject) -> None:
    """Any bytes at all."""
    compare(data, pieces)


def compare(data: bytes, pieces: st.DataObject) -> None:
    """Both outcomes are the same, but for what the head of this file allows."""
    found = ours(pieces.draw(cut(data)))
    assert found == ours([data]), "it matters how the bytes were cut"
    expected = theirs(data)
    if expected.end is None and found.end is not None:
        expected = theirs(data + FILLING)
        event("ours was earlier")
    if counts_controls(expected, found):
        event("theirs counted a control frame")
        return
    kept = expected.events[: len(found.events)]
    assert found.events == kept
    assert (found.end is None) == (expected.end is None)
    if found.end is not None and expected.end is not None:
        event(f"{found.end.code}, {expected.end.code}")
        assert found.end.code == expected.end.code or two_faults(found.end, expected.end)


def two_faults(found: Closed | Broken, expected: Closed | Broken) -> bool:
    """Ours saw what is malformed, theirs what is in it, or how large it is."""
    return found.code == MALFORMED and expected.code in (NOT_UTF8, TOO_LARGE)


def counts_controls(expected: Outcome, found: Outcome) -> bool:
    """Theirs refused as too large what ours goes on reading, or reads as a control frame."""
    too_large = expected.end is not None and expected.end.code == TOO_LARGE
    further = len(found.events) > len(expected.events) or found.end is None
    return too_large and (further or isinstance(found.end, Closed))
