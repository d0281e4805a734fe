"""Width and height of a film, from the boxes of MP4 and the elements of WebM.

Reads headers only and seeks over what lies between, so that it costs the same for a film of
any length. Whatever is not as the formats say (ISO/IEC 14496-12, 8.3.2; the Matroska
elements of RFC 9559, 5.1.4) has no size, which is no mistake: it may play all the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

MOST = 1000
"""Boxes or elements that are looked at before it is given up."""

Size = tuple[int, int]

_SEGMENT, _TRACKS, _ENTRY, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_WIDTH, _HEIGHT = 0xB0, 0xBA


def mp4_size(file: BinaryIO) -> Size | None:
    """Of the first track that has one (`moov/trak/tkhd`)."""
    try:
        return _mp4_size(file)
    except (struct.error, ValueError):
        return None


def webm_size(file: BinaryIO) -> Size | None:
    """Of the first track that has one (`Segment/Tracks/TrackEntry/Video`)."""
    try:
        return _webm_size(file)
    except (IndexError, ValueError):
        return None


def _mp4_size(file: BinaryIO) -> Size | None:
    end = file.seek(0, 2)
    for name, begin, stop in _boxes(file, 0, end):
        if name != b"moov":
            continue
        for inner, start, until in _boxes(file, begin, stop):
            if inner != b"trak":
                continue
            for header, at, last in _boxes(file, start, until):
                if header == b"tkhd" and (found := _track_size(file, at, last)):
                    return found
    return None


def _track_size(file: BinaryIO, start: int, stop: int) -> Size | None:
    """The last eight bytes: two numbers of 16.16 bits."""
    file.seek(max(start, stop - 8))
    width, height = struct.unpack(">II", file.read(8))
    return (width >> 16, height >> 16) if width >> 16 and height >> 16 else None


def _boxes(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the contents of each box between two places."""
    for _ in range(MOST):
        if start + 8 > stop:
            return
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            head = 16
        end = stop if size == 0 else start + size
        if end < start + head or end > stop:
            return
        yield name, start + head, end
        start = end


def _webm_size(file: BinaryIO) -> Size | None:
    end = file.seek(0, 2)
    places = [(0, end)]
    for wanted in (_SEGMENT, _TRACKS, _ENTRY, _VIDEO):
        places = [
            (start, stop)
            for begin, until in places[:8]
            for name, start, stop in _elements(file, begin, until)
            if name == wanted
        ]
    for begin, until in places:
        found = {
            name: int.from_bytes(_read(file, start, min(stop - start, 8)), "big")
            for name, start, stop in _elements(file, begin, until)
            if name in (_WIDTH, _HEIGHT)
        }
        if found.get(_WIDTH) and found.get(_HEIGHT):
            return found[_WIDTH], found[_HEIGHT]
    return None


def _elements(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Id, begin and end of the contents of each element; the media itself (clusters) ends it."""
    for _ in range(MOST):
        if start >= stop:
            return
        head = _read(file, start, 12)
        id_length = 9 - head[0].bit_length()
        name = int.from_bytes(head[:id_length], "big")
        size_length = 9 - head[id_length].bit_length()
        raw = head[id_length : id_length + size_length]
        size = int.from_bytes(raw, "big") & ((1 << (7 * size_length)) - 1)
        begin = start + id_length + size_length
        unknown = size == (1 << (7 * size_length)) - 1
        end = stop if unknown else min(begin + size, stop)
        yield name, begin, end
        if name == 0x1F43B675 or end <= start:
            return
        start = end


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)
