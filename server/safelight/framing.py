"""WebSocket frames of a server as bytes (RFC 6455), without any input or output.

Makes the frames that a server sends, and reads those that a client sends: fragments,
masks, lengths, UTF-8 and close codes. What breaks the protocol ends the reading with the
code that says why; what is too large is refused by its header, before it is held. Knows
no socket and no application; extensions are never agreed on, so a reserved bit is a fault.
"""

from __future__ import annotations

import codecs
from struct import Struct
from typing import NamedTuple

from websockets.frames import EXTERNAL_CLOSE_CODES

try:
    from websockets.speedups import apply_mask
except ImportError:  # where it was installed without its compiled part
    from websockets.utils import apply_mask

MALFORMED = 1002
NOT_UTF8 = 1007
TOO_LARGE = 1009
NO_CODE = 1005
"""What an empty close frame means; it is never written."""

MOST_REASON_BYTES = 123
MOST_CONTROL_BYTES = 125

MOST_QUIET = 128
"""Frames in a row that are read without an event."""

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_FINAL = 0x80
_WHOLE_TEXT = _FINAL | _TEXT
_RESERVED_BITS = 0x70
_HEADER = 2
_MASK = 4
_COPIED_BYTES = 4096
"""Up to here a copy is cheaper than a view of the bytes."""


class Ping(NamedTuple):
    """To be answered by a pong that carries the same."""

    payload: bytes


class Closed(NamedTuple):
    """The client said goodbye; nothing that comes after it counts."""

    code: int
    reason: str


class Broken(NamedTuple):
    """The client broke the protocol; nothing that comes after it can be read."""

    code: int
    reason: str


class Much(NamedTuple):
    """So many frames came that say nothing (parts, pongs) that it is time for others to have
    their turn; there may be more."""


Event = str | bytes | Ping | Closed | Broken | Much
"""What was read: a whole message, as text or bytes, or one of those above."""


def text(payload: bytes) -> bytes:
    """The frame of a text message; the payload is UTF-8."""
    return _frame(_WHOLE_TEXT, payload)


def text_of(before: bytes, body: bytes, after: bytes) -> bytes:
    """The frame of a text message that is at hand in three parts; they are copied once."""
    size = len(before) + len(body) + len(after)
    if size < 126:
        head = _short(_WHOLE_TEXT, size)
    elif size < 65536:
        head = _medium(_WHOLE_TEXT, 126, size)
    else:
        head = _long(_WHOLE_TEXT, 127, size)
    return b"%b%b%b%b" % (head, before, body, after)


def head_size(wire: bytes) -> int:
    """How many bytes of a server's frame stand before its payload."""
    size = wire[1]
    return 2 if size < 126 else 4 if size == 126 else 10


def binary(payload: bytes) -> bytes:
    """The frame of a message of bytes."""
    return _frame(_FINAL | _BINARY, payload)


def pong(payload: bytes) -> bytes:
    """The answer to a ping."""
    return _frame(_FINAL | _PONG, payload)


def close(code: int, reason: str = "") -> bytes:
    """A goodbye. NO_CODE is an empty one. A reason that is too long is cut between two
    characters. Raises ValueError for a code that no frame may carry."""
    if code == NO_CODE:
        return _frame(_FINAL | _CLOSE, b"")
    if not may_be_sent(code):
        raise ValueError(f"{code} is no code for a close frame")
    said = reason.encode("utf-8", "replace")[:MOST_REASON_BYTES].decode("utf-8", "ignore")
    return _frame(_FINAL | _CLOSE, code.to_bytes(2, "big") + said.encode())


def may_be_sent(code: int) -> bool:
    """Whether a close frame may carry the code (RFC 6455, 7.4, and IANA's later ones)."""
    return code in EXTERNAL_CLOSE_CODES or 3000 <= code < 5000


_short, _medium, _long = Struct("!BB").pack, Struct("!BBH").pack, Struct("!BBQ").pack


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return _short(first, size) + payload
    if size < 65536:
        return _medium(first, 126, size) + payload
    return _long(first, 127, size) + payload


