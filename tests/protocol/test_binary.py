"""The layouts of binary frames, byte by byte."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight_protocol import binary
from safelight_protocol.binary import BinaryFrame
from safelight_protocol.frame_errors import FrameError

SHORT = st.text(max_size=60).filter(lambda text: len(text.encode()) <= 255)
REF = st.none() | st.integers(1, 10**20).map(str)

SERVER = [
    (
        binary.encode_push("6", "room:a", "pushbin", b"\x01\x02\x03"),
        b"\x00\x01\x06\x076room:apushbin\x01\x02\x03",
        BinaryFrame(
            kind="push", join_ref="6", topic="room:a", event="pushbin", payload=b"\x01\x02\x03"
        ),
    ),
    (
        binary.encode_reply("6", "17", "room:a", "ok", b"\x01"),
        b"\x01\x01\x02\x06\x02617room:aok\x01",
        BinaryFrame(
            kind="reply",
            join_ref="6",
            ref="17",
            topic="room:a",
            event="phx_reply",
            payload=b"\x01",
            status="ok",
        ),
    ),
    (
        binary.encode_reply(None, 123, "t", "error", b""),
        b"\x01\x00\x03\x01\x05123terror",
        BinaryFrame(
            kind="reply", ref="123", topic="t", event="phx_reply", payload=b"", status="error"
        ),
    ),
    (
        binary.encode_broadcast("room:é", "évt", b"\xff"),
        b"\x02\x07\x04room:\xc3\xa9\xc3\xa9vt\xff",
        BinaryFrame(kind="broadcast", topic="room:é", event="évt", payload=b"\xff"),
    ),
]


@pytest.mark.parametrize(("encoded", "wire", "meaning"), SERVER)
def test_server_frames_both_ways(encoded: bytes, wire: bytes, meaning: BinaryFrame) -> None:
    """Each kind that a server sends has exactly these bytes, and they mean this."""
    assert encoded == wire
    assert binary.decode_server(wire) == meaning


@given(REF, REF, SHORT, SHORT, st.binary(max_size=50))
def test_client_pushes_come_back(
    join_ref: str | None, ref: str | None, topic: str, event: str, payload: bytes
) -> None:
    """A client's push means after the wire what it meant before."""
    wire = binary.encode_client_push(join_ref, ref, topic, event, payload)
    assert binary.decode_client(wire) == BinaryFrame(
        kind="push", join_ref=join_ref, ref=ref, topic=topic, event=event, payload=payload
    )


def test_latin_1_is_read_where_utf_8_fails() -> None:
    """The strings of phoenix.js up to 1.8.6, cut to one byte a letter, are understood."""
    wire = b"\x00\x01\x01\x06\x0458room:\xe9echo\x01"
    assert binary.decode_client(wire).topic == "room:é"


@pytest.mark.parametrize(
    ("decode", "wire"),
    [
        (binary.decode_client, b""),
        (binary.decode_client, b"\x01\x01\x01\x01\x01"),
        (binary.decode_client, b"\x03\x01\x01\x01\x01\x00\x00"),
        (binary.decode_client, b"\x03\x00\x00\x00\x00\x00"),
        (binary.decode_client, b"\x04\x01\x01\x00\x01te"),
        (binary.decode_client, b"\x09\x01\x01"),
        (binary.decode_client, b"\x00"),
        (binary.decode_client, b"\x00\x00\x00\x00"),
        (binary.decode_client, b"\x00\x05\x05\x05\x05\x01"),
        (binary.decode_server, b""),
        (binary.decode_server, b"\x03\x01\x01"),
        (binary.decode_server, b"\x02\x05\x05te"),
    ],
)
def test_what_is_no_frame_is_refused(decode: Callable[[bytes], BinaryFrame], wire: bytes) -> None:
    """An unknown kind and a truncated frame are refused as such, without a guess."""
    with pytest.raises(FrameError) as refused:
        decode(wire)
    assert refused.value.code == "bad_frame"


@pytest.mark.parametrize(("encoding", "is_json"), [(1, True), (0, False), (9, False)])
def test_a_supabase_broadcast_is_taken_apart(encoding: int, is_json: bool) -> None:
    """Kind 3 has the client's own event, a note that we skip, and says what its bytes are."""
    wire = bytes((3, 1, 0, 6, 4, 2, encoding)) + b"6room:aping{}" + b'{"x":1}'
    assert binary.decode_client(wire) == BinaryFrame(
        kind="user_broadcast_push",
        join_ref="6",
        topic="room:a",
        event="broadcast",
        payload=b'{"x":1}',
        user_event="ping",
        is_json=is_json,
    )


def test_the_shortest_frame_is_one() -> None:
    """A frame whose strings are all empty is complete with its lengths."""
    assert binary.decode_client(b"\x00\x00\x00\x00\x00").topic == ""


@given(st.binary(max_size=40))
def test_no_bytes_break_the_decoders(data: bytes) -> None:
    """Any bytes are a frame or a FrameError."""
    for decode in (binary.decode_client, binary.decode_server):
        try:
            decode(data)
        except FrameError as error:
            assert error.code == "bad_frame"


@pytest.mark.parametrize(
    ("topic", "fits"), [("x" * 255, True), ("x" * 256, False), ("é" * 128, False)]
)
def test_strings_are_counted_in_bytes(topic: str, fits: bool) -> None:
    """A string longer than its length byte can say is refused, never cut."""
    if fits:
        assert binary.decode_server(binary.encode_broadcast(topic, "e", b"")).topic == topic
        return
    with pytest.raises(FrameError) as refused:
        binary.encode_broadcast(topic, "e", b"")
    assert (refused.value.code, refused.value.field) == ("invalid", "topic")
    assert refused.value.found == "256 bytes"
