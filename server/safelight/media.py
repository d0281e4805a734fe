"""What a file is, by its own bytes: its media type, its size in pixels.

Knows the few types that are kept and their signatures. Nothing is believed of what a
provider claims, but that text is text: there is no signature for it.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind

EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "video/mp4": ".mp4",
    "text/plain; charset=utf-8": ".txt",
}
"""What is kept. Every other type is refused, so that no page or script of a
provider's is ever served from our origin."""


def media_type_of(path: Path, kind: Kind, claimed: str | None) -> str:
    """What the first bytes say; for text, which has no such mark, what was claimed.

    Raises Refused `provider_failed` for a type that is not kept.
    """
    with path.open("rb") as file:
        head = file.read(16)
    found = _sniff(head)
    if found is None and kind == "text" and (claimed or "text/plain").startswith("text/plain"):
        found = "text/plain; charset=utf-8"
    if found is None:
        known = ", ".join(extension[1:] for extension in EXTENSIONS.values())
        raise Refused("provider_failed", f"The file made is none of the known types ({known}).")
    return found


def _sniff(head: bytes) -> str | None:
    """The media type by the signatures of the WHATWG MIME Sniffing Standard, section 6."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[4:8] == b"ftyp":
        return "video/mp4"
    return None


def dimensions(path: Path, media_type: str) -> tuple[int | None, int | None]:
    """Width and height from the header; the picture itself is not decoded.

    None where there is none. Raises Refused `provider_failed` for a broken header, and
    OSError for trouble of the disk.
    """
    if not media_type.startswith("image/"):
        return None, None
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, Image.DecompressionBombError, SyntaxError, ValueError) as trouble:
        if getattr(trouble, "errno", None) is not None:
            raise  # the disk's fault, not the picture's
        raise Refused("provider_failed", f"The {media_type} made has no readable header.") from (
            trouble
        )
