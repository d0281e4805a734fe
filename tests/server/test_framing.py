"""Frames one by one: what is made, what is read, and what each kind of fault is called.

The cases follow the sections of the Autobahn test suite, by their names; what belongs to
a live connection (7.1, and who closes what) is in test_lines_closing.py.
"""

from __future__ import annotations

import sys
import tracemalloc

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from safelight import framing
from safelight.framing import Broken, Closed, Event, Ping, Reader
from tests.doubles.lined import frame

LIMIT = 100_000
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
TEXT_BEGINS, BINARY_BEGINS, GOES_ON, ENDS = 0x01, 0x02, 0x00, 0x80
GREETING = "Hello-µ@ßöäüàá-UTF-8!!"
PHRASE = "κόσμε"
MALFORMED, NOT_UTF8, TOO_LARGE = 1002, 1007, 1009


def read(data: bytes, step: int | None = None, limit: int = LIMIT) -> list[Event]:
    """Every event of these bytes, which come in pieces of `step`."""
    reader = Reader(limit)
    events: list[Event] = []
    for at in range(0, len(data), step or max(1, len(data))):
        reader.add(data[at : at + (step or len(data))])
        while (event := reader.next()) is not None:
            events.append(event)
    return events


def goodbye(code: int, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


SIZES = (0, 1, 125, 126, 127, 128, 65535, 65536)

WELL: dict[str, tuple[bytes, list[Event]]] = {
    **{f"1.1 text of {n}": (frame(TEXT, b"*" * n), ["*" * n]) for n in SIZES},
    **{f"1.2 bytes of {n}": (frame(BINARY, b"\xfe" * n), [b"\xfe" * n]) for n in SIZES},
    "2.1 ping without payload": (frame(PING), [Ping(b"")]),
    "2.3 ping with bytes": (frame(PING, b"\x00\xff\xfe"), [Ping(b"\x00\xff\xfe")]),
    "2.4 ping of 125": (frame(PING, b"\xfe" * 125), [Ping(b"\xfe" * 125)]),
    "2.7 pong nobody asked for": (frame(PONG), []),
    "2.8 pong with payload": (frame(PONG, b"unsolicited"), []),
    "2.9 pong, then ping": (frame(PONG, b"a") + frame(PING, b"b"), [Ping(b"b")]),
    "2.10 ten pings": (frame(PING, b"p") * 10, [Ping(b"p")] * 10),
    "5.3 two parts": (frame(TEXT_BEGINS, b"frag") + frame(ENDS, b"ment"), ["fragment"]),
    "5.6 a ping between": (
        frame(TEXT_BEGINS, b"frag") + frame(PING, b"?") + frame(ENDS, b"ment"),
        [Ping(b"?"), "fragment"],
    ),
    "5.19 parts and pings in turns": (
        frame(TEXT_BEGINS, b"1")
        + frame(GOES_ON, b"2")
        + frame(PING, b"a")
        + frame(GOES_ON, b"3")
        + frame(PING, b"b")
        + frame(ENDS, b"4"),
        [Ping(b"a"), Ping(b"b"), "1234"],
    ),
    "5 bytes in empty parts": (
        frame(BINARY_BEGINS) + frame(GOES_ON, b"x") + frame(GOES_ON) + frame(ENDS),
        [b"x"],
    ),
    "5 the next message begins anew": (
        frame(TEXT_BEGINS, b"a") + frame(ENDS) + frame(BINARY_BEGINS, b"\xff") + frame(ENDS),
        ["a", b"\xff"],
    ),
    "6.1 empty text in three parts": (
        frame(TEXT_BEGINS) + frame(GOES_ON) + frame(ENDS),
        [""],
    ),
    "6.2 text of many scripts": (frame(TEXT, GREETING.encode()), [GREETING]),
    "6.2 cut in a character": (
        b"".join(
            [frame(TEXT_BEGINS, GREETING.encode()[:7])]
            + [frame(GOES_ON, bytes((b,))) for b in GREETING.encode()[7:]]
            + [frame(ENDS)]
        ),
        [GREETING],
    ),
    "6.5 a word of Greek": (frame(TEXT, PHRASE.encode()), [PHRASE]),
    "6.22 what is no character, but UTF-8": (frame(TEXT, b"\xef\xbf\xbe"), ["\ufffe"]),
    "6.9 the last code point": (frame(TEXT, b"\xf4\x8f\xbf\xbf"), ["\U0010ffff"]),
    "7.1 nothing after close": (goodbye(1000) + frame(TEXT, b"x"), [Closed(1000, "")]),
    "7.3 close without payload": (frame(CLOSE), [Closed(1005, "")]),
    "7.3 close with a reason": (goodbye(1000, b"Hello!"), [Closed(1000, "Hello!")]),
    "7.3 close with 123 bytes": (goodbye(1000, b"*" * 123), [Closed(1000, "*" * 123)]),
    **{
        f"7.7 close with {code}": (goodbye(code), [Closed(code, "")])
        for code in (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
    },
    "7 close between two parts": (frame(TEXT_BEGINS, b"a") + goodbye(1001), [Closed(1001, "")]),
}

BAD_TEXTS = {
    "6.3 a surrogate in the middle": b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited",
    "6.4 beyond the last code point": b"\xce\xba\xf4\x90\x80\x80edited",
    "6.8 five bytes": b"\xf8\x88\x80\x80\x80",
    "6.10 six bytes": b"\xfd\xbf\xbf\xbf\xbf\xbf",
    "6.12 a continuation alone": b"\x80",
    "6.14 a begin alone": b"\xc0 ",
    "6.15 the last byte missing": b"\xf0\x90\x80",
    "6.18 longer than needed": b"\xe0\x80\xaf",
    "6.20 half a pair": b"\xed\xaf\xbf",
    "6.21 a pair": b"\xed\xa0\x80\xed\xb0\x80",
}

HURT: dict[str, tuple[bytes, int]] = {
    "2.5 ping of 126": (frame(PING, b"\xfe" * 126), MALFORMED),
    **{
        f"3 reserved bits {bits:03b}, opcode {op}": (
            frame(0x80 | bits << 4 | op, b"x"),
            MALFORMED,
        )
        for bits in range(1, 8)
        for op in (1, 2, 8, 9, 10)
    },
    **{
        f"4 opcode {op}": (frame(0x80 | op, b"x"), MALFORMED)
        for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "5.1 ping in two parts": (frame(0x09, b"frag") + frame(ENDS, b"ment"), MALFORMED),
    "5.2 pong in two parts": (frame(0x0A, b"frag") + frame(ENDS, b"ment"), MALFORMED),
    "5 close in two parts": (frame(0x08), MALFORMED),
    "5.9 an end of nothing": (frame(ENDS, b"x"), MALFORMED),
    "5.12 a part of nothing": (frame(GOES_ON, b"x"), MALFORMED),
    "5.15 an end too many": (
        frame(TEXT_BEGINS) + frame(ENDS) + frame(ENDS),
        MALFORMED,
    ),
    "5.18 a text within a text": (frame(TEXT_BEGINS, b"a") + frame(TEXT, b"b"), MALFORMED),
    "5 bytes within a text": (frame(TEXT_BEGINS, b"a") + frame(BINARY_BEGINS, b"b"), MALFORMED),
    **{name: (frame(TEXT, data), NOT_UTF8) for name, data in BAD_TEXTS.items()},
    "6.4 found at the end of its part": (
        frame(TEXT_BEGINS, b"\xce\xba") + frame(GOES_ON, b"\xf4\x90"),
        NOT_UTF8,
    ),
    "6 cut short at the end": (frame(TEXT_BEGINS, b"\xce") + frame(ENDS), NOT_UTF8),
    "7.3 close of one byte": (frame(CLOSE, b"a"), MALFORMED),
    "7.3 close of 126": (goodbye(1000, b"*" * 124), MALFORMED),
    "7.5 a reason that is no UTF-8": (goodbye(1000, b"\xce\xba\xed\xa0\x80"), NOT_UTF8),
    **{
        f"7.9 close with {code}": (goodbye(code), MALFORMED)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "9 one byte more than is allowed": (frame(TEXT, b"*" * (LIMIT + 1)), TOO_LARGE),
    "9 too large by its header": (b"\x82\xff" + (LIMIT + 1).to_bytes(8, "big"), TOO_LARGE),
    "9 too large by its parts": (
        frame(BINARY_BEGINS, b"*" * LIMIT) + frame(GOES_ON) + b"\x80\x81",
        TOO_LARGE,
    ),
    "5.2 a length with the highest bit": (b"\x82\xff\x80" + b"\0" * 7, MALFORMED),
    "5.1 not masked": (b"\x81\x02{}", MALFORMED),
    "5.1 a close that is not masked": (b"\x88\x00", MALFORMED),
}


@pytest.mark.parametrize("step", [None, 1, 2, 3, 1000])
@pytest.mark.parametrize("name", WELL)
def test_what_is_allowed_is_read(name: str, step: int | None) -> None:
    """Every form that the standard allows is read as it was meant, however it is cut."""
    data, events = WELL[name]
    assert read(data, step) == events


@pytest.mark.parametrize("step", [None, 1])
@pytest.mark.parametrize("name", HURT)
def test_what_is_not_allowed_has_its_code(name: str, step: int | None) -> None:
    """Every fault ends the reading, after what came before it, with the right code; what
    comes behind it is not read."""
    data, code = HURT[name]
    before = frame(TEXT, b"before")
    *events, end = read(before + data + frame(TEXT, b"behind"), step)
    assert isinstance(end, Broken) and end.code == code
    assert events[0] == "before" and "behind" not in events


@pytest.mark.parametrize("data", [b"\x81\x02", b"\x89\xfe", b"\xc1\x80", b"\x83\x80", b"\x80\x80"])
def test_two_bytes_are_enough_to_refuse(data: bytes) -> None:
    """What the first two bytes show is not waited for any longer."""
    assert isinstance(read(data)[0], Broken)


def test_a_length_may_be_longer_than_needed() -> None:
    """A length in two or eight bytes that would fit into fewer is read all the same."""
    masked = frame(TEXT, b"abc")[2:]
    assert read(b"\x81\xfe\x00\x03" + masked) == ["abc"]
    assert read(b"\x81\xff" + (3).to_bytes(8, "big") + masked) == ["abc"]


def test_the_limit_itself_is_allowed() -> None:
    """A message of exactly the limit is read, in one part or in several, and control frames
    between them do not count."""
    whole = frame(BINARY, b"x" * 50)
    parts = frame(BINARY_BEGINS, b"x" * 25) + frame(PING, b"y" * 125) + frame(ENDS, b"x" * 25)
    assert read(whole, limit=50) == [b"x" * 50]
    assert read(parts, limit=50) == [Ping(b"y" * 125), b"x" * 50]
    assert read(frame(TEXT, b"x" * 51), limit=50)[0][0] == TOO_LARGE


def test_nothing_is_kept_when_nothing_is_left_over() -> None:
    """A reader whose bytes were all read holds no buffer, whatever they were."""
    reader = Reader(LIMIT)
    for data, _ in WELL.values():
        reader = Reader(LIMIT)
        reader.add(data)
        while reader.next() is not None:
            pass
        assert reader.held == 0
        assert reader._bytes is None
    assert not hasattr(reader, "__dict__")
    assert sys.getsizeof(reader) <= 112


def test_a_drip_is_moved_a_few_times_only() -> None:
    """A large message that comes byte by byte is held once while it comes, and its parts
    are not copied again and again."""
    data = frame(BINARY, b"x" * 60_000)
    reader = Reader(LIMIT)
    moves = 0
    for at in range(len(data) - 1):
        before = reader._bytes
        reader.add(data[at : at + 1])
        moves += before is not reader._bytes
        assert reader.next() is None
    reader.add(data[-1:])
    assert reader.next() == b"x" * 60_000
    assert moves <= 3


def test_what_is_refused_is_not_held() -> None:
    """A header that announces too much costs nothing, though its bytes come."""
    reader = Reader(1000)
    tracemalloc.start()
    try:
        reader.add(b"\x82\xff\x00\x00\x00\x00\x7f\xff\xff\xff\0\0\0\0")
        assert isinstance(reader.next(), Broken)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            reader.add(b"x" * 1000)
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()


MADE: dict[str, tuple[bytes, Opcode, bytes]] = {
    **{f"text of {n}": (framing.text(b"*" * n), Opcode.TEXT, b"*" * n) for n in (*SIZES, 200_000)},
    **{f"bytes of {n}": (framing.binary(b"\0" * n), Opcode.BINARY, b"\0" * n) for n in SIZES},
    "pong": (framing.pong(b"again"), Opcode.PONG, b"again"),
    "close": (framing.close(4000, "ö"), Opcode.CLOSE, b"\x0f\xa0" + "ö".encode()),
    "empty close": (framing.close(framing.NO_CODE, "unheard"), Opcode.CLOSE, b""),
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_is_understood(name: str) -> None:
    """Another implementation, as a client, reads from our frames what was put in."""
    data, opcode, payload = MADE[name]
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=State.OPEN)
    client.receive_data(data)
    (event,) = client.events_received()
    assert client.parser_exc is None
    assert isinstance(event, Frame) and event.fin
    assert (event.opcode, bytes(event.data)) == (opcode, payload)


@pytest.mark.parametrize("reason", ["*" * 300, "ö" * 100, "🎞" * 60, "\ud800" * 200])
def test_a_long_reason_is_cut_between_characters(reason: str) -> None:
    """A close frame stays a control frame, and its reason UTF-8."""
    data = framing.close(1011, reason)
    assert data[1] <= 125
    said = Close.parse(data[2:]).reason
    assert len(said) >= 29
    assert reason.startswith(said) or set(said) == {"?"}


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000])
def test_codes_that_mean_no_frame_are_not_sent(code: int) -> None:
    """Nobody gets a code that may only be told within a program."""
    with pytest.raises(ValueError, match=str(code)):
        framing.close(code)


@pytest.mark.parametrize("size", [3, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_text_in_three_parts_is_the_same_frame(size: int) -> None:
    """As one that is at hand whole; and its head is as long as it says."""
    whole = bytes(97 + n % 26 for n in range(size))
    frame = framing.text_of(whole[:1], whole[1:-1], whole[-1:])
    assert frame == framing.text(whole)
    assert frame[framing.head_size(frame) :] == whole
