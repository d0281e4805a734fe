"""One frame for many: made once, and the same bytes for all who get it.

A WebSocket of our own server takes it as it travels, head and all; every other way to a
client takes the message inside. Knows neither topics nor serializers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

import msgspec

from . import framing


class Broadcast(msgspec.Struct, gc=False, eq=False):
    """A frame that any number of clients may be sent. `wire` is what travels."""

    wire: bytes
    _message: str | bytes | None = None

    @classmethod
    def of_text(cls, text: bytes) -> Broadcast:
        """Of a text message, in UTF-8."""
        return cls(framing.text(text))

    @classmethod
    def of_binary(cls, message: bytes) -> Broadcast:
        """Of a binary message."""
        return cls(framing.binary(message))

    @property
    def message(self) -> str | bytes:
        """The message without its head: `str` goes out as text, `bytes` as binary."""
        if self._message is None:
            self._message = _inside(self.wire)
        return self._message

    def __len__(self) -> int:
        """How many bytes travel."""
        return len(self.wire)


class Shelf:
    """Frames that are kept for whoever wants the same, by what they are of; at most so many
    bytes of them, and those longest that were wanted last."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._kept: OrderedDict[Hashable, Broadcast] = OrderedDict()
        self._bytes = 0

    def take(self, key: Hashable, make: Callable[[], bytes]) -> Broadcast:
        """The frame that is kept under the key, or one of what `make` returns."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        found = self._kept[key] = Broadcast(make())
        self._bytes += len(found)
        while self._bytes > self._bound:
            self._bytes -= len(self._kept.popitem(last=False)[1])
        return found


Frame = str | bytes | Broadcast
"""What a client is sent: `str` and `bytes` are for it alone."""

Frames = list[Frame]


def packed(frame: Frame) -> bytes:
    """The frame as it travels on a WebSocket."""
    if isinstance(frame, Broadcast):
        return frame.wire
    return framing.text(frame.encode()) if isinstance(frame, str) else framing.binary(frame)


def message_of(frame: Frame) -> str | bytes:
    """The message that an ordinary transport sends."""
    return frame.message if isinstance(frame, Broadcast) else frame


def _inside(wire: bytes) -> str | bytes:
    body = wire[framing.head_size(wire) :]
    return body.decode() if wire[0] & 0x0F == 1 else body
