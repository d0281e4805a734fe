"""Text frames of both versions, and the choice between them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight_protocol import binary
from safelight_protocol.frames import (
    V1,
    V2,
    Frame,
    FrameError,
    Ref,
    Serializer,
    object_of,
    serializer_for,
)

REFS = st.none() | st.text(max_size=20) | st.integers(-(10**30), 10**30)
NAMES = st.text(max_size=40)
OBJECTS = st.dictionaries(st.text(max_size=5), st.integers(-9, 9) | st.text(max_size=5))


def parts(frame: Frame) -> tuple[Ref, Ref, str, str, object]:
    """A frame with its payload read, since raw payloads compare by their bytes."""
    payload = msgspec.json.decode(frame.payload)
    return (frame.join_ref, frame.ref, frame.topic, frame.event, payload)


ENCODED = [
    (V2().encode_push("6", "t", "e", b'{"m":1}'), '["6",null,"t","e",{"m":1}]'),
    (
        V2().encode_reply("6", "7", "t", "ok", b'{"x":1}'),
        '["6","7","t","phx_reply",{"response":{"x":1},"status":"ok"}]',
    ),
    (
        V2().encode_reply(None, 3, "t", "error", b"{}"),
        '[null,3,"t","phx_reply",{"response":{},"status":"error"}]',
    ),
    (V2().encode_broadcast("t", "e", b'{"m":1}'), '[null,null,"t","e",{"m":1}]'),
    (V2().encode("6", "6", "t", "phx_close", b"{}"), '["6","6","t","phx_close",{}]'),
    (
        V1().encode_push("6", "t", "e", b'{"m":1}'),
        '{"event":"e","payload":{"m":1},"ref":null,"topic":"t"}',
    ),
    (
        V1().encode_reply("6", "7", "t", "ok", b'{"x":1}'),
        '{"event":"phx_reply","payload":{"response":{"x":1},"status":"ok"},"ref":"7","topic":"t"}',
    ),
    (V1().encode_broadcast("t", "e", b"{}"), '{"event":"e","payload":{},"ref":null,"topic":"t"}'),
    (
        V1().encode("6", "6", "t", "phx_close", b"{}"),
        '{"event":"phx_close","payload":{},"ref":"6","topic":"t"}',
    ),
]


@pytest.mark.parametrize(("encoded", "wire"), ENCODED)
def test_frames_are_compact_and_exact(encoded: str, wire: str) -> None:
    """Every frame we send is exactly this text: no blanks, five parts or four keys."""
    assert encoded == wire


def test_text_is_not_escaped() -> None:
    """Letters beyond ASCII go out as they are: one client never unescapes them."""
    assert V2().encode_broadcast("room:é😀", "é", b"{}") == '[null,null,"room:é😀","é",{}]'


@given(REFS, REFS, NAMES, NAMES, OBJECTS)
def test_v2_frames_come_back(
    join_ref: Ref, ref: Ref, topic: str, event: str, payload: dict[str, object]
) -> None:
    """A V2 frame means after the wire what it meant before, refs to the digit."""
    wire = V2().encode(join_ref, ref, topic, event, msgspec.json.encode(payload))
    assert parts(V2().decode_text(wire)) == (join_ref, ref, topic, event, payload)


@given(REFS, NAMES, NAMES, OBJECTS)
def test_v1_frames_come_back(ref: Ref, topic: str, event: str, payload: dict[str, object]) -> None:
    """A V1 frame does so too, but for the join_ref, which it has no place for."""
    wire = V1().encode("9", ref, topic, event, msgspec.json.encode(payload))
    assert parts(V1().decode_text(wire)) == (None, ref, topic, event, payload)


@pytest.mark.parametrize(
    ("serializer", "wire", "meaning"),
    [
        (V2(), '["1","2","t","e",{"a":1},"more",[]]', ("1", "2", "t", "e", {"a": 1})),
        (V2(), ' [ null , 3 , "t" , "e" , { "a" : 1 } ] ', (None, 3, "t", "e", {"a": 1})),
        (V2(), '["","2","room\\/1","e",{}]', ("", "2", "room/1", "e", {})),
        (V1(), '{"topic":"t","event":"e","payload":{},"ref":"1"}', (None, "1", "t", "e", {})),
        (
            V1(),
            '{"topic":"t","event":"e","payload":{},"ref":null,"join_ref":"7","x":1}',
            ("7", None, "t", "e", {}),
        ),
    ],
)
def test_clients_may_write_loosely(
    serializer: Serializer, wire: str, meaning: tuple[object, ...]
) -> None:
    """Blanks, escapes, further elements and unknown keys are taken as Phoenix takes them."""
    assert parts(serializer.decode_text(wire)) == meaning


@pytest.mark.parametrize(
    ("serializer", "wire", "field"),
    [
        (V2(), "{nope", "frame"),
        (V2(), "[" * 100_000, "frame"),
        (V2(), "\ud800", "frame"),
        (V2(), '["1","1","t","e"]', "frame"),
        (V2(), '["1",1.5,"t","e",{}]', "ref"),
        (V2(), "[null," + "9" * 5000 + ',"t","e",{}]', "frame"),
        (V1(), "[]", "frame"),
        (V1(), '{"topic":"t","event":"e","payload":{}}', "ref"),
        (V1(), '{"topic":"t","event":"e","ref":"1"}', "payload"),
    ],
)
def test_what_is_no_frame_is_refused(serializer: Serializer, wire: str, field: str) -> None:
    """Text that is no frame raises one typed error which names the part."""
    with pytest.raises(FrameError) as refused:
        serializer.decode_text(wire)
    assert (refused.value.code, refused.value.field) == ("bad_frame", field)
    assert refused.value.__cause__ is None


@given(st.text(max_size=60))
def test_no_text_breaks_the_decoders(text: str) -> None:
    """Any text is a frame or a FrameError."""
    for serializer in (V1(), V2()):
        try:
            serializer.decode_text(text)
        except FrameError as error:
            assert error.code == "bad_frame"


def test_binary_is_for_v2_alone() -> None:
    """V2 reads a client's binary push; V1 refuses every binary frame."""
    wire = binary.encode_client_push("5", "6", "t", "e", b"\x01")
    assert V2().decode_binary(wire).payload == b"\x01"
    with pytest.raises(FrameError) as refused:
        V1().decode_binary(wire)
    assert refused.value.code == "bad_frame"


