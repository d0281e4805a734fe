"""Result files and uploads: hashed, stored once, whole or not at all.

Owns what is still being written, in `incoming` of the folder `artifacts`, and who may not
be removed at the moment; the bytes then lie in a `Storage`, named by their SHA-256. A file
appears under its name only after its bytes were synced, so the event that names it may be
written as soon as `keep` returns. Knows no task: who may see a file, and when it may go,
is decided elsewhere. The promise is written in docs/artifacts.md.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind

from .incoming import CHUNK, Incoming, plainly, refuse_larger
from .media import EXTENSIONS, dimensions, media_type_of
from .pins import Pins
from .storage import Storage
from .storage.disk import Disk
from .store import ArtifactRow
from .telemetry import log
from .thumbnails import is_bearable, is_large, thumbnail

T = TypeVar("T")

THUMBNAILS_AT_ONCE = 2
"""Pictures that are decoded at once, and beside them one that is large."""

_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}(\.[a-z0-9]+)")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is safe. `media_type` is what the bytes are, not what was claimed; `width`
    and `height` are None where the header does not tell."""

    sha256: str
    name: str
    bytes: int
    media_type: str
    width: int | None
    height: int | None


class Stray(msgspec.Struct, frozen=True):
    """A file that may be one that nothing names."""

    sha256: str
    name: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be kept: its `kind`, the media type that is claimed (believed for text
    only), the hash that it must have, and a chunk to put into it if it is a PNG."""

    kind: Kind
    media_type: str | None = None
    sha256: str | None = None
    text: bytes | None = None


def new_id(randomness: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A fresh capability for one file of one task: 32 URL-safe characters, 192 bits."""
    return base64.urlsafe_b64encode(randomness(24)).decode("ascii")


def name_of(sha256: str, media_type: str) -> str:
    """What a storage knows the bytes by."""
    return f"{sha256[:2]}/{sha256[2:]}{EXTENSIONS[media_type]}"


