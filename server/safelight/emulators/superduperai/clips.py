"""Clips that really play: pictures as Motion JPEG in an MP4 file.

No encoder is needed for that, and players of ffmpeg's family show it (browsers do not). The
boxes are those of ISO/IEC 14496-12, nested as they are listed here from the inside out.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

MEDIA_TYPE = "video/mp4"

TICKS = 600
"""Parts of a second in which times are told."""

UPRIGHT = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
"""The matrix that turns nothing."""


def filmed(frames: Sequence[bytes], size: tuple[int, int], seconds: float) -> bytes:
    """JPEG pictures of one size, shown over as many seconds."""
    each = max(1, round(seconds * TICKS / len(frames)))
    head = _box("ftyp", b"isom", _long(0x200), b"isommp42")
    start = len(head) + 8
    return head + _box("mdat", *frames) + _box("moov", *_movie(frames, size, each, start))


def _movie(frames: Sequence[bytes], size: tuple[int, int], each: int, start: int) -> list[bytes]:
    length = each * len(frames)
    times = [_long(0, 0, TICKS, length), _long(1 << 16), struct.pack(">H10x", 1 << 8)]
    header = _full("mvhd", 0, *times, UPRIGHT, bytes(24), _long(2))
    sides = _long(size[0] << 16, size[1] << 16)
    track = _full("tkhd", 3, _long(0, 0, 1, 0, length), bytes(16), UPRIGHT, sides)
    media = _box(
        "mdia",
        _full("mdhd", 0, _long(0, 0, TICKS, length), struct.pack(">HH", 0x55C4, 0)),
        _full("hdlr", 0, bytes(4), b"vide", bytes(12), b"pictures\0"),
        _box("minf", *_where(frames, size, each, start)),
    )
    return [header, _box("trak", track, media)]


def _where(frames: Sequence[bytes], size: tuple[int, int], each: int, start: int) -> list[bytes]:
    """The tables by which a player finds each picture."""
    count = len(frames)
    entry = struct.pack(">6xH16xHHIIIH32sHh", 1, *size, 72 << 16, 72 << 16, 0, 1, b"", 24, -1)
    here = _full("dref", 0, _long(1), _full("url ", 1))
    tables = _box(
        "stbl",
        _full("stsd", 0, _long(1), _box("jpeg", entry)),
        _full("stts", 0, _long(1, count, each)),
        _full("stsc", 0, _long(1, 1, count, 1)),
        _full("stsz", 0, _long(0, count, *map(len, frames))),
        _full("stco", 0, _long(1, start)),
    )
    return [_full("vmhd", 1, bytes(8)), _box("dinf", here), tables]


def _box(name: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name.encode()) + body


def _full(name: str, flags: int, *parts: bytes) -> bytes:
    """A box with a version, always 0, and flags."""
    return _box(name, _long(flags), *parts)


def _long(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)
