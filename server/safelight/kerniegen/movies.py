"""A video without an encoder: JPEG pictures in an MP4 container.

Players that know Motion JPEG (ffmpeg's family, VLC) play it; browsers do not. What counts
here is a true `video/mp4` file with the right size, length and number of frames. The boxes
are those of ISO/IEC 14496-12; the sample entry is `jpeg`, as QuickTime names it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

from PIL import Image

MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
TIMESCALE = 12_000


def mjpeg_mp4(frames: Sequence[Image.Image], fps: float) -> bytes:
    """All frames, one after another."""
    samples = [_jpeg(frame) for frame in frames]
    head = _box(b"ftyp", b"isom" + struct.pack(">I", 0x200) + b"isommp42")
    data = _box(b"mdat", b"".join(samples))
    first = len(head) + 8
    return head + data + _movie(samples, frames[0].size, max(1, round(TIMESCALE / fps)), first)


def _jpeg(frame: Image.Image) -> bytes:
    out = io.BytesIO()
    frame.convert("RGB").save(out, "JPEG", quality=85)
    return out.getvalue()


def _box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def _full(name: bytes, flags: int, *parts: bytes) -> bytes:
    return _box(name, struct.pack(">I", flags), *parts)


def _movie(samples: list[bytes], size: tuple[int, int], each: int, first: int) -> bytes:
    length = each * len(samples)
    plain = struct.pack(">II", 0, 0)
    header = plain + struct.pack(">IIIHH", TIMESCALE, length, 0x10000, 0x100, 0)
    header += bytes(8) + MATRIX + bytes(24) + struct.pack(">I", 2)
    track = plain + struct.pack(">III", 1, 0, length) + bytes(8) + struct.pack(">HHHH", 0, 0, 0, 0)
    track += MATRIX + struct.pack(">II", size[0] << 16, size[1] << 16)
    media = _full(b"mdhd", 0, plain, struct.pack(">IIHH", TIMESCALE, length, 0x55C4, 0))
    media += _full(b"hdlr", 0, bytes(4) + b"vide" + bytes(12) + b"video\0")
    here = _full(b"url ", 1)
    information = _full(b"vmhd", 1, bytes(8))
    information += _box(b"dinf", _full(b"dref", 0, struct.pack(">I", 1), here))
    information += _box(b"stbl", _tables(samples, size, each, first))
    trak = _box(b"trak", _full(b"tkhd", 3, track), _box(b"mdia", media, _box(b"minf", information)))
    return _box(b"moov", _full(b"mvhd", 0, header), trak)


def _tables(samples: list[bytes], size: tuple[int, int], each: int, first: int) -> bytes:
    entry = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", *size)
    entry += struct.pack(">IIIH", 0x480000, 0x480000, 0, 1) + bytes(32)
    entry += struct.pack(">Hh", 24, -1)
    count = len(samples)
    sizes = struct.pack(f">{count}I", *map(len, samples))
    return b"".join(
        (
            _full(b"stsd", 0, struct.pack(">I", 1), _box(b"jpeg", entry)),
            _full(b"stts", 0, struct.pack(">III", 1, count, each)),
            _full(b"stsc", 0, struct.pack(">IIII", 1, 1, count, 1)),
            _full(b"stsz", 0, struct.pack(">II", 0, count), sizes),
            _full(b"stco", 0, struct.pack(">II", 1, first)),
        )
    )
