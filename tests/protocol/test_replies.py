"""Reading replies, and the choice to try again."""

from __future__ import annotations

import msgspec
import pytest

from safelight_protocol import binary
from safelight_protocol.codes import CODES
from safelight_protocol.frames import V2
from safelight_protocol.replies import may_retry, read_reply


@pytest.mark.parametrize(
    ("payload", "status", "response"),
    [
        ('{"response":{"a":1},"status":"ok"}', "ok", b'{"a":1}'),
        ('{"status":"error","response":[1]}', "error", b"[1]"),
        ('{"status":"accepted"}', "accepted", b"{}"),
    ],
)
def test_text_replies_are_read(payload: str, status: str, response: bytes) -> None:
    """A reply has a status, and a response which may be any JSON or missing."""
    frame = V2().decode_text(f'["1","2","t","phx_reply",{payload}]')
    assert read_reply(frame) == (status, msgspec.Raw(response))


@pytest.mark.parametrize("payload", ["{}", '{"status":1}', '{"status":null,"response":{}}'])
def test_a_reply_needs_a_status(payload: str) -> None:
    """A reply without a status is none."""
    with pytest.raises(msgspec.DecodeError):
        read_reply(V2().decode_text(f'["1","2","t","phx_reply",{payload}]'))


def test_binary_replies_are_read() -> None:
    """A binary reply has its status in the frame; another frame has none."""
    reply = binary.decode_server(binary.encode_reply("1", "2", "t", "ok", b"\x01"))
    assert read_reply(reply) == ("ok", b"\x01")
    push = binary.decode_server(binary.encode_push("1", "t", "phx_reply", b"\x01"))
    assert read_reply(push) == ("", b"\x01")


@pytest.mark.parametrize("code", CODES)
def test_the_table_says_what_may_help(code: str) -> None:
    """A refusal with a code is tried again only where the table says `later`."""
    response = msgspec.Raw(msgspec.json.encode({"reason": "x", "code": code}))
    assert may_retry(response) is (CODES[code].retry == "later")


@pytest.mark.parametrize(
    "response",
    [b"{}", b'{"code":"new"}', b'{"code":7}', b"[1]", b"\xff", b"", b"[" * 100_000],
)
def test_without_a_known_code_trying_helps(response: bytes) -> None:
    """A refusal that names no code of ours is tried again, as phoenix.js would."""
    assert may_retry(response)
