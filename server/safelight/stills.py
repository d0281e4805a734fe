"""Width and height of a picture, from its header alone.

PNG, GIF and WebP are read here, since they are few bytes at known places (PNG 11.2.1, GIF89a
18, the WebP container and RFC 6386 9.1); Pillow's readers of these unpack texts, or make room
for the whole picture, before anybody has seen its size. JPEG and AVIF are left to Pillow.
Whatever is not as the formats say has no size.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from PIL import ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.JpegImagePlugin import JpegImageFile

Size = tuple[int, int]

_LONGEST_HEAD = 33

_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "image/jpeg": JpegImageFile,
    "image/avif": AvifImageFile,
}
"""Not `Image.open`, which refuses the header of a very large picture."""


def picture_size(path: Path, media_type: str) -> Size | None:
    """What the header says, or None for a broken one. Raises OSError for trouble of the disk."""
    reader = _READERS.get(media_type)
    if reader is not None:
        return _by_pillow(path, reader)
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEAD)
    try:
        width, height = _SIZES[media_type](head)
    except (struct.error, ValueError):
        return None
    return (width, height) if width and height else None


def _by_pillow(path: Path, reader: type[ImageFile.ImageFile]) -> Size | None:
    try:
        with reader(path) as image:
            return image.size
    except MemoryError:
        raise
    except Exception as trouble:  # decoders raise what they like
        if getattr(trouble, "errno", None) is not None:
            raise  # the disk's fault, not the picture's
        return None


def _png(head: bytes) -> Size:
    if head[12:16] != b"IHDR" or zlib.crc32(head[12:29]) != struct.unpack_from(">I", head, 29)[0]:
        raise ValueError
    width, height = struct.unpack_from(">II", head, 16)
    return width, height


def _gif(head: bytes) -> Size:
    width, height = struct.unpack_from("<HH", head, 6)
    return width, height


def _webp(head: bytes) -> Size:
    match head[12:16]:
        case b"VP8X":
            wide, high = head[24:27], head[27:30]
            if len(high) < 3:
                raise ValueError
            return int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1
        case b"VP8L" if head[20:21] == b"\x2f":
            bits = struct.unpack_from("<I", head, 21)[0]
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
    raise ValueError


_SIZES = {"image/png": _png, "image/gif": _gif, "image/webp": _webp}
