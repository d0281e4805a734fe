"""What predictions make: files that are kept, and previews that are shown once.

A file is on disk, fsynced, before there is an Artifact that could name it. Its id is a
random capability, its hash stays inside.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from safelight_protocol.events import Artifact
from safelight_protocol.inputs import Happening, Produced
from safelight_protocol.task import Task

from .artifacts import ArtifactStore, Kept, new_id
from .insist import patiently
from .providers.base import Made, Shown
from .store import ArtifactRow
from .subscriptions import Preview, PreviewHeader, Subscriptions


class Production:
    """Keeps and shows; `public_url` makes the URLs of artifacts absolute."""

    def __init__(
        self, artifacts: ArtifactStore, subscriptions: Subscriptions, public_url: str | None
    ) -> None:
        self._artifacts = artifacts
        self._subscriptions = subscriptions
        self._public_url = (public_url or "").rstrip("/")

    @asynccontextmanager
    async def keep(self, task: Task, made: Made) -> AsyncIterator[Artifact]:
        """Put a file on disk, safe from removal until the event that names it is written,
        which is to happen inside. What was made is not thrown away because the disk is
        full or ill: that is waited out. Raises Refused `too_large` or `provider_failed`."""
        kept = await patiently(
            lambda: self._artifacts.keep(made.data, kind=made.kind, media_type=made.media_type)
        )
        try:
            yield self._artifact(task, made, kept)
        finally:
            self._artifacts.release(kept.sha256)

    def _artifact(self, task: Task, made: Made, kept: Kept) -> Artifact:
        name = new_id()
        return Artifact(
            id=name,
            url=f"{self._public_url}/api/artifacts/{name}",
            kind=made.kind,
            media_type=kept.media_type,
            width=kept.width,
            height=kept.height,
            bytes=kept.bytes,
            sha256=kept.sha256,
            attempt=task.attempt,
        )

    def row(self, task: Task, happening: Happening, now: int) -> ArtifactRow | None:
        """The row that is written with the event, if the input is a file."""
        if not isinstance(happening, Produced):
            return None
        made = msgspec.structs.asdict(happening.artifact)
        del made["url"]
        return ArtifactRow(uid=task.uid, created_at=now, **made)

    def show(self, task: Task, token: str, shown: Shown) -> None:
        """Replace the task's preview."""
        header = PreviewHeader(task.id, task.attempt, shown.step, shown.media_type)
        self._subscriptions.show(task.uid, Preview(header, shown.data, token))

    def mark(self) -> int:
        """This moment, for `remove`: take it before the rows are removed."""
        return self._artifacts.mark()

    async def remove(self, unused: list[str], rows: list[ArtifactRow], since: int) -> None:
        """Delete the bytes that no artifact uses any more, and none has used since."""
        media_types = {row.sha256: row.media_type for row in rows}
        for sha256 in unused:
            await self._artifacts.remove(sha256, media_types[sha256], since)
