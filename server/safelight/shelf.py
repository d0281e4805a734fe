"""What one owner has made, as files: pages of images and of videos, newest first.

A view over the rows of artifacts and their tasks; what the gallery tells by task, this tells
by file. A file whose bytes have expired is still listed, and says so.
"""

from __future__ import annotations

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import timestamp, wire_seed
from safelight_protocol.fields import invalid
from safelight_protocol.task import Task

from .artifacts import ArtifactStore
from .store import ArtifactRow, Store

PROMPT_CHARACTERS = 2_000
"""Prompts in a page are cut to this length; the whole is at the task's own address."""

NEWEST = (2**62, "")


class Filed(msgspec.Struct, frozen=True, kw_only=True):
    """One file and what it was made of. `url` is null once its bytes have expired."""

    id: str
    url: str | None
    thumbnail_url: str | None
    kind: str
    media_type: str
    width: int | None
    height: int | None
    bytes: int
    task_id: str
    attempt: int
    prompt: str
    model: str
    provider: str
    backend: str | None
    seed: int | str
    created_at: str


class FiledPage(msgspec.Struct, frozen=True):
    """Files, newest first, and the `before` of the next page, null at the end."""

    files: list[Filed]
    next: str | None


class Shelf:
    """Reads over one owner's files; `public_url` makes the URLs absolute."""

    def __init__(self, store: Store, artifacts: ArtifactStore, public_url: str | None) -> None:
        self.read = store.read
        self._artifacts = artifacts
        self._public_url = (public_url or "").rstrip("/")

    async def page(self, owner: str, kind: str, before: str | None, limit: int) -> FiledPage:
        """At most `limit` files of a kind. Raises Refused `invalid` for a `before` that is no
        end of a page."""
        start = NEWEST if before is None else _cursor(before)
        rows = await self.read.files.made_by(owner, kind, start, limit + 1)
        more = f"{rows[limit - 1].created_at}-{rows[limit - 1].id}" if len(rows) > limit else None
        tasks = await self.read.tasks(sorted({row.uid for row in rows[:limit]}))
        shown = [self._filed(row, tasks[row.uid]) for row in rows[:limit] if row.uid in tasks]
        return FiledPage(shown, more)

    async def file(self, owner: str, kind: str, id: str) -> Filed:
        """One of them. Raises Refused `not_found`, of others' files too."""
        found = await self.read.artifact(id)
        if found is not None and found[1] == owner and found[0].kind == kind:
            tasks = await self.read.tasks([found[0].uid])
            if found[0].uid in tasks:
                return self._filed(found[0], tasks[found[0].uid])
        raise Refused("not_found", f"No such {kind}, or it was deleted.")

    def url(self, path: str) -> str:
        """The address of a path, absolute if it may be."""
        return self._public_url + path

    def _filed(self, row: ArtifactRow, task: Task) -> Filed:
        ran, there = task.resolved, row.expired_at is None
        url = self.url(f"/api/artifacts/{row.id}")
        draws = self._artifacts.draws(row.media_type, row.width, row.height)
        return Filed(
            id=row.id,
            url=url if there else None,
            thumbnail_url=f"{url}/thumbnail" if there and draws else None,
            kind=row.kind,
            media_type=row.media_type,
            width=row.width,
            height=row.height,
            bytes=row.bytes,
            task_id=task.id,
            attempt=row.attempt,
            prompt=task.asked.prompt[:PROMPT_CHARACTERS],
            model=ran.model,
            provider=ran.provider,
            backend=ran.backend,
            seed=wire_seed(task.seed_used),
            created_at=timestamp(row.created_at),
        )


def _cursor(text: str) -> tuple[int, str]:
    at, _, id = text.partition("-")
    if at.isascii() and at.isdigit() and len(at) < 17 and 0 < len(id) <= 64:
        return int(at), id
    raise invalid([{"field": "before", "found": text[:80], "expected": "`next` of a page"}])
