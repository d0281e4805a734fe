"""The 224 recorded frames: each is read, written and reacted to as it was recorded.

phoenix-vectors.json holds frames seen between the real server, the real clients and
probes. Wherever we differ, the frame is named below with the reason.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from safelight_protocol import binary
from safelight_protocol.binary import BinaryFrame
from safelight_protocol.frames import Frame, FrameError, Serializer, serializer_for
from tests.doubles.rooms import Rooms, Written

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors/phoenix-vectors.json").read_text()
)

NOT_FRAMES = {
    "lp-post-ndjson": "a body of the long-poll transport, three frames in lines",
    "lp-post-ok": "an answer of the long-poll transport",
    "lp-first-poll": "an answer of the long-poll transport",
    "lp-poll-messages": "an answer of the long-poll transport",
    "lp-poll-empty": "an answer of the long-poll transport",
    "lp-refused": "an answer of the long-poll transport",
    "lp-post-gone": "an answer of the long-poll transport",
    "lp-post-binary": "a body of the long-poll transport, base64 of a push tested elsewhere",
    "supabase-server-k4-json": "kind 4 is supabase's own, and refused as unknown",
    "supabase-server-k4-json-meta": "kind 4 is supabase's own, and refused as unknown",
    "supabase-server-k4-bin": "kind 4 is supabase's own, and refused as unknown",
}

IMPROVED = {
    "v2-binary-echo-empty-join-ref": "an empty binary join_ref is null to us, so it is answered",
    "v2-echo-on-null-join-ref-channel-join-ref-ref": "a join without join_ref is known by its ref",
    "v2-leave-null-join-ref-channel": "so its phx_close carries that ref instead of null",
    "v1-duplicate-join": "the same on V1: phx_close carries the ref of the join",
    "v1-leave": "the same on V1: phx_close carries the ref of the join",
    "v1-crash": "the same on V1: phx_error carries the ref of the join",
    "v2-join-payload-not-a-map": "a payload that is no object is refused by name",
    "v2-echo-string-payload": "a payload that is no object is refused by name",
}
"""Exchanges in which we answer otherwise than Phoenix, on purpose."""

MENDED = {"v2-join-payload-not-a-map": '["47","47","room:g","phx_join",{}]'}
"""What is sent instead, where later exchanges build on one that we refuse."""

MALFORMED = [
    v for v in VECTORS if v["meaning"].get("malformed") or v["name"].endswith("-ref-key.c")
]
READABLE = [v for v in VECTORS if v not in MALFORMED and v["name"] not in NOT_FRAMES]
FROM_SERVER = [v for v in READABLE if v["direction"] == "server->client"]
EXCHANGES = [
    (name, list(group))
    for name, group in groupby(VECTORS, key=lambda v: v.get("exchange"))
    if name and name.startswith(("v1-", "v2-"))
]


def name(vector: dict[str, Any]) -> str:
    """The name of a case."""
    return str(vector["name"])


def serializer(vector: dict[str, Any]) -> Serializer:
    """The serializer that the connection had."""
    return serializer_for(vector["vsn"].split()[0])


def data(vector: dict[str, Any]) -> str | bytes:
    """The message as the transport carries it."""
    return bytes.fromhex(vector["frame"]) if vector["kind"] == "binary" else vector["frame"]


def decode(vector: dict[str, Any]) -> Frame | BinaryFrame:
    """The frame as the end that receives it reads it."""
    message = data(vector)
    if isinstance(message, str):
        return serializer(vector).decode_text(message)
    if vector["direction"] == "server->client":
        return binary.decode_server(message)
    return serializer(vector).decode_binary(message)


def text_of(recorded: Any) -> Any:
    """A string that was recorded beside its broken bytes is meant in latin-1."""
    return recorded["latin1"] if isinstance(recorded, dict) else recorded


def encode_again(vector: dict[str, Any], frame: Frame | BinaryFrame) -> str | bytes:
    """The frame written by the method that a server uses for such a one."""
    if isinstance(frame, BinaryFrame):
        return encode_binary_again(frame)
    writer, payload = serializer(vector), bytes(memoryview(frame.payload))
    if frame.event == "phx_reply":
        reply = json.loads(payload)
        response = json.dumps(reply["response"], separators=(",", ":"), ensure_ascii=False)
        return writer.encode_reply(
            frame.join_ref, frame.ref, frame.topic, reply["status"], response.encode()
        )
    if frame.ref is not None:
        return writer.encode(frame.join_ref, frame.ref, frame.topic, frame.event, payload)
    if frame.join_ref is not None:
        return writer.encode_push(frame.join_ref, frame.topic, frame.event, payload)
    return writer.encode_broadcast(frame.topic, frame.event, payload)


def encode_binary_again(frame: BinaryFrame) -> bytes:
    """A server's binary frame, by its kind."""
    match frame.kind:
        case "push":
            return binary.encode_push(frame.join_ref, frame.topic, frame.event, frame.payload)
        case "reply":
            assert frame.status is not None
            return binary.encode_reply(
                frame.join_ref, frame.ref, frame.topic, frame.status, frame.payload
            )
        case "broadcast":
            return binary.encode_broadcast(frame.topic, frame.event, frame.payload)
        case "user_broadcast_push":
            raise AssertionError("no server sends it")