@pytest.mark.parametrize(
    ("vsn", "chosen"),
    [
        (None, V1),
        ("1.0.0", V1),
        ("1.0.17", V1),
        ("2.0.0", V2),
        ("2.0.9", V2),
    ],
)
def test_the_version_chooses(vsn: str | None, chosen: type[V1 | V2]) -> None:
    """`~> 1.0.0` and `~> 2.0.0` are spoken; none means 1.0.0."""
    serializer = serializer_for(vsn)
    assert type(serializer) is chosen
    assert serializer.vsn == f"{chosen.vsn[0]}.0.0"


@pytest.mark.parametrize(
    "vsn", ["", "2", "2.0", "2.1.0", "1.1.0", "3.0.0", "abc", "2.0.0\n", "2.0.x", "2.0.\u0663"]
)
def test_other_versions_are_refused(vsn: str) -> None:
    """Any other version is refused, with what was found and what would do."""
    with pytest.raises(FrameError) as refused:
        serializer_for(vsn)
    assert (refused.value.code, refused.value.field) == ("invalid", "vsn")
    assert (refused.value.found, refused.value.expected) == (vsn, "1.0.x or 2.0.x")


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        ("[1]", "an array"),
        ('"x"', "a string"),
        ("null", "null"),
        ("7", "a number"),
        ("true", "a boolean"),
    ],
)
def test_a_payload_is_an_object(payload: str, found: str) -> None:
    """A payload of any other JSON is refused, and the error says what it was."""
    frame = V2().decode_text(f'["1","2","t","e", {payload} ]')
    with pytest.raises(FrameError) as refused:
        object_of(frame)
    assert (refused.value.code, refused.value.found) == ("invalid", found)
    assert str(refused.value) == f"payload: expected an object, found {found}"


def test_an_object_stays_raw() -> None:
    """A payload that is an object is handed on as it was written."""
    frame = V2().decode_text('["1","2","t","e", {"b": 1e2} ]')
    assert object_of(frame) == msgspec.Raw(b'{"b": 1e2}')


def test_binary_is_no_object() -> None:
    """Where an object is needed, a binary payload is refused."""
    frame = binary.decode_client(binary.encode_client_push("5", "6", "t", "phx_join", b"{}"))
    with pytest.raises(FrameError, match="found binary data"):
        object_of(frame)
