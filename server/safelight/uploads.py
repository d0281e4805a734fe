"""Files that owners send, for tasks to start from.

The same path as for results: streamed, bounded, sniffed, stored once. The same bytes of one
owner are one upload with one id, so that a client which sends a file again, having lost the
answer, makes the same request with it as before. A quota bounds what one owner keeps here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec

from safelight_protocol.codes import Refused

from .artifacts import ArtifactStore, Kept, Wanted, new_id
from .incoming import refuse_larger
from .insist import insist, see_through
from .store import Store, Unused, Upload, UploadRow, Withdrawal
from .telemetry import log


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """An upload as its owner is told of it."""

    id: str
    url: str
    media_type: str
    width: int | None
    height: int | None
    bytes: int


class Coming(msgspec.Struct):
    """Bytes on their way in, in so many uploads."""

    bytes: int = 0
    uploads: int = 0


class Uploads:
    """Takes uploads of at most `max_bytes`, `quota` bytes of each owner. `public_url` makes
    their addresses absolute."""

    def __init__(
        self,
        store: Store,
        artifacts: ArtifactStore,
        *,
        max_bytes: int,
        quota: int,
        public_url: str | None,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self.max_bytes = max_bytes
        self._quota = quota
        self._public_url = (public_url or "").rstrip("/")
        self._clock = clock
        self._coming: dict[str, Coming] = {}

    async def take(self, owner: str, chunks: AsyncIterator[bytes]) -> Uploaded:
        """Keep a file; its row is written when this returns. Raises Refused `too_large`,
        `invalid` for what is no picture, film or sound, `too_many` above the quota."""
        kept = await self._keep(owner, chunks)
        taken = await see_through(self._name(owner, kept))
        return Uploaded(
            id=taken.id,
            url=f"{self._public_url}/api/uploads/{taken.id}",
            media_type=taken.media_type,
            width=taken.width,
            height=taken.height,
            bytes=taken.bytes,
        )

    async def _name(self, owner: str, kept: Kept) -> UploadRow:
        """The row of a file; it is pinned until the row is written, whoever waits for it."""
        try:
            row = UploadRow(
                id=new_id(),
                owner=owner,
                sha256=kept.sha256,
                media_type=kept.media_type,
                width=kept.width,
                height=kept.height,
                bytes=kept.bytes,
                created_at=self._clock(),
            )
            taken: UploadRow = await self._store.put(Upload(row, self._quota))
        finally:
            self._artifacts.release(kept)
        log("upload.taken", owner=owner, bytes=row.bytes, known=taken.id != row.id)
        return taken

    async def _keep(self, owner: str, chunks: AsyncIterator[bytes]) -> Kept:
        """What comes at the same moment is bounded by the quota too: it lies on our disk."""
        coming = self._coming.setdefault(owner, Coming())
        coming.uploads += 1
        mine = Coming()
        try:
            pieces = self._bounded(chunks, mine, coming)
            return await self._artifacts.receive(pieces, Wanted(kind="image"))
        except Refused as refused:
            if refused.code.name != "provider_failed":
                raise
            expected = "a picture, a film or a sound"
            found = refused.message.removeprefix("The file made is ")
            wrong: dict[str, object] = {"field": "file", "found": found, "expected": expected}
            raise Refused("invalid", f"file: found {found}", [wrong]) from None
        finally:
            coming.bytes -= mine.bytes
            coming.uploads -= 1
            if not coming.uploads:
                del self._coming[owner]

    async def _bounded(
        self, chunks: AsyncIterator[bytes], mine: Coming, coming: Coming
    ) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            mine.bytes += len(chunk)
            coming.bytes += len(chunk)
            refuse_larger(mine.bytes, self.max_bytes)
            if coming.bytes > self._quota:
                found, expected = f"{coming.bytes} bytes at once", f"{self._quota} bytes or less"
                wrong: dict[str, object] = dict(field="uploads", found=found, expected=expected)
                raise Refused("too_many", "Your uploads have no room for this one.", [wrong])
            yield chunk

    async def find(self, id: str) -> UploadRow | None:
        """An upload by its capability."""
        return await self._store.read.files.upload(id)

    async def delete(self, owner: str, id: str) -> None:
        """Remove an upload of this owner's. Raises Refused `not_found`."""
        since = self._artifacts.mark()
        unused: list[Unused] | None = await insist(lambda: self._store.put(Withdrawal(owner, id)))
        if unused is None:
            raise Refused("not_found", "No such upload, or it was deleted.")
        for one in unused:
            await self._artifacts.remove(one.sha256, one.media_type, since)
