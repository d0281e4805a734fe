"""What the orchestrator hands to the store, without one: creations, changes, removals.

`create` and `Writing.move` do what it does with a task (step, commit, remember), and nothing
else: no lock, no log, no effects. Unrealistic: a test may step from a task that is stale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from safelight.store import ArtifactRow, Birth, Change, Created, Creation, Store
from safelight_protocol import lifecycle
from safelight_protocol.events import TaskEvent, encode_event
from safelight_protocol.identity import (
    Comparison,
    Found,
    Reuse,
    compare,
    decide,
    fingerprint,
)
from safelight_protocol.inputs import Happening, Produced
from safelight_protocol.lifecycle import Step
from safelight_protocol.snapshot import Snapshot, fold, opening
from safelight_protocol.task import Task
from tests.doubles.lives import NOW, fresh


def creation(
    task: Task | None = None,
    *,
    id: str | None = None,
    key: str | None = None,
    reuse: Reuse = "never",
    topic_id: str | None = None,
    bear: Callable[[], Birth] | None = None,
) -> Creation:
    """A request for that task, decided by the real table; without `id` it has the task's uid."""
    made = msgspec.structs.replace(task or fresh(), id=id or (task or fresh()).uid)

    def choose(found: Found) -> Task | None:
        against: dict[str, Comparison] = {
            one.uid: compare(made.asked, made.resolved, one)
            for one in (found.by_id, found.by_key, found.alike)
            if one is not None
        }
        return decide(found, against, wants_id=id, topic_id=topic_id)

    return Creation(
        owner=made.owner,
        id=id,
        key=key,
        fingerprint=fingerprint(made.asked, made.resolved),
        reuse=reuse,
        decide=choose,
        bear=bear or (lambda: birth(made)),
    )


def birth(task: Task) -> Birth:
    """A new task with its first event, as `creation` makes it."""
    step = lifecycle.born(task, "local has a free place")
    assert step.event is not None
    likeness = fingerprint(task.asked, task.resolved)
    return Birth(task=step.task, fingerprint=likeness, event=encode_event(step.event))


async def living(store: Store) -> list[Task]:
    """Every task that has not ended, oldest first."""
    rows = await store.read.live()
    tasks = await store.read.tasks([row.uid for row in rows])
    return [tasks[row.uid] for row in rows]


async def create(store: Store, task: Task | None = None, **options: Any) -> Task:
    """The task that a creation came to."""
    created: Created = await store.put(creation(task, **options))
    return created.task


def change(task: Task, step: Step, happening: Happening | None = None) -> Change:
    """One move, with its event, its artifact, and the final snapshot at the end."""
    event = None if step.event is None else encode_event(step.event)
    ended = step.task.ended and step.event is not None
    return Change(
        before=task,
        after=step.task,
        event=event,
        artifact=artifact_row(step.task, happening),
        snapshot=msgspec.json.encode(last(step)) if ended else None,
    )


def last(step: Step) -> Snapshot:
    """A final snapshot; only its last event is folded, which is enough to know it by."""
    assert step.event is not None
    return fold(opening(step.task), step.event)


def artifact_row(task: Task, happening: Happening | None) -> ArtifactRow | None:
    """The row of what an input brought, made at NOW."""
    if not isinstance(happening, Produced):
        return None
    made = msgspec.structs.asdict(happening.artifact)
    del made["url"], made["thumbnail_url"]
    return ArtifactRow(uid=task.uid, created_at=NOW, **made)


class Writing:
    """One task in a store, moved by inputs a millisecond apart."""

    def __init__(self, store: Store, task: Task) -> None:
        self.store = store
        self.task = task
        self.now = NOW

    async def move(self, *happenings: Happening) -> list[TaskEvent]:
        """Commit these inputs one after another; returns the events that were written."""
        told: list[TaskEvent] = []
        for happening in happenings:
            self.now += 1
            step = lifecycle.step(self.task, happening, self.now)
            self.task = await self.store.put(change(self.task, step, happening))
            told += [step.event] if step.event is not None else []
        return told


async def written(store: Store, uid: str = "u1", *happenings: Happening, **options: Any) -> Writing:
    """A task in the store, moved so far."""
    task = options.pop("task", None) or fresh(uid)
    writing = Writing(store, await create(store, task, **options))
    await writing.move(*happenings)
    return writing
