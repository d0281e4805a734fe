"""The files of the one user: made, uploaded, listed, and each generation only once.

A file is what the provider calls one from the moment that it is asked for; it is done when
it has an address. When it was made decides the order of lists, and is told nowhere.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec


class IntegrityError(Exception):
    """A generation that is there already, or one that points to nothing."""


class File(msgspec.Struct, kw_only=True):
    """A file and the one task that makes it; an upload has none. `number` is its place in the
    batch that it is of."""

    id: str
    type: str
    created_at: float
    user_id: str
    project_id: str | None = None
    entity_id: str | None = None
    scene_id: str | None = None
    generation: dict[str, Any] | None = None
    task: dict[str, Any] | None = None
    url: str | None = None
    duration: float | None = None
    number: int = 0
    media_type: str = ""
    data: bytes = b""

    def read(self) -> dict[str, Any]:
        """As it is told."""
        told: dict[str, Any] = {
            "id": self.id,
            "url": self.url,
            "thumbnail_url": self.url if self.type == "image" else None,
            "type": self.type,
        }
        for kind in ("image", "video", "audio"):
            made = self.generation if self.type == kind else None
            told[f"{kind}_generation_id"] = made["id"] if made else None
            told[f"{kind}_generation"] = made
        return told | {"duration": self.duration, "tasks": [self.task] if self.task else []}


class Shelf:
    """All files there are."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        self._made: set[tuple[object, ...]] = set()

    def find(self, id: str) -> File | None:
        """The file of that id."""
        return self._files.get(id)

    def add(self, file: File) -> None:
        """Keep it."""
        self._files[file.id] = file

    def remove(self, id: str) -> File | None:
        """Forget it. What was generated once stays taken all the same."""
        return self._files.pop(id, None)

    def take(self, kind: str, config: dict[str, Any]) -> None:
        """Nobody else may generate this. Raises IntegrityError."""
        for reference in config.get("references") or ():
            if reference["reference_id"] not in self._files:
                raise IntegrityError
        name = config["generation_config_name"]
        key = (kind, config.get("prompt"), config.get("seed"), name)
        if key in self._made:
            raise IntegrityError
        self._made.add(key)

    def list(self, types: list[str], newest_first: bool, **where: str) -> Iterator[File]:
        """Those that fit, in the order in which they were made."""
        files = list(self._files.values())
        for file in reversed(files) if newest_first else files:
            fits = all(getattr(file, name) == value for name, value in where.items())
            if fits and (not types or file.type in types):
                yield file


def fresh() -> str:
    """An id that nothing has."""
    return str(uuid.uuid4())
