"""Thumbnails, made when somebody first asks for one, and kept from then on.

Not before the event: the picture's news would wait for it. Whoever asks at the same moment
waits for one drawing; it comes to its end, and is kept, also if all of them go. What has no
thumbnail, or cannot get one now, is shown itself: an address that was told never leads to
a broken picture.
"""

from __future__ import annotations

import asyncio

import msgspec

from safelight_protocol.codes import Refused

from .artifacts import ArtifactStore
from .store import ArtifactRow, Drawn, Store
from .telemetry import log

WEBP = "image/webp"


class Small(msgspec.Struct, frozen=True):
    """What stands for a picture. `settled`: it will be the same the next time."""

    sha256: str
    media_type: str
    settled: bool = True


class Drawings:
    """Finds thumbnails, and makes those that are not there."""

    def __init__(self, store: Store, artifacts: ArtifactStore) -> None:
        self._store = store
        self._artifacts = artifacts
        self._under_way: dict[str, asyncio.Task[Small]] = {}

    async def small(self, row: ArtifactRow) -> Small:
        """The thumbnail of an artifact, or the artifact itself."""
        if row.thumbnail is not None:
            return _by_hash(row, row.thumbnail)
        if not self._artifacts.draws(row.media_type, row.width, row.height):
            return Small(row.sha256, row.media_type)
        drawing = self._under_way.get(row.sha256)
        if drawing is None:
            drawing = asyncio.ensure_future(self._draw(row))
            self._under_way[row.sha256] = drawing
            drawing.add_done_callback(lambda _: self._under_way.pop(row.sha256))
        return await asyncio.shield(drawing)

    def statistics(self) -> dict[str, int]:
        """Thumbnails that are being made."""
        return {"thumbnails_drawing": len(self._under_way)}

    async def _draw(self, row: ArtifactRow) -> Small:
        try:
            since = self._artifacts.mark()
            made = await self._artifacts.draw(row)
            if made is None:
                await self._store.put(Drawn(row.sha256, row.sha256))
                return Small(row.sha256, row.media_type)
            try:
                named = await self._store.put(Drawn(row.sha256, made.sha256))
            finally:
                self._artifacts.release(made)
            if not named:
                await self._artifacts.remove(made.sha256, WEBP, since)
            return Small(made.sha256, WEBP)
        except (Refused, OSError, MemoryError) as trouble:
            log("artifact.trouble", error=str(trouble), tries=1)
            return Small(row.sha256, row.media_type, settled=False)


def _by_hash(row: ArtifactRow, sha256: str) -> Small:
    return Small(sha256, row.media_type if sha256 == row.sha256 else WEBP)