class ArtifactStore:
    """Files up to `max_bytes`, written under `root` and kept in a storage (by default there
    too). Call `open` before anything else.

    `sync` makes what an open file or folder holds durable. `quality` is that of thumbnails,
    1 to 100; None makes none.
    """

    def __init__(
        self,
        root: Path,
        max_bytes: int,
        *,
        sync: Callable[[int], None] = os.fsync,
        storage: Storage | None = None,
        quality: int | None = None,
    ) -> None:
        self._sync = sync
        self._incoming = root / "incoming"
        self.storage: Storage = storage or Disk(root, sync)
        self.max_bytes = max_bytes
        self._quality = quality
        self._drawing = anyio.CapacityLimiter(THUMBNAILS_AT_ONCE)
        self._drawing_large = anyio.CapacityLimiter(1)
        self._pins = Pins()
        self._stored = 0
        self._stored_bytes = 0

    async def open(self) -> None:
        """Make the folders and remove what an earlier run left half-written.

        Only the one process that holds the data directory's lock may call this.
        """
        swept = await anyio.to_thread.run_sync(self._open)
        if swept:
            log("artifact.swept", files=swept)

    async def keep(
        self,
        data: bytes | Path,
        *,
        kind: Kind,
        media_type: str | None = None,
        text: bytes | None = None,
    ) -> Kept:
        """Store bytes, or a copy of a file, and return once they are safe for good.

        The file is pinned against `remove` until `release(kept)`: call that when the row
        that names it is committed or given up, in a `finally`.

        Raises Refused: `too_large`, `provider_failed` for bytes that are none of
        EXTENSIONS, and `storage_full` or `unavailable` for a disk that is full or ill;
        then nothing is left behind, and the same bytes may be kept later.
        """
        wanted = Wanted(kind=kind, media_type=media_type, text=text)
        with anyio.CancelScope(shield=True):
            incoming, kept = await self._threaded(self._take, data, wanted)
            await self._settle(incoming, kept)
        return kept

    async def receive(self, chunks: AsyncIterator[bytes], wanted: Wanted) -> Kept:
        """The same for what comes in pieces; what is larger than allowed is refused at the
        first piece above. Cancelled, or when `chunks` raises, it leaves nothing behind.

        Raises Damaged too, if the bytes have not the hash that was wanted.
        """
        with anyio.CancelScope(shield=True):
            incoming = await self._threaded(self._begin, wanted)
        try:
            waiting = bytearray()
            async for chunk in chunks:
                waiting += chunk
                if len(waiting) >= CHUNK:
                    await self._threaded(incoming.add, bytes(waiting))
                    waiting.clear()
            with anyio.CancelScope(shield=True):
                kept = await self._threaded(self._finish, incoming, bytes(waiting), wanted)
                await self._settle(incoming, kept)
            return kept
        finally:
            incoming.drop()

    def release(self, kept: Kept | str) -> None:
        """Undo the pin of one `keep`, or of one hash; what is not pinned is left alone."""
        self._pins.release([kept if isinstance(kept, str) else kept.sha256])

    def draws(self, media_type: str, width: int | None, height: int | None) -> bool:
        """Whether such a file is given a thumbnail."""
        return self._quality is not None and is_bearable(media_type, width, height)

    async def draw(self, of: ArtifactRow) -> Kept | None:
        """Make a thumbnail and keep it, pinned as by `keep`; None where the file itself is
        to be shown. Raises Refused too, `not_found` for bytes that are gone."""
        if self._quality is None or not is_bearable(of.media_type, of.width, of.height):
            return None
        path = await self.local(of.sha256, of.media_type)
        if path is None:
            raise Refused("not_found", "The file is no longer there.")
        limiter = self._drawing_large if is_large(of.width, of.height) else self._drawing
        small = await anyio.to_thread.run_sync(thumbnail, path, self._quality, limiter=limiter)
        return None if small is None else await self.keep(small, kind="image")

    async def local(self, sha256: str, media_type: str) -> Path | None:
        """A local file with these bytes, to be read soon; None if they are gone."""
        with suppress(FileNotFoundError):
            return await self._threaded(self.storage.local, name_of(sha256, media_type))
        return None

    def mark(self) -> int:
        """This moment, for `remove`: take it before asking whether a file is still named."""
        return self._pins.mark

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
        return await anyio.to_thread.run_sync(self.storage.folders)

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

    async def _threaded(self, work: Callable[..., T], *given: Any) -> T:
        with plainly():
            return await anyio.to_thread.run_sync(work, *given)

    def _open(self) -> int:
        self.storage.open()
        self._incoming.mkdir(parents=True, exist_ok=True)
        left = list(self._incoming.iterdir())
        for path in left:
            path.unlink()
        return len(left)

    def _begin(self, wanted: Wanted) -> Incoming:
        return Incoming(self._incoming, self.max_bytes, self._sync, wanted.text, wanted.sha256)

    def _take(self, data: bytes | Path, wanted: Wanted) -> tuple[Incoming, Kept]:
        refuse_larger(len(data) if isinstance(data, bytes) else data.stat().st_size, self.max_bytes)
        incoming = self._begin(wanted)
        try:
            for chunk in _chunks(data):
                incoming.add(chunk)
            return incoming, self._finish(incoming, b"", wanted)
        except BaseException:
            incoming.drop()
            raise

    def _finish(self, incoming: Incoming, last: bytes, wanted: Wanted) -> Kept:
        """The last bytes are written and synced; what it is that came."""
        incoming.add(last)
        incoming.finish()
        media_type = media_type_of(incoming.path, wanted.kind, wanted.media_type)
        width, height = dimensions(incoming.path, media_type)
        return Kept(
            sha256=incoming.sha256,
            name=name_of(incoming.sha256, media_type),
            bytes=incoming.size,
            media_type=media_type,
            width=width,
            height=height,
        )

    async def _settle(self, incoming: Incoming, kept: Kept) -> None:
        """A file that is written becomes one that is kept."""
        known = await self._threaded(self._publish, incoming, kept)
        if not known:
            self._stored += 1
            self._stored_bytes += kept.bytes
        log("artifact.stored", bytes=kept.bytes, media_type=kept.media_type, known=known)

    def _publish(self, incoming: Incoming, kept: Kept) -> bool:
        """Pin and give the file its name; whether it was there before.

        In the same turn as the look of `_remove`: else a removal that was decided on could
        take the file away between our look and the event that names it.
        """
        self._pins.pin(kept.sha256)
        try:
            with self._pins.turn(kept.sha256):
                return self.storage.publish(incoming.path, kept.name)
        except BaseException:
            self.release(kept)
            raise
        finally:
            incoming.drop()

    def _remove(self, sha256: str, media_type: str, since: int) -> bool:
        with self._pins.turn(sha256):
            if not self._pins.is_free(sha256, since):
                return False
            return self._unlink(name_of(sha256, media_type))

    def _idle(self, folder: str, before: int) -> list[Stray]:
        found = []
        for lying in self.storage.listing(folder):
            named = _NAME.fullmatch(lying.name)
            if named and named[1] in EXTENSIONS.values() and lying.modified < before:
                found.append(Stray(lying.name[:2] + lying.name[3:65], lying.name))
        return [stray for stray in found if not self._pins.has(stray.sha256)]

    def _sweep_stray(self, stray: Stray, before: int) -> bool:
        with self._pins.turn(stray.sha256):
            if self._pins.has(stray.sha256):
                return False
            try:
                young = self.storage.stat(stray.name).modified >= before
            except FileNotFoundError:
                return False
            return not young and self._unlink(stray.name)

    def _unlink(self, name: str) -> bool:
        try:
            self.storage.remove(name)
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