class _Fault(Exception):
    """Ends the reading; becomes a `Broken`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.broken = Broken(code, reason)


class _Head(NamedTuple):
    """What the first bytes of a frame say; the mask ends where the payload begins."""

    final: bool
    opcode: int
    payload_at: int
    end: int


class Reader:
    """Reads what one client sends: `add` what came, then ask for the `next` event until
    there is none. A message larger than `limit` bytes is refused.

    Bytes are held only while a frame is incomplete or not asked for, and each is moved a
    fixed number of times however it drips in.
    """

    __slots__ = ("_at", "_bytes", "_decoder", "_ended", "_limit", "_message", "_needed", "_opcode")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes: bytes | bytearray | None = None  # came, and is not read
        self._at = 0  # where in them the next frame begins
        self._needed = _HEADER  # so many bytes from there before it is worth a look
        self._opcode = _CONTINUATION  # of the message that has begun; this one for none
        self._message: bytearray | None = None  # what there is of it
        self._decoder: codecs.IncrementalDecoder | None = None  # where it is text
        self._ended = False

    @property
    def held(self) -> int:
        """How many bytes came and are not read yet."""
        return 0 if self._bytes is None else len(self._bytes) - self._at

    def add(self, data: bytes) -> None:
        """Something came."""
        held = self._bytes
        if self._ended or not data:
            return
        if held is None:
            self._bytes = data
            return
        if isinstance(held, bytearray):
            del held[: self._at]
        else:
            held = self._bytes = bytearray(memoryview(held)[self._at :])
        self._at = 0
        held += data

    def next(self) -> Event | None:
        """The next event, or None while more must come. After Closed or Broken there is
        nothing any more."""
        if self._bytes is None:
            return None
        try:
            event = self._short_text() if self._opcode == _CONTINUATION else None
            return event if event is not None else self._read()
        except _Fault as fault:
            self._end()
            return fault.broken

    def _short_text(self) -> str | None:
        """The usual case at small cost: one whole short text, and nothing else."""
        data = self._bytes
        assert data is not None
        size = len(data) - _HEADER - _MASK
        if self._at or size < 0 or data[0] != _FINAL | _TEXT or data[1] != _FINAL | size:
            return None
        if size > MOST_CONTROL_BYTES or size > self._limit:
            return None
        self._step_to(len(data))
        return _as_text(apply_mask(data[6:], data[2:6]))

    def _read(self) -> Event | None:
        """Frame after frame, up to one that is an event."""
        event: Event | None = None
        seen = 0
        while event is None and self.held >= self._needed:
            seen += 1
            if seen > MOST_QUIET:
                return Much()
            head = self._head()
            if head is None or len(self._bytes or b"") < head.end:
                break
            payload = self._payload(head)
            self._step_to(head.end)
            if head.opcode & _CLOSE:
                event = self._control(head.opcode, payload)
            else:
                event = self._data(head.final, head.opcode, payload)
        return event

    def _head(self) -> _Head | None:
        """What begins here; None, having said how much is needed, while it is incomplete."""
        data, at = self._bytes, self._at
        assert data is not None
        first, second = data[at], data[at + 1]
        opcode = first & 0x0F
        self._check(first, opcode, second)
        size = second & 0x7F
        wide = 0 if size < 126 else 2 if size == 126 else 8
        head_size = _HEADER + wide + _MASK
        if wide:
            if len(data) < at + _HEADER + wide:
                self._needed = _HEADER + wide
                return None
            size = int.from_bytes(data[at + _HEADER : at + _HEADER + wide], "big")
        if size >> 63:
            raise _Fault(MALFORMED, "the length has its highest bit set")
        if opcode < _CLOSE and size + len(self._message or b"") > self._limit:
            raise _Fault(TOO_LARGE, f"a message has at most {self._limit} bytes")
        self._needed = head_size + size
        return _Head(bool(first & _FINAL), opcode, at + head_size, at + head_size + size)

    def _check(self, first: int, opcode: int, second: int) -> None:
        """What two bytes show already."""
        if first & _RESERVED_BITS:
            raise _Fault(MALFORMED, "a reserved bit is set")
        if not second & _FINAL:
            raise _Fault(MALFORMED, "a client's frame must be masked")
        if opcode in (_CLOSE, _PING, _PONG):
            if not first & _FINAL:
                raise _Fault(MALFORMED, "a control frame must be whole")
            if second & 0x7F > MOST_CONTROL_BYTES:
                raise _Fault(MALFORMED, "a control frame is too long")
        elif opcode > _BINARY:
            raise _Fault(MALFORMED, f"there is no opcode {opcode}")
        elif opcode == _CONTINUATION and self._opcode == _CONTINUATION:
            raise _Fault(MALFORMED, "nothing is there to be continued")
        elif opcode != _CONTINUATION and self._opcode != _CONTINUATION:
            raise _Fault(MALFORMED, "the message before has not ended")

    def _payload(self, head: _Head) -> bytes:
        data = self._bytes
        assert data is not None
        mask = data[head.payload_at - _MASK : head.payload_at]
        if head.end - head.payload_at <= _COPIED_BYTES:
            return apply_mask(data[head.payload_at : head.end], mask)
        with memoryview(data) as whole, whole[head.payload_at : head.end] as masked:
            return apply_mask(masked, mask)

    def _step_to(self, end: int) -> None:
        data = self._bytes
        assert data is not None
        self._needed = _HEADER
        if end == len(data):
            self._bytes = None
            self._at = 0
        else:
            self._at = end

    def _control(self, opcode: int, payload: bytes) -> Event | None:
        if opcode == _PING:
            return Ping(payload)
        if opcode == _PONG:
            return None  # none was asked for
        self._end()
        if not payload:
            return Closed(NO_CODE, "")
        code = int.from_bytes(payload[:2], "big")
        if len(payload) == 1 or not may_be_sent(code):
            raise _Fault(MALFORMED, "the close frame has no valid code")
        return Closed(code, _as_text(payload[2:]))

    def _data(self, final: bool, opcode: int, payload: bytes) -> str | bytes | None:
        if opcode != _CONTINUATION and final:
            return _as_text(payload) if opcode == _TEXT else payload
        if opcode != _CONTINUATION:
            self._opcode = opcode
            self._message = bytearray()
            if opcode == _TEXT:
                self._decoder = codecs.getincrementaldecoder("utf-8")()
        assert self._message is not None
        if self._decoder is not None:  # a fault of the text is found at the end of its part
            try:
                self._decoder.decode(payload, final)
            except UnicodeDecodeError:
                raise _Fault(NOT_UTF8, "text must be UTF-8") from None
        self._message += payload
        return self._whole() if final else None

    def _whole(self) -> str | bytes:
        """The message that has its last part, taken out."""
        message, opcode = self._message or bytearray(), self._opcode
        self._message = self._decoder = None
        self._opcode = _CONTINUATION
        return message.decode() if opcode == _TEXT else bytes(message)

    def _end(self) -> None:
        self._ended = True
        self._bytes = self._message = self._decoder = None
        self._at = 0


def _as_text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise _Fault(NOT_UTF8, "text must be UTF-8") from None
