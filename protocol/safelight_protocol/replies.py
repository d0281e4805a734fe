"""What a reply says to the client that asked.

Owns the reading of `phx_reply` payloads, and whether a refusal is worth another try.
The codes are those of `codes.py`; knows nothing of channels.
"""

from __future__ import annotations

import msgspec

from .codes import CODES
from .frames import BinaryFrame, Frame

Payload = msgspec.Raw | bytes
"""JSON as it came, or the bytes of a binary frame."""


class _Reply(msgspec.Struct, frozen=True):
    status: str
    response: msgspec.Raw = msgspec.Raw(b"{}")


class _Refusal(msgspec.Struct, frozen=True):
    code: str = ""


_read_reply = msgspec.json.Decoder(_Reply).decode
_read_refusal = msgspec.json.Decoder(_Refusal).decode


def read_reply(frame: Frame | BinaryFrame) -> tuple[str, Payload]:
    """Status and response. Raises msgspec.DecodeError if a text reply has no status."""
    if isinstance(frame, BinaryFrame):
        return frame.status or "", frame.payload
    reply = _read_reply(frame.payload)
    return reply.status, reply.response


def may_retry(response: Payload) -> bool:
    """A code of the table decides; without one, yes, as phoenix.js would."""
    try:
        refusal = _read_refusal(response)
    except (msgspec.DecodeError, RecursionError):
        return True
    code = CODES.get(refusal.code)
    return code is None or code.retry == "later"
