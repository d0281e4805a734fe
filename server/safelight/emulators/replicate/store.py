"""Predictions and files as the emulator keeps them, and how long.

An hour after a prediction has ended its input, output and logs are gone, and so are the
files it made; an uploaded file lives a day. Time is the bench's. Nothing is run here.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
KEPT_SECONDS = 3600.0
FILE_SECONDS = 24 * 3600.0
PAGE = 100
ALPHABET = "abcdefghjkmnpqrstvwxyz0123456789"


def new_id() -> str:
    """26 letters and digits, as predictions have them."""
    return "".join(secrets.choice(ALPHABET) for _ in range(26))


def moment(at: float | None) -> str | None:
    """A time as it is told."""
    if at is None:
        return None
    told = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return told.replace("+00:00", "Z")


@dataclass(eq=False)
class Prediction:
    """One run. `given` is the input as it came; `verdict` is how it shall end when its work is
    cut off. `filled` is set when all outputs are there, `over` when it has ended."""

    id: str
    model: str
    version: str
    given: dict[str, Any]
    created: float
    deadline: float | None = None
    deployment: str | None = None
    webhook: str | None = None
    events: frozenset[str] = frozenset()
    streams: bool = False
    status: str = "starting"
    output: Any = None
    error: str | None = None
    logs: str = ""
    started: float | None = None
    completed: float | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    verdict: str | None = None
    work: asyncio.Task[None] | None = None
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def touch(self) -> None:
        """Wake whoever waits for a change."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def told(self, address: str, now: float) -> dict[str, Any]:
        """The object as it is answered."""
        gone = self.completed is not None and now >= self.completed + KEPT_SECONDS
        urls = {
            "cancel": f"{address}/v1/predictions/{self.id}/cancel",
            "get": f"{address}/v1/predictions/{self.id}",
            "web": f"{address}/p/{self.id}",
        }
        if self.streams:
            urls["stream"] = f"{address}/stream/{self.id}"
        return {
            "id": self.id,
            "model": self.model,
            "version": self.version,
            "input": {} if gone else self.given,
            "logs": "" if gone else self.logs,
            "output": None if gone else self.output,
            "data_removed": gone,
            "error": self.error,
            "source": "api",
            "status": self.status,
            "created_at": moment(self.created),
            "started_at": moment(self.started),
            "completed_at": moment(self.completed),
            "urls": urls,
            **({"metrics": self.metrics} if self.metrics else {}),
            **({"deadline": moment(self.deadline)} if self.deadline else {}),
            **({"deployment": self.deployment} if self.deployment else {}),
        }


@dataclass(eq=False)
class Upload:
    """A file that was uploaded."""

    id: str
    name: str
    content: bytes
    content_type: str
    metadata: dict[str, Any]
    created: float

    def told(self, address: str) -> dict[str, Any]:
        """The object as it is answered."""
        sums = {"sha256": hashlib.sha256(self.content).hexdigest()}
        return {
            "id": self.id,
            "name": self.name,
            "content_type": self.content_type,
            "size": len(self.content),
            "etag": hashlib.md5(self.content, usedforsecurity=False).hexdigest(),
            "checksums": sums,
            "metadata": self.metadata,
            "created_at": moment(self.created),
            "expires_at": moment(self.created + FILE_SECONDS),
            "urls": {"get": f"{address}/v1/files/{self.id}"},
        }


@dataclass
class Made:
    """A file that a prediction made."""

    prediction: Prediction
    content: bytes
    media_type: str


class Store:
    """All of them, in memory; predictions in the order of their creation."""

    def __init__(self) -> None:
        self.predictions: dict[str, Prediction] = {}
        self.uploads: dict[str, Upload] = {}
        self._made: dict[str, Made] = {}

    def keep(self, prediction: Prediction, name: str, content: bytes, media_type: str) -> str:
        """Keep a file that was made; returns its path at the emulator, which needs no key."""
        path = f"/delivery/{secrets.token_urlsafe(24)}/{name}"
        self._made[path] = Made(prediction, content, media_type)
        return path

    def made(self, path: str, now: float) -> Made | None:
        """The file at this path, while it is kept."""
        made = self._made.get(path)
        if made is None:
            return None
        done = made.prediction.completed
        return None if done is not None and now >= done + KEPT_SECONDS else made

    def upload(self, id: str, now: float) -> Upload | None:
        """An uploaded file, while it is kept."""
        found = self.uploads.get(id)
        return found if found and now < found.created + FILE_SECONDS else None

    def page(self, after: float, before: float, at: int) -> tuple[list[Prediction], bool]:
        """Newest first, those created after one moment and before another, from the place `at`
        on; and whether there are more."""
        within = [p for p in self.predictions.values() if after <= p.created < before]
        within.reverse()
        return within[at : at + PAGE], len(within) > at + PAGE
