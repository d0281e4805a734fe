"""A task as its owner, the orchestrator, holds it.

`Asked` is what the creator sent, `Resolved` what it was taken to mean (both never
change), and the rest is the one mutable state that `lifecycle.step` moves. Times
are milliseconds since 1970. Nothing here decides anything. There may be very many, and
nothing in them refers back: Python need not look through them for cycles (`gc=False`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from .events import Charge, Kind, Status
from .prices import Price, Terms


class State(StrEnum):
    """The seven states. Waiting for a retry is `queued` with `not_before`."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    CANCELING = "canceling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


ACTIVE_STATES = frozenset({State.QUEUED, State.STARTING, State.RUNNING, State.CANCELING})
ENDED_STATES = frozenset({State.COMPLETED, State.FAILED, State.CANCELED})

MEETABLE_STATES = ACTIVE_STATES - {State.CANCELING}

STATUS: dict[State, Status] = {
    State.QUEUED: "queued",
    State.STARTING: "processing",
    State.RUNNING: "processing",
    State.CANCELING: "processing",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELED: "canceled",
}
"""The word each state has on the wire."""


class Input(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something the prediction starts from: an artifact of ours, by id or by task, or an
    upload. The same bytes of one owner are one upload, so its id is as good as their hash."""

    artifact: str | None = None
    task: str | None = None
    upload: str | None = None

    @property
    def named(self) -> tuple[str, str]:
        """By which of the three, and the id."""
        if self.artifact is not None:
            return "artifact", self.artifact
        return ("task", self.task) if self.task is not None else ("upload", self.upload or "")


NoticeType = Literal["started", "artifact", "retrying", "completed", "failed", "canceled"]

ENDS: tuple[NoticeType, ...] = ("completed", "failed", "canceled")


class Hook(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a task tells what becomes of it. `events` are types of events, its ends unless
    more are asked for."""

    url: str
    events: tuple[NoticeType, ...] = ENDS


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request as it was sent; None means that the caller left the field open.

    `app` tells the deployed app's form of body, whose defaults differ.
    """

    kind: Kind
    prompt: str
    model: str | None = None
    backend: str | None = None
    params: dict[str, Any] = {}
    seed: int | None = None
    inputs: tuple[Input, ...] = ()
    n: int | None = None
    app: bool = False


class Resolved(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What will run. `requested` is the model after aliases and before substitution.
    `own_seed` (and true) says that what was sent has seeds of its own: `seed`, then 0, is
    used nowhere.

    Of what may be billed, `price` as it was when the task was made, and the `terms` that its
    owner agreed to. `webhook` is what the create asked for; like these two it does not make
    another request of it."""

    requested: str
    model: str
    provider: str
    backend: str | None
    params: dict[str, Any]
    seed: int
    n: int
    substituted_for: str | None = None
    own_seed: bool | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    terms: Terms | UnsetType = UNSET
    webhook: Hook | UnsetType = UNSET


class Task(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One task. `(owner, id)` names it outside, `uid` inside.

    `attempt` is 1 before the first claim and counts predictions; reports of an
    earlier one are dropped. `faults` counts the attempts that failed. `claim` fences
    writes: who holds an older one is refused by the store. `seq` is the number of the
    last event. `seed` is one drawn anew, in decimal, since the resolved one was refused.
    `spent` is what the attempts came to that have ended, None if nothing is on a bill.
    `place` is the address of the backend that the attempt was claimed for: it runs there, or
    nowhere, whatever the settings say later. `via` is what runs instead of what was resolved:
    the same model at another host, declared its equal, since a fault was verified.
    """

    uid: str
    owner: str
    id: str
    asked: Asked
    resolved: Resolved
    created_at: int
    updated_at: int
    state: State = State.QUEUED
    attempt: int = 1
    faults: int = 0
    claim: int = 0
    seq: int = 0
    progress: float = 0.0
    handle: str | None = None
    handle_told: bool = False
    canceling: bool = False
    not_before: int | None = None
    deadline: int | None = None
    claimed_at: int | None = None
    ended_at: int | None = None
    seed: str | None = None
    spent: Charge | None = None
    place: str | None = None
    via: Resolved | None = None

    @property
    def ran(self) -> Resolved:
        """What the attempt that is next, or under way, or was the last, really runs."""
        return self.resolved if self.via is None else self.via

    @property
    def seed_used(self) -> int:
        """The seed of the attempt that is next, or under way, or was the last."""
        return self.resolved.seed if self.seed is None else int(self.seed)

    @property
    def ended(self) -> bool:
        """Whether the task has its terminal event."""
        return self.state in ENDED_STATES

    @property
    def meetable(self) -> bool:
        """Whether it runs, and a request alike may attach to it."""
        return self.state in MEETABLE_STATES

    @property
    def status(self) -> Status:
        """The wire word of the state."""
        return STATUS[self.state]
