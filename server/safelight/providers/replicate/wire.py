"""What Replicate says, read as far as we need it and no further.

A field that is missing, or not what it is said to be, is as good as absent: an answer is
never refused for what it has beside. A status that we do not know is data. Holds no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..http import json_of

RUNNING = frozenset({"starting", "processing"})
ENDED = frozenset({"succeeded", "failed", "canceled", "aborted"})
"""After these nothing changes any more."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction as it is told: whole, by every answer and every webhook. Times are text of
    ISO 8601; `started` is false as long as it waits for its turn. `live` is the address of a
    stream of its text, if it has one."""

    id: str
    status: str
    input: Mapping[str, Any]
    output: Any
    error: Any
    logs: str
    metrics: Mapping[str, Any]
    model: str
    version: str
    created_at: str
    started: bool
    removed: bool
    webhook: str

    @property
    def ended(self) -> bool:
        """Whether its status is a last one."""
        return self.status in ENDED


class Page(msgspec.Struct, frozen=True):
    """A page of the list of predictions, newest first, and where the next one is."""

    predictions: tuple[Snapshot, ...]
    next: str | None


def snapshot_in(said: Any) -> Snapshot | None:
    """A prediction out of JSON; None if it is none."""
    if not isinstance(said, dict):
        return None
    id, status = said.get("id"), said.get("status")
    if not isinstance(id, str) or not id or not isinstance(status, str):
        return None
    return Snapshot(
        id=id,
        status=status,
        input=_mapping(said.get("input")),
        output=said.get("output"),
        error=said.get("error"),
        logs=_text(said.get("logs")),
        metrics=_mapping(said.get("metrics")),
        model=_text(said.get("model")),
        version=_text(said.get("version")),
        created_at=_text(said.get("created_at")),
        started=bool(said.get("started_at")) or status == "processing",
        removed=said.get("data_removed") is True,
        webhook=_text(said.get("webhook")),
    )


def read_snapshot(body: bytes) -> Snapshot | None:
    """The same out of bytes."""
    return snapshot_in(json_of(body))


def read_page(body: bytes) -> Page | None:
    """A page out of bytes; what is no prediction in it is left out. None if it is none."""
    said = json_of(body)
    if not isinstance(said, dict) or not isinstance(said.get("results"), list):
        return None
    found = [snapshot_in(one) for one in said["results"]]
    next = said.get("next")
    return Page(
        tuple(one for one in found if one is not None), next if isinstance(next, str) else None
    )


def _text(said: Any) -> str:
    return said if isinstance(said, str) else ""


def _mapping(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {}
