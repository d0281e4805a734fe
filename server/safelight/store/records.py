"""What goes into the store and comes out of it, as types; and the rows between.

No SQL and no connection here: `statements.py` has the one, `writer.py` and
`reader.py` the other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import Charge
from safelight_protocol.identity import Found, Reuse
from safelight_protocol.task import Asked, Resolved, State, Task

from .deliveries import DeliveryItem, DeliveryRow
from .entries import Entry
from .ledger import Correction
from .ledger_sums import Deferral
from .preferences import Preference


class StoreTrouble(Refused):
    """The database cannot be written or read now: `storage_full` or `unavailable`.

    Nothing of the refused write is on disk unless `unknown` is set: then a commit
    was begun and its end was not learnt. `closed` says that it will not pass.
    """

    def __init__(
        self, message: str, *, full: bool = False, unknown: bool = False, closed: bool = False
    ) -> None:
        super().__init__("storage_full" if full else "unavailable", message)
        self.unknown = unknown
        self.closed = closed


class Fenced(Exception):
    """The task has moved since it was read: this writer is not its owner any more."""


class ArtifactRow(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact of a task; `id` is the random capability in its URL.

    `source` is what its provider knows it by, where it was fetched; `thumbnail` the hash of
    its small picture, which may be its own; `expired_at` is when its bytes went.
    """

    id: str
    uid: str
    sha256: str
    kind: str
    media_type: str
    width: int | None
    height: int | None
    bytes: int
    attempt: int
    created_at: int
    owner: str = ""
    source: str | None = None
    thumbnail: str | None = None
    expired_at: int | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One move of one task. It is written only if `before` is still what is stored."""

    before: Task
    after: Task
    event: bytes | None = None
    artifact: ArtifactRow | None = None
    snapshot: bytes | None = None
    entries: tuple[Entry, ...] = ()
    notice: DeliveryRow | None = None


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """A new task with its first event, and what is held for it."""

    task: Task
    fingerprint: str
    event: bytes
    entries: tuple[Entry, ...] = ()


class Creation(msgspec.Struct, frozen=True, kw_only=True):
    """A request to create or attach, decided inside the writer's transaction.

    `decide` gets what was found, if anything was, and returns the task to attach to or
    None; it may raise Refused. `bear` makes the new task. Neither may wait.
    """

    owner: str
    id: str | None
    key: str | None
    fingerprint: str
    reuse: Reuse
    decide: Callable[[Found], Task | None]
    bear: Callable[[], Birth]


class Created(msgspec.Struct, frozen=True):
    """What a creation came to."""

    task: Task
    fresh: bool


class Removal(msgspec.Struct, frozen=True):
    """Delete an ended task, leaving a tombstone of its id; its keys stay taken."""

    task: Task


class Sweep(msgspec.Struct, frozen=True):
    """A step of retention over the logs of tasks that ended at `before` or earlier: at
    most `events` rows of at most `tasks` tasks go, never a task's last event."""

    before: int
    tasks: int
    events: int


class Swept(msgspec.Struct, frozen=True):
    """What a step came to: the tasks it looked at, how many of their logs are done with
    (nothing is left that may go), and the rows that went."""

    uids: tuple[str, ...]
    logs: int
    events: int


class Clearing(msgspec.Struct, frozen=True):
    """A step of retention over the logs of tasks that were removed: at most `events` rows
    of at most `tasks` of them go. Its outcome is a Swept too."""

    tasks: int
    events: int


class Tried(msgspec.Struct, frozen=True):
    """A file could not be fetched, for so many times now; `error` is what went wrong."""

    uid: str
    attempt: int
    key: str
    tries: int
    error: str
    at: int


class Drawn(msgspec.Struct, frozen=True):
    """The artifacts of these bytes have a thumbnail now, by its hash. Comes to whether there
    is one that may name it."""

    sha256: str
    thumbnail: str


class UploadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A file that an owner sent; `id` is the random capability in its URL."""

    id: str
    owner: str
    sha256: str
    media_type: str
    width: int | None
    height: int | None
    bytes: int
    created_at: int


class Upload(msgspec.Struct, frozen=True):
    """Take a file in, if the owner's come to no more than `quota` bytes with it. Comes to the
    row, which is the older one if the owner has sent the same bytes before."""

    row: UploadRow
    quota: int


class Withdrawal(msgspec.Struct, frozen=True):
    """Delete an upload. Comes to what nothing names any more, or None if it is not there."""

    owner: str
    id: str


class Expiring(msgspec.Struct, frozen=True):
    """Let go of the bytes of artifacts, or of uploads, that were made by `before`: `limit` of
    them at most. Comes to what nothing names any more."""

    before: int
    limit: int
    now: int
    uploads: bool


class Unused(msgspec.Struct, frozen=True):
    """Bytes that nothing names any more."""

    sha256: str
    media_type: str


FileItem = Tried | Drawn | Upload | Withdrawal | Expiring

Item = (
    Change
    | Creation
    | Removal
    | Sweep
    | Clearing
    | Preference
    | Correction
    | Deferral
    | FileItem
    | DeliveryItem
)
"""What the writer takes."""

MUTABLE = (
    "state",
    "attempt",
    "faults",
    "claim",
    "seq",
    "progress",
    "handle",
    "handle_told",
    "canceling",
    "not_before",
    "deadline",
    "claimed_at",
    "updated_at",
    "ended_at",
    "seed",
    "spent",
    "place",
    "via",
)
"""The columns that a change writes, named as the fields of Task."""

STRIDE = ("seq", "progress", "updated_at")
"""Those that a change writes which only brings the task forward, as most do. No index is on
them, and to write a column that is in one costs the index also where nothing changes."""

_asked = msgspec.json.Decoder(Asked)
_resolved = msgspec.json.Decoder(Resolved)
_spent = msgspec.json.Decoder(Charge)


_mutable_fields = attrgetter(*MUTABLE)
_enum_place, *_flag_places = map(MUTABLE.index, ("state", "handle_told", "canceling"))
_spent_place, _via_place = map(MUTABLE.index, ("spent", "via"))


def mutable_row(task: Task) -> list[Any]:
    """The mutable columns of a task, in the order of MUTABLE."""
    values = list(_mutable_fields(task))
    values[_enum_place] = values[_enum_place]._value_
    for place in _flag_places:
        values[place] = int(values[place])
    if task.spent is not None:
        values[_spent_place] = msgspec.json.encode(task.spent).decode()
    if task.via is not None:
        values[_via_place] = msgspec.json.encode(task.via).decode()
    return values


def mutable(task: Task) -> dict[str, Any]:
    """The same by their names."""
    return dict(zip(MUTABLE, mutable_row(task), strict=True))


_BORN = {"state": State.QUEUED, "attempt": 1, "faults": 0, "claim": 0, "seq": 1, "progress": 0.0}
_BORN |= {"handle_told": False, "canceling": False}
NEWBORN = {name: _BORN.get(name) for name in MUTABLE if name != "updated_at"}
"""What nearly every task has in these columns when it is born: they need not be bound, which
costs most where there is nothing (sqlite3 looks for an adapter of every None)."""

_newborn_fields = attrgetter(*NEWBORN)
_newborn_values = tuple(NEWBORN.values())


def is_newborn(task: Task) -> bool:
    """Whether NEWBORN says all that can change of a task but when it did."""
    return bool(_newborn_fields(task) == _newborn_values)


stride_row: Callable[[Task], tuple[Any, ...]] = attrgetter(*STRIDE)
"""The columns of STRIDE, in their order."""

_beside_stride = attrgetter(*(name for name in MUTABLE if name not in STRIDE))


def is_stride(change: Change) -> bool:
    """Whether a change leaves all but STRIDE as it is."""
    return bool(_beside_stride(change.before) == _beside_stride(change.after))


def task_of(row: sqlite3.Row) -> Task:
    """A task from a row of `tasks` joined with `requests`."""
    values = {name: row[name] for name in MUTABLE}
    values["state"] = State(values["state"])
    values["handle_told"] = bool(values["handle_told"])
    values["canceling"] = bool(values["canceling"])
    if values["spent"] is not None:
        values["spent"] = _spent.decode(values["spent"])
    if values["via"] is not None:
        values["via"] = _resolved.decode(values["via"])
    return Task(
        uid=row["uid"],
        owner=row["owner"],
        id=row["id"],
        created_at=row["created_at"],
        asked=_asked.decode(row["asked"]),
        resolved=_resolved.decode(row["resolved"]),
        **values,
    )


def artifact_of(row: sqlite3.Row) -> ArtifactRow:
    """An artifact from its row."""
    return ArtifactRow(**{name: row[name] for name in ArtifactRow.__struct_fields__})
