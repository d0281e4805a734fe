"""The dialect of realtime-js: what goes out wrapped, and what comes in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from safelight_protocol.codes import Refused
from safelight_protocol.realtime import is_realtime, read_said, spoken, wants_answers


def test_events_go_out_as_broadcasts() -> None:
    """On its topics an event is the broadcast of its name; elsewhere it is left alone."""
    event, payload = spoken("realtime:task:a", 'pro"gress', b'{"seq":1}')
    told = {"type": "broadcast", "event": 'pro"gress', "payload": {"seq": 1}}
    assert (event, msgspec.json.decode(payload)) == ("broadcast", told)
    assert spoken("task:a", "progress", b'{"seq":1}') == ("progress", b'{"seq":1}')
    assert (is_realtime("realtime:task:a"), is_realtime("task:realtime:")) == (True, False)


def test_a_broadcast_is_a_command() -> None:
    """Its event names the command and its payload is the command's; none is an empty one."""
    said = read_said(b'{"type":"broadcast","event":"cancel","payload":{"a":1},"meta":{}}')
    assert (said.event, bytes(said.payload)) == ("cancel", b'{"a":1}')
    assert bytes(read_said(b'{"event":"ping"}').payload) == b"{}"


@pytest.mark.parametrize("payload", [b"[]", b"{}", b'{"event":1}', b"\xff", b"", b"[" * 2000])
def test_what_is_no_broadcast_is_refused(payload: bytes) -> None:
    """The refusal names the payload and what would do."""
    with pytest.raises(Refused) as refused:
        read_said(payload)
    assert refused.value.code.name == "invalid"
    assert "broadcast" in str(refused.value.details[0]["expected"])


@pytest.mark.parametrize(
    ("join", "wants"),
    [
        ({"config": {"broadcast": {"ack": True, "self": False}}}, True),
        ({"config": {"broadcast": {"ack": False}}}, False),
        ({"config": {"broadcast": {"ack": "yes"}}}, False),
        ({"config": 5}, False),
        ({}, False),
        ([], False),
    ],
)
def test_answers_are_asked_for_in_the_join(join: Any, wants: bool) -> None:
    """Only `config.broadcast.ack: true` asks for them; anything odd does not."""
    assert wants_answers(join) is wants