def test_every_vector_is_used() -> None:
    """Each of the 224 vectors is readable, malformed, or excluded by its name."""
    assert len(VECTORS) == 224
    assert len(READABLE) + len(MALFORMED) + len(NOT_FRAMES) == 224
    assert set(NOT_FRAMES) <= {name(v) for v in VECTORS}
    assert set(IMPROVED) <= {name for name, _ in EXCHANGES}


@pytest.mark.parametrize("vector", READABLE, ids=name)
def test_a_recorded_frame_means_the_same(vector: dict[str, Any]) -> None:
    """A frame is read to the parts that were recorded as its meaning."""
    frame, meaning = decode(vector), vector["meaning"]
    assert (frame.topic, frame.event) == (text_of(meaning["topic"]), text_of(meaning["event"]))
    if isinstance(frame, BinaryFrame):
        refs = (meaning["join_ref"] or None, meaning["ref"])
        assert (frame.join_ref, frame.ref) == refs
        assert (frame.kind, frame.status) == (meaning["binary_kind"], meaning.get("status"))
        assert frame.payload.hex() == meaning["payload_hex"]
        assert frame.user_event == meaning.get("user_event")
        assert frame.is_json == (meaning.get("payload_encoding") == "json")
        return
    # V1 frames of a server have no join_ref to record.
    assert (frame.join_ref, frame.ref) == (meaning.get("join_ref"), meaning["ref"])
    assert json.loads(bytes(memoryview(frame.payload))) == meaning["payload"]


@pytest.mark.parametrize("vector", MALFORMED, ids=name)
def test_a_recorded_fault_is_refused(vector: dict[str, Any]) -> None:
    """What crashed the real connection is refused as no frame."""
    with pytest.raises(FrameError) as refused:
        decode(vector)
    assert refused.value.code == "bad_frame"


@pytest.mark.parametrize("vector", FROM_SERVER, ids=name)
def test_a_recorded_server_frame_is_written_the_same(vector: dict[str, Any]) -> None:
    """A server's frame is written back equal; Phoenix's own to the letter."""
    message, again = data(vector), encode_again(vector, decode(vector))
    if isinstance(message, bytes) or vector.get("observed_with", "").startswith("Phoenix"):
        assert again == message
        return
    assert json.loads(again) == json.loads(message)


def same(written: Written, recorded: dict[str, Any]) -> bool:
    """Whether a message is the recorded one; a typed refusal may say more than Phoenix's."""
    if not isinstance(written, str):
        return written == data(recorded)
    ours, theirs = json.loads(written), json.loads(recorded["frame"])
    for response in response_of(ours), response_of(theirs):
        if isinstance(response, dict) and "reason" in response:
            for addition in ("code", "message", "details"):
                response.pop(addition, None)
    return bool(ours == theirs)


def response_of(frame: Any) -> Any:
    """The response in a text frame of either version, None if it has none."""
    payload = frame["payload"] if isinstance(frame, dict) else frame[4]
    return payload.get("response")


def test_recorded_exchanges_are_answered_the_same() -> None:
    """A session driven through every recorded exchange writes what Phoenix wrote, in order."""
    rooms = {vsn: Rooms(serializer_for(vsn)) for vsn in ("1.0.0", "2.0.0")}
    differing = set()
    for exchange, (asked, *recorded) in EXCHANGES:
        message = MENDED.get(exchange, data(asked))
        written = rooms[asked["vsn"]].hear(message)
        if asked.get("server_reaction", "").startswith("close"):
            equal = written == [1011]
        else:
            equal = len(written) == len(recorded) and all(map(same, written, recorded))
        if not equal:
            differing.add(exchange)
    assert differing == set(IMPROVED) - set(MENDED)
