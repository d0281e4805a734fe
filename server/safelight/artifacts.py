"""Result files on our disk: hashed, stored once, whole or not at all.

Owns the folder `artifacts` of the data directory: `ab/cdef….png`, named by the
SHA-256 of the bytes, beside `incoming` for what is being written. A file appears
under its name only after its bytes were synced, so the event that names it may be
written as soon as `keep` returns. Knows no task: who may see a file, and when it
may go, is decided elsewhere. The promise is written in docs/architecture.md.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import secrets
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio.to_thread
import msgspec
from PIL import Image

from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind

from .telemetry import log

CHUNK = 1024 * 1024

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


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is safe on disk. `media_type` is what the bytes are, not what was
    claimed; `width` and `height` are None where the header does not tell (MP4, text)."""

    sha256: str
    path: Path
    bytes: int
    media_type: str
    width: int | None
    height: int | None


def new_id(randomness: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A fresh capability for one file of one task: 32 URL-safe characters, 192 bits."""
    return base64.urlsafe_b64encode(randomness(24)).decode("ascii")


class ArtifactStore:
    """Files up to `max_bytes` under `root`. Call `open` before anything else.

    `sync` makes what an open file or folder holds durable.
    """

    def __init__(
        self, root: Path, max_bytes: int, *, sync: Callable[[int], None] = os.fsync
    ) -> None:
        self._sync = sync
        self._root = root
        self._incoming = root / "incoming"
        self._max_bytes = max_bytes
        self._pins: Counter[str] = Counter()
        self._moving = threading.Lock()
        self._stored = 0
        self._stored_bytes = 0

    async def open(self) -> None:
        """Make the folders and remove what an earlier run left half-written.

        Only the one process that holds the data directory's lock may call this.
        """
        swept = await anyio.to_thread.run_sync(self._sweep)
        if swept:
            log("artifact.swept", files=swept)

    async def keep(self, data: bytes | Path, *, kind: Kind, media_type: str | None = None) -> Kept:
        """Store bytes, or a copy of a file, and return once they are on disk for good.

        `media_type` is believed for text only. The file is pinned against `remove`
        until `release(kept.sha256)`: call that when the event that names it is
        committed or given up, in a `finally`.

        Raises Refused `too_large`, `storage_full`, or `provider_failed` for bytes
        that are none of EXTENSIONS.
        """
        with anyio.CancelScope(shield=True):
            kept, known = await anyio.to_thread.run_sync(self._keep, data, kind, media_type)
        self._stored += not known
        self._stored_bytes += 0 if known else kept.bytes
        log("artifact.stored", bytes=kept.bytes, media_type=kept.media_type, known=known)
        return kept

    def release(self, sha256: str) -> None:
        """Undo the pin of one `keep`; what is not pinned is left alone."""
        with self._moving:
            self._pins[sha256] -= 1
            if self._pins[sha256] <= 0:
                del self._pins[sha256]

    def path(self, sha256: str, media_type: str) -> Path:
        """Where a kept file lies. Does not look whether it is there."""
        return self._root / sha256[:2] / (sha256[2:] + EXTENSIONS[media_type])

    async def remove(self, sha256: str, media_type: str) -> bool:
        """Remove a file that no task names any more; absent is as good as removed.

        False, and nothing is removed, while a `keep` of the same bytes is pinned:
        then a task that is about to name it has come between.
        """
        removed = await anyio.to_thread.run_sync(self._remove, sha256, media_type)
        if removed:
            log("artifact.removed", media_type=media_type)
        return removed

    def statistics(self) -> dict[str, int]:
        """Files and bytes stored since the start; those known before do not count."""
        return {
            "artifacts_stored": self._stored,
            "artifact_bytes_stored": self._stored_bytes,
            "artifacts_pinned": len(self._pins),
        }

    def _sweep(self) -> int:
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._sync_folder(self._root.parent)
        self._sync_folder(self._root)
        left = list(self._incoming.iterdir())
        for path in left:
            path.unlink()
        return len(left)

    def _keep(self, data: bytes | Path, kind: Kind, claimed: str | None) -> tuple[Kept, bool]:
        try:
            return self._keep_whole(data, kind, claimed)
        except OSError as trouble:
            if trouble.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Refused("storage_full", "The disk is full; the file was not kept.") from None
            raise

    def _keep_whole(self, data: bytes | Path, kind: Kind, claimed: str | None) -> tuple[Kept, bool]:
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        self._check_size(size)
        handle, name = tempfile.mkstemp(dir=self._incoming)
        temporary = Path(name)
        try:
            sha256, size = self._write(handle, data)
            media_type = _media_type(temporary, kind, claimed)
            width, height = _dimensions(temporary, media_type)
            path = self.path(sha256, media_type)
            known = self._publish(temporary, path, sha256)
        finally:
            temporary.unlink(missing_ok=True)
        kept = Kept(
            sha256=sha256,
            path=path,
            bytes=size,
            media_type=media_type,
            width=width,
            height=height,
        )
        return kept, known

    def _write(self, handle: int, data: bytes | Path) -> tuple[str, int]:
        """Bytes into the temporary file, synced; a file may have grown meanwhile."""
        digest, size = hashlib.sha256(), 0
        with os.fdopen(handle, "wb") as file:
            for chunk in _chunks(data):
                size += len(chunk)
                self._check_size(size)
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            self._sync(file.fileno())
        return digest.hexdigest(), size

    def _publish(self, temporary: Path, path: Path, sha256: str) -> bool:
        """Pin and give the file its name; whether it was there before.

        Under the same lock as the look of `_remove`: else a removal that was decided
        on could take the file away between our look and the event that names it. The
        folder is synced even for a known file: the keep that wrote it may not yet be.
        """
        with self._moving:
            self._pins[sha256] += 1
            known = path.exists()
            if not known:
                path.parent.mkdir(exist_ok=True)
                os.replace(temporary, path)
        try:
            self._sync_folder(path.parent)
            self._sync_folder(self._root)
        except OSError:
            self.release(sha256)
            raise
        return known

    def _remove(self, sha256: str, media_type: str) -> bool:
        with self._moving:
            if self._pins[sha256] > 0:
                return False
            self.path(sha256, media_type).unlink(missing_ok=True)
            return True

    def _sync_folder(self, folder: Path) -> None:
        """Make names in a folder durable, as fsync(2) asks for separately from the bytes."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._sync(handle)
        finally:
            os.close(handle)

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            expected = f"{self._max_bytes} bytes or less"
            raise Refused(
                "too_large",
                f"The file is too large: found {size} bytes, expected {expected}.",
                [{"field": "artifact", "found": f"{size} bytes", "expected": expected}],
            )


def _chunks(data: bytes | Path) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _media_type(path: Path, kind: Kind, claimed: str | None) -> str:
    """What the first bytes say; for text, which has no such mark, what was claimed."""
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


def _dimensions(path: Path, media_type: str) -> tuple[int | None, int | None]:
    """Width and height from the header; the picture itself is not decoded."""
    if not media_type.startswith("image/"):
        return None, None
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, Image.DecompressionBombError, SyntaxError, ValueError) as trouble:
        raise Refused("provider_failed", f"The {media_type} made has no readable header.") from (
            trouble
        )
