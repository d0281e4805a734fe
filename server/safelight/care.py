"""A task in the orchestrator's care, and what a create is answered with."""

from __future__ import annotations

import asyncio

import msgspec

from safelight_protocol.identity import Difference
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Task

from .artifacts import new_id


class Answer(msgspec.Struct, frozen=True):
    """What a create came to: the task, its snapshot, and what the caller should know."""

    task: Task
    snapshot: Snapshot
    created: bool
    warnings: tuple[str | Difference, ...] = ()


class Live:
    """A task that has not ended, and the lock that serializes its moves."""

    __slots__ = ("lock", "preview_token", "task")

    task: Task

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.preview_token = new_id()
