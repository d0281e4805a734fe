"""What a file is, by its own bytes: its media type, its size in pixels.

Knows the few types that are kept and their signatures. Nothing is believed of what a
provider claims, but that text is text: there is no signature for it.
"""

from __future__ import annotations

from pathlib import Path

from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind

from .films import mp4_size, webm_size
from .stills import picture_size

EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/avif": ".avif",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "video/quicktime": ".mov",
    "audio/wav": ".wav",
    "audio/mpeg": ".mp3",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "audio/mp4": ".m4a",
    "text/plain; charset=utf-8": ".txt",
}
"""What is kept. Every other type is refused, so that no page or script of a
provider's is ever served from our origin."""

_HEAD_BYTES = 64
_AVIF = (b"avif", b"avis")


def is_shown(media_type: str) -> bool:
    """Whether a browser is to show it; the rest (sounds) is handed over as a file."""
    return not media_type.startswith("audio/")


def media_type_of(path: Path, kind: Kind, claimed: str | None) -> str:
    """What the first bytes say; for text, which has no such mark, what was claimed.

    Raises Refused `provider_failed` for a type that is not kept.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    found = sniff(head)
    if found is None and kind == "text" and (claimed or "text/plain").startswith("text/plain"):
        found = "text/plain; charset=utf-8"
    if found is None:
        known = ", ".join(extension[1:] for extension in EXTENSIONS.values())
        raise Refused("provider_failed", f"The file made is none of the known types ({known}).")
    return found


def sniff(head: bytes) -> str | None:
    """The media type by the signatures of the WHATWG MIME Sniffing Standard, section 6, and
    for AVIF, QuickTime, FLAC and M4A by those of their own."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[4:8] == b"ftyp":
        return _by_brand(head[8:12])
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    if head[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in head:
        return "video/webm"
    return _sound(head)


def _by_brand(brand: bytes) -> str:
    """Which of the family of ISO base media files; MP4 is also what is none of the others."""
    if brand in _AVIF:
        return "image/avif"
    return {b"qt  ": "video/quicktime", b"M4A ": "audio/mp4"}.get(brand, "video/mp4")


def _sound(head: bytes) -> str | None:
    if head[:4] in (b"fLaC", b"OggS"):
        return "audio/flac" if head[:4] == b"fLaC" else "audio/ogg"
    if head[:3] == b"ID3" or head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        return "audio/mpeg"
    return None


def dimensions(path: Path, media_type: str) -> tuple[int | None, int | None]:
    """Width and height from the header; the picture itself is not decoded.

    None where there is none. Raises Refused `provider_failed` for a picture's broken header,
    and OSError for trouble of the disk.
    """
    if media_type.startswith("video/"):
        with path.open("rb") as file:
            size = webm_size(file) if media_type == "video/webm" else mp4_size(file)
        return size or (None, None)
    if not media_type.startswith("image/"):
        return None, None
    size = picture_size(path, media_type)
    if size is None:
        raise Refused("provider_failed", f"The {media_type} made has no readable header.")
    return size
