"""What predictions make: files that are kept, and previews that are shown once.

One path for every provider's files, whether it hands over bytes or says where they lie. A
file is safe, fsynced, before there is an Artifact that could name it. Its id is a random
capability, its hash stays inside.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from safelight_protocol.events import Artifact, wire_seed
from safelight_protocol.inputs import Happening, Produced
from safelight_protocol.task import Task

from .artifacts import ArtifactStore, Kept, Wanted, new_id
from .fetches import Fetches
from .insist import patiently
from .pngtext import Inserter, chunk
from .providers.base import Found, Made, Shown
from .store import ArtifactRow
from .subscriptions import Preview, PreviewHeader, Subscriptions


class Production:
    """Keeps and shows; `public_url` makes the URLs of artifacts absolute. With `png_text` a
    PNG says what it was made of."""

    def __init__(
        self,
        artifacts: ArtifactStore,
        subscriptions: Subscriptions,
        public_url: str | None,
        fetches: Fetches,
        *,
        png_text: bool = True,
    ) -> None:
        self._artifacts = artifacts
        self._subscriptions = subscriptions
        self._public_url = (public_url or "").rstrip("/")
        self._fetches = fetches
        self._png_text = png_text
        self._sources: dict[str, str | None] = {}

    @asynccontextmanager
    async def keep(self, task: Task, made: Made | Found) -> AsyncIterator[Artifact | None]:
        """Bring a file in, safe from removal until the event that names it is written, which
        is to happen inside; None for one that was found and told before.

        What was made is not thrown away because the disk is full or ill: that is waited
        out. Raises Refused `too_large`, `provider_failed` or `artifact_unavailable`.
        """
        if isinstance(made, Made):
            kept = await patiently(
                lambda: self._artifacts.keep(
                    made.data, kind=made.kind, media_type=made.media_type, text=self._text(task)
                )
            )
            async with self._named(task, made, kept, None) as artifact:
                yield artifact
            return
        async with self._fetches.turn(task, made.key) as is_news:
            if not is_news:
                yield None
                return
            kept = await self._fetches.bring(task, made, self._wanted(task, made))
            async with self._named(task, made, kept, made.key) as artifact:
                yield artifact

    @asynccontextmanager
    async def _named(
        self, task: Task, made: Made | Found, kept: Kept, source: str | None
    ) -> AsyncIterator[Artifact]:
        artifact = self._artifact(task, made, kept)
        self._sources[artifact.id] = source
        try:
            yield artifact
        finally:
            del self._sources[artifact.id]
            self._artifacts.release(kept)

    def _artifact(self, task: Task, made: Made | Found, kept: Kept) -> Artifact:
        name = new_id()
        url = f"{self._public_url}/api/artifacts/{name}"
        draws = self._artifacts.draws(kept.media_type, kept.width, kept.height)
        return Artifact(
            id=name,
            url=url,
            kind=made.kind,
            media_type=kept.media_type,
            width=kept.width,
            height=kept.height,
            bytes=kept.bytes,
            sha256=kept.sha256,
            attempt=task.attempt,
            thumbnail_url=f"{url}/thumbnail" if draws else None,
        )

    def _wanted(self, task: Task, found: Found) -> Wanted:
        return Wanted(
            kind=found.kind,
            media_type=found.media_type,
            sha256=found.sha256,
            text=self._text(task),
        )

    def _text(self, task: Task) -> bytes | None:
        """The same for each time that the attempt makes the file: so are its bytes then."""
        if not self._png_text:
            return None
        return _text_of(task)

    def row(self, task: Task, happening: Happening, now: int) -> ArtifactRow | None:
        """The row that is written with the event, if the input is a file."""
        if not isinstance(happening, Produced):
            return None
        made = msgspec.structs.asdict(happening.artifact)
        del made["url"], made["thumbnail_url"]
        return ArtifactRow(
            uid=task.uid,
            owner=task.owner,
            created_at=now,
            source=self._sources.get(happening.artifact.id),
            **made,
        )

    def show(self, task: Task, token: str, shown: Shown) -> None:
        """Replace the task's preview."""
        header = PreviewHeader(task.id, task.attempt, shown.step, shown.media_type)
        self._subscriptions.show(task.uid, Preview(header, shown.data, token))

    def mark(self) -> int:
        """This moment, for `remove`: take it before the rows are removed."""
        return self._artifacts.mark()

    async def remove(self, unused: list[str], rows: list[ArtifactRow], since: int) -> None:
        """Delete the bytes that no artifact uses any more, and none has used since."""
        media_types = {row.thumbnail: "image/webp" for row in rows}
        media_types |= {row.sha256: row.media_type for row in rows}
        for sha256 in unused:
            await self._artifacts.remove(sha256, media_types[sha256], since)

    def statistics(self) -> dict[str, int]:
        """Those of the fetches."""
        return self._fetches.statistics()


def may_be_told_as(task: Task, data: bytes) -> tuple[str, str]:
    """The hashes that a file's event may have, without our text in it and with it: between
    two times that its attempt makes it, the setting may have changed."""
    inserter = Inserter(_text_of(task))
    with_text = inserter.feed(data) + inserter.end()
    return hashlib.sha256(data).hexdigest(), hashlib.sha256(with_text).hexdigest()


def _text_of(task: Task) -> bytes:
    """What the file was made of. What has its own seeds has its own words as well."""
    ours = {"prompt": task.asked.prompt, "seed": wire_seed(task.seed_used)}
    facts = {} if task.resolved.own_seed is True else ours
    return chunk({**facts, "model": task.ran.model, "task_id": task.id})
