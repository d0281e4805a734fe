"""The server end of a socket: bad input, binary frames, V1, silence."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight_protocol import binary
from safelight_protocol.frames import V1
from safelight_protocol.session import Command, Data, Hangup, Join, Leave, Session
from tests.doubles.raw_client import (
    OK,
    A,
    B,
    error_of,
    frames,
    give,
    join,
    joined,
    push,
    read,
    sent,
    session,
)


@pytest.mark.parametrize(
    ("payload", "found"),
    [("str", "a string"), ([1], "an array"), (7, "a number"), (True, "a boolean")],
)
def test_a_payload_that_is_no_object_is_refused(payload: Any, found: str) -> None:
    """Such a command gets one error naming found and expected; the channel stays."""
    to = joined()
    (reply,) = give(to, None, "48", A, "ping", payload)
    assert error_of(reply) == ("6", "48", A, "invalid payload", "invalid")
    assert reply[4]["response"]["details"] == [
        {"field": "payload", "found": found, "expected": "an object"}
    ]
    assert to.statistics().refused == 1
    assert to.push(A, "e", b"{}") != []


def test_a_null_payload_without_ref_is_refused_too() -> None:
    """A frame without a ref is refused with none."""
    to = joined()
    (reply,) = read(to.receive(f'["6",null,"{A}","ping",null]', 101.0))
    assert error_of(reply)[:2] == ("6", None)


def test_a_join_whose_payload_is_no_object_is_refused() -> None:
    """Such a join is refused with its own join_ref, and nothing is joined."""
    to = session()
    (reply,) = give(to, "47", "470", A, "phx_join", "str")
    assert error_of(reply) == ("47", "470", A, "invalid payload", "invalid")
    assert to.statistics().channels == 0


def test_a_bad_duplicate_join_ends_the_old_one() -> None:
    """A refused duplicate is like any other: the old join is left and closed."""
    to = joined()
    left, reply, close = give(to, "47", "470", A, "phx_join", [1])
    assert left == Leave(A, "6", 1)
    assert error_of(reply)[:2] == ("47", "470")
    assert close == ["6", "6", A, "phx_close", {}]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{nope", "text that is not JSON"),
        ('{"topic":"phoenix"}', "found an object"),
        ('["1","1","task:z","ping"]', "an array of 4"),
        (b"\x09\x01\x01", "kind 9"),
        (b"\x00\x05\x05\x05\x05\x01", "found 6 bytes"),
        (b"", "found nothing"),
        ("", "text that is not JSON"),
    ],
)
def test_what_is_no_frame_ends_the_connection(data: Data, words: str) -> None:
    """An undecodable frame is answered by 1011 with a reason that names it."""
    to = joined()
    (hangup,) = to.receive(data, 101.0)
    assert isinstance(hangup, Hangup)
    assert hangup.code == 1011
    assert words in hangup.reason
    assert len(hangup.reason.encode()) <= 123


@pytest.mark.parametrize(
    ("data", "fits"),
    [("x" * 50, True), ("x" * 51, False), ("é" * 25, True), ("é" * 26, False), (b"x" * 51, False)],
)
def test_a_frame_may_be_too_large(data: Data, fits: bool) -> None:
    """The limit is in bytes of the wire, and inclusive; past it the code is 1009."""
    (hangup,) = session(max_frame_bytes=50).receive(data, 101.0)
    assert isinstance(hangup, Hangup)
    assert hangup.code == (1011 if fits else 1009)
    size = len(data if isinstance(data, bytes) else data.encode())
    too_large = f"frame: expected at most 50 bytes, found {size} bytes"
    assert fits or hangup.reason == too_large


def test_after_a_hangup_all_is_silent() -> None:
    """Nothing is taken or written once the session has hung up."""
    to = joined()
    command = push(to)
    to.receive("{nope", 101.0)
    assert give(to, None, "1", "phoenix", "heartbeat") == []
    assert to.reply(command, "ok", b"{}") == []
    assert to.push(A, "e", b"{}") == []
    assert to.tick(1e9) == []
    assert to.statistics().channels == 0


@given(st.text(max_size=80) | st.binary(max_size=80))
def test_no_message_breaks_a_session(data: Data) -> None:
    """Whatever arrives, the answer is a list of effects."""
    assert isinstance(joined().receive(data, 101.0), list)


def test_a_binary_command_carries_bytes() -> None:
    """A binary push becomes a command whose payload is bytes; no join_ref means the current."""
    to = joined()
    for join_ref in ("6", None):
        data = binary.encode_client_push(join_ref, "21", A, "blob", b"\x01\x02")
        (command,) = to.receive(data, 101.0)
        assert isinstance(command, Command)
        assert (command.join_ref, command.payload) == ("6", b"\x01\x02")


def test_a_binary_join_is_refused() -> None:
    """A join needs an object, so a binary one is refused by name."""
    data = binary.encode_client_push("6", "60", A, "phx_join", b"\x01")
    (reply,) = read(session().receive(data, 101.0))
    assert reply[4]["response"]["details"][0]["found"] == "binary data"


def test_v1_has_no_place_for_join_refs() -> None:
    """A V1 channel is known by the ref of its join: phx_close carries it, pushes nothing."""
    to = Session(V1(), now=0.0)
    frame = {"topic": A, "event": "phx_join", "payload": {}, "ref": "6"}
    (asked,) = to.receive(json.dumps(frame), 1.0)
    assert isinstance(asked, Join)
    reply = {"event": "phx_reply", "payload": OK, "ref": "6", "topic": A}
    assert frames(to.accept(asked, b"{}")) == [reply]
    assert frames(to.push(A, "e", b"{}")) == [
        {"event": "e", "payload": {}, "ref": None, "topic": A}
    ]
    assert frames(to.close(A)) == [{"event": "phx_close", "payload": {}, "ref": "6", "topic": A}]


def test_v1_has_no_binary_frames() -> None:
    """A binary frame on V1 ends the connection with 1011."""
    (hangup,) = Session(V1(), now=0.0).receive(b"\x00\x01\x01\x01\x01", 1.0)
    assert isinstance(hangup, Hangup)
    assert hangup.code == 1011


def test_silence_ends_the_connection() -> None:
    """90 s after the last message the session hangs up with 1001, which clients return from."""
    to = session()
    assert to.deadline == 190.0
    assert to.tick(189.9) == []
    assert to.tick(190.0) == [Hangup(1001, "nothing received for 90 s")]
    assert to.tick(190.0) == []


def test_any_message_moves_the_deadline() -> None:
    """Every message counts as a sign of life, not heartbeats alone."""
    to = session(idle_seconds=10.5)
    give(to, "3", "4", A, "ping", now=105.0)
    assert to.deadline == 115.5
    assert to.tick(115.5) == [Hangup(1001, "nothing received for 10.5 s")]


def test_the_counters_count() -> None:
    """Statistics tell channels, messages, and what was refused, stale or dropped."""
    to = joined()
    stale = join(to, B)
    command = push(to)
    to.close(A)
    for _ in range(2):
        give(to, "5", "9", B, "ping")
        give(to, "3", "4", A, "ping")
        to.push(A, "e", b"{}")
        to.reply(command, "ok", b"{}")
        to.accept(stale, b"{}")
    found = msgspec.structs.asdict(to.statistics())
    assert found == {"channels": 1, "received": 7, "stale": 2, "refused": 2, "dropped": 5}


def test_a_binary_command_is_answered_in_bytes() -> None:
    """A reply of kind 1 carries the refs and the very bytes; none for a join that is over."""
    to = joined()
    (asked,) = to.receive(binary.encode_client_push("6", "21", A, "blob", b"\x01"), 101.0)
    assert isinstance(asked, Command)
    (reply,) = to.reply_binary(asked, "ok", b"\x01\x02")
    assert reply == binary.encode_reply("6", "21", A, "ok", b"\x01\x02")
    give(to, "6", "22", A, "phx_leave")
    assert to.reply_binary(asked, "ok", b"") == []


@pytest.mark.parametrize(
    ("encoding", "body", "found"),
    [(0, b"{}", "binary data"), (1, b"nonsense", "text that is not JSON"), (1, b"\xff", "text")],
)
def test_a_broadcast_that_is_no_json_is_answered(encoding: int, body: bytes, found: str) -> None:
    """A supabase client is told what is wrong with its payload; the socket stays."""
    wire = bytes((3, 1, 2, 6, 4, 0, encoding)) + b"621task:aping" + body
    ((join_ref, ref, _, _, payload),) = read(joined().receive(wire, 101.0))
    assert (join_ref, ref, payload["status"]) == ("6", "21", "error")
    assert payload["response"]["details"][0]["found"].startswith(found)


def test_a_broadcast_comes_as_its_text_form() -> None:
    """Kind 3 is handed on as V1 would have spelt it."""
    wire = bytes((3, 0, 2, 6, 4, 0, 1)) + b'21task:aping{"x": 1}'
    (asked,) = joined().receive(wire, 101.0)
    assert isinstance(asked, Command)
    assert (asked.event, asked.ref, asked.join_ref) == ("broadcast", "21", "6")
    assert bytes(memoryview(asked.payload)) == (
        b'{"type":"broadcast","event":"ping","payload":{"x": 1}}'
    )


@pytest.mark.parametrize("field", range(4))
def test_names_that_cannot_be_echoed_end_the_socket(field: int) -> None:
    """A ref, topic or event of more than 512 bytes would make the answer too large."""
    frame: list[Any] = ["6", "21", A, "ping"]
    frame[field] = "é" * 256
    assert not [e for e in joined().receive(sent(*frame), 101.0) if isinstance(e, Hangup)]
    frame[field] = "é" * 256 + "x"
    (hangup,) = joined().receive(sent(*frame), 101.0)
    assert isinstance(hangup, Hangup)
    assert (hangup.code, "found 513 bytes" in hangup.reason) == (1009, True)
