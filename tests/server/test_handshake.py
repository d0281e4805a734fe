"""The opening, as bytes: which requests become a WebSocket, and what the others are told."""

from __future__ import annotations

from typing import Any

import pytest

from safelight import handshake
from tests.doubles.lined import ANSWER_TO_KEY, KEY, request

SPOILT: dict[str, tuple[bytes, int]] = {
    "no host": (request("Host"), 400),
    "no key": (request("Sec-WebSocket-Key"), 400),
    "a key of 15 bytes": (request(Sec_WebSocket_Key="MTIzNDU2Nzg5MDEyMzQ1"), 400),
    "a key that is no base64": (request(Sec_WebSocket_Key="ä" * 24), 400),
    "two keys": (request(sec_websocket_key=KEY.decode()), 400),
    "no version": (request("Sec-WebSocket-Version"), 426),
    "an old version": (request(Sec_WebSocket_Version="8"), 426),
    "two versions": (request(sec_websocket_version="8"), 426),
    "no upgrade": (request("Upgrade"), 426),
    "another upgrade": (request(Upgrade="h2c"), 426),
    "no connection": (request("Connection"), 426),
    "kept alive": (request(Connection="keep-alive"), 426),
    "posted": (request(method="POST"), 405),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_cannot_become_a_websocket_is_refused(name: str) -> None:
    """Every rule of the opening has an answer of its own."""
    data, status = SPOILT[name]
    with pytest.raises(handshake.Refused) as refused:
        handshake.read(data)
    assert refused.value.status == status
    answer = handshake.refused(refused.value, [(b"date", b"today")])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert f"content-length: {len(body)}".encode() in head and str(refused.value) in body.decode()
    assert (b"sec-websocket-version: 13" in head) == ("version" in name)
    assert (b"allow: GET" in head) == (status == 405)
    assert head.count(b"\r\nconnection: close") == 1


def test_what_is_asked_is_understood() -> None:
    """Target, headers in lower case and in their order, the subprotocols, and the key."""
    data = request(
        path="/a%20b?x=1",
        Connection="keep-alive, Upgrade",
        Upgrade="WebSocket",
        Sec_WebSocket_Protocol="phoenix, , other",
        Sec_WebSocket_Extensions="permessage-deflate",
    )
    asked = handshake.read(data)
    assert asked.target == "/a%20b?x=1"
    assert asked.subprotocols == ["phoenix", "other"]
    assert asked.key == KEY.decode()
    assert asked.headers[0] == (b"host", b"127.0.0.1")
    assert (b"upgrade", b"WebSocket") in asked.headers


def test_the_key_is_answered() -> None:
    """The example of the standard; no extension is agreed on, and our headers are there."""
    answer = handshake.accepted(KEY.decode(), "phoenix", [(b"x-one", b"1")])
    lines = answer.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 101 Switching Protocols"
    assert b"sec-websocket-accept: " + ANSWER_TO_KEY in lines
    assert b"sec-websocket-protocol: phoenix" in lines and b"x-one: 1" in lines
    assert lines[-2:] == [b"", b""] and b"extensions" not in answer
    assert b"sec-websocket-protocol" not in handshake.accepted(KEY.decode(), None, [])


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb"])
def test_a_header_cannot_smuggle_another(value: bytes) -> None:
    """What would end its line is refused, and not sent."""
    answers: list[Any] = [
        lambda: handshake.accepted(KEY.decode(), None, [(b"x", value)]),
        lambda: handshake.head(200, [(b"x", value)]),
        lambda: handshake.accepted(KEY.decode(), value.decode(), []),
    ]
    for answer in answers:
        with pytest.raises(ValueError, match="line"):
            answer()


def test_an_answer_may_have_any_status() -> None:
    """Also one that has no phrase; and it says once that the connection ends."""
    head = handshake.head(599, [(b"Connection", b"keep-alive")])
    assert head == b"HTTP/1.1 599 \r\nconnection: close\r\n\r\n"
    assert handshake.head(403, []).startswith(b"HTTP/1.1 403 Forbidden\r\n")
