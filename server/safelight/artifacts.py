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
import re
import secrets
import tempfile
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import anyio.to_thread
import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind

from .media import EXTENSIONS, dimensions, media_type_of
from .telemetry import log

CHUNK = 1024 * 1024

REMEMBERED = 4096
"""Files whose last keep is remembered; far more than are kept while one task is removed."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
ILL = frozenset({errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE})
"""Trouble of the machine, not of the bytes: it may pass, and the same bytes be kept then."""

_NAME = re.compile(r"[0-9a-f]{62}(\.[a-z0-9]+)")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is safe on disk. `media_type` is what the bytes are, not what was
    claimed; `width` and `height` are None where the header does not tell (MP4, text)."""

    sha256: str
    path: Path
    bytes: int
    media_type: str
    width: int | None
    height: int | None


class Stray(msgspec.Struct, frozen=True):
    """A file that may be one that nothing names."""

    sha256: str
    path: Path


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
        self._keeps = 0
        self._last_keeps: OrderedDict[str, int] = OrderedDict()
        self._moving = threading.Lock()
        self._stored = 0
        self._stored_bytes = 0

    async def open(self) -> None:
        """Make the folders and remove what an earlier run left half-written.

        Only the one process that holds the data directory's lock may call this.
        """
        swept = await anyio.to_thread.run_sync(self._clear_incoming)
        if swept:
            log("artifact.swept", files=swept)

    async def keep(self, data: bytes | Path, *, kind: Kind, media_type: str | None = None) -> Kept:
        """Store bytes, or a copy of a file, and return once they are on disk for good.

        `media_type` is believed for text only. The file is pinned against `remove`
        until `release(kept.sha256)`: call that when the event that names it is
        committed or given up, in a `finally`.

        Raises Refused: `too_large`, `provider_failed` for bytes that are none of
        EXTENSIONS, and `storage_full` or `unavailable` for a disk that is full or ill;
        then nothing is left behind, and the same bytes may be kept later.
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

    def mark(self) -> int:
        """This moment, for `remove`: take it before asking whether a file is still named."""
        return self._keeps

    async def remove(self, sha256: str, media_type: str, since: int) -> bool:
        """Remove a file that no task named at the mark `since`; absent is as good as removed.

        False, and nothing is removed, when the same bytes were kept since then, or are
        pinned: a task that names them, or is about to, has come between. Also when the
        disk does not let it go. If no task names it after all, a sweep finds it later.
        """
        removed = await anyio.to_thread.run_sync(self._remove, sha256, media_type, since)
        if removed:
            log("artifact.removed", media_type=media_type)
        return removed

    async def folders(self) -> list[str]:
        """The folders that files are in; a sweep takes one after the other."""
        return await anyio.to_thread.run_sync(self._folders)

    async def idle(self, folder: str, before: int) -> list[Stray]:
        """Files of a folder that are not pinned and were last kept before a time, in
        milliseconds since 1970. Whether a task names them is for the store to say."""
        return await anyio.to_thread.run_sync(self._idle, folder, before)

    async def sweep(self, stray: Stray, before: int) -> bool:
        """Remove a file that no task names, unless it was kept again meanwhile."""
        return await anyio.to_thread.run_sync(self._sweep_stray, stray, before)

    def statistics(self) -> dict[str, int]:
        """Files and bytes stored since the start; those known before do not count."""
        return {
            "artifacts_stored": self._stored,
            "artifact_bytes_stored": self._stored_bytes,
            "artifacts_pinned": len(self._pins),
        }

    def _clear_incoming(self) -> int:
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
            if trouble.errno in FULL:
                raise Refused("storage_full", "The disk is full; the file was not kept.") from None
            if trouble.errno in ILL:
                message = f"The file could not be kept: {trouble.strerror}."
                raise Refused("unavailable", message) from trouble
            raise

    def _keep_whole(self, data: bytes | Path, kind: Kind, claimed: str | None) -> tuple[Kept, bool]:
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        self._check_size(size)
        handle, name = tempfile.mkstemp(dir=self._incoming)
        temporary = Path(name)
        try:
            sha256, size = self._write(handle, data)
            media_type = media_type_of(temporary, kind, claimed)
            width, height = dimensions(temporary, media_type)
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
        on could take the file away between our look and the event that names it. A known
        file is made young again, for sweeps. The folder is synced even for a known file:
        the keep that wrote it may not yet be.
        """
        known = False
        with self._moving:
            self._pins[sha256] += 1
            self._note_keep(sha256)
        try:
            with self._moving:
                known = path.exists()
                if known:
                    os.utime(path)
                else:
                    path.parent.mkdir(exist_ok=True)
                    os.replace(temporary, path)
            self._sync_folder(path.parent)
            self._sync_folder(self._root)
        except OSError:
            self.release(sha256)
            if not known:
                self._take_back(path, sha256)
            raise
        return known

    def _take_back(self, path: Path, sha256: str) -> None:
        """A name that may not be durable: the next keep shall write it anew."""
        with self._moving:
            if self._pins[sha256] <= 0:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _note_keep(self, sha256: str) -> None:
        self._keeps += 1
        self._last_keeps[sha256] = self._keeps
        self._last_keeps.move_to_end(sha256)
        if len(self._last_keeps) > REMEMBERED:
            self._last_keeps.popitem(last=False)

    def _remove(self, sha256: str, media_type: str, since: int) -> bool:
        with self._moving:
            forgotten = self._keeps - since > REMEMBERED  # then it may have been kept: spare it
            if forgotten or self._last_keeps.get(sha256, 0) > since or self._pins[sha256] > 0:
                return False
            return _unlink(self.path(sha256, media_type))

    def _folders(self) -> list[str]:
        return sorted(p.name for p in self._root.iterdir() if len(p.name) == 2 and p.is_dir())

    def _idle(self, folder: str, before: int) -> list[Stray]:
        found = []
        with os.scandir(self._root / folder) as entries:
            for entry in entries:
                named = _NAME.fullmatch(entry.name)
                if named and named[1] in EXTENSIONS.values():
                    sha256 = folder + entry.name.partition(".")[0]
                    found.append(Stray(sha256, Path(entry.path)))
        with self._moving:
            return [stray for stray in found if self._is_idle(stray, before)]

    def _sweep_stray(self, stray: Stray, before: int) -> bool:
        with self._moving:
            return self._is_idle(stray, before) and _unlink(stray.path)

    def _is_idle(self, stray: Stray, before: int) -> bool:
        if self._pins[stray.sha256] > 0:
            return False
        try:
            return stray.path.stat().st_mtime_ns < before * 1_000_000
        except FileNotFoundError:
            return False

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


def _unlink(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError as trouble:
        log("artifact.trouble", error=str(trouble), tries=1)
        return False
    return True


def _chunks(data: bytes | Path) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
