"""What happened in a campaign, as plain records in the order in which it was noticed.

Written down below any SDK: the bytes that a witness got and sent, what a creator asked
and was answered, what the remote was asked to run, what was done to the server, and at
last what its database holds. Nothing here judges; a file of these records can be given
to the checker again, long after the processes are gone.

The file is a row of MessagePack records, each after its length (u32, big-endian).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

Door = Literal["v2", "v1", "longpoll", "sse", "poll", "gallery"]


class Record(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`at` is seconds since the campaign began."""

    at: float


class Opened(Record, frozen=True, kw_only=True):
    """A witness has connected. SSE and polls name their task and cursor here; on a
    socket both stand in what is said."""

    witness: str
    connection: int
    door: Door
    task: str | None = None
    after: str | None = None


class Said(Record, frozen=True, kw_only=True):
    """A witness is about to send this frame."""

    connection: int
    data: bytes


class Heard(Record, frozen=True, kw_only=True):
    """One frame, one record of an event stream, or one answer to a poll."""

    connection: int
    data: bytes


class Closed(Record, frozen=True, kw_only=True):
    """The connection is over: by the witness's own will, or not."""

    connection: int
    own_will: bool


class GaveUp(Record, frozen=True, kw_only=True):
    """The witness follows this task no longer, and did not promise to see its end."""

    witness: str
    task: str


class Asked(Record, frozen=True, kw_only=True):
    """A request to create is about to be sent; `body` is a hash of what it asks for."""

    number: int
    door: str
    id: str | None
    key: str | None
    body: str


class Answered(Record, frozen=True, kw_only=True):
    """What was heard of it. `unknown`: the connection went before an answer came."""

    number: int
    verdict: Literal["ok", "refused", "unknown"]
    task: str | None = None
    created: bool = False
    code: str = ""
    snapshot: bytes = b""


class Ran(Record, frozen=True, kw_only=True):
    """The remote's own log of one run: it was asked for, it ended, what it told in all.

    `billed` runs cost money by being asked for. `made` are the hashes of its files.
    """

    uid: str
    attempt: int
    what: Literal["asked", "ended", "told"]
    billed: bool
    outcome: str = ""
    text: str = ""
    made: tuple[str, ...] = ()


class Struck(Record, frozen=True, kw_only=True):
    """What the nemesis did: kill, drain, freeze, cut, reset, drip, halve, start. And what
    nobody did: `died`, the server ended by itself; `said`, it logged an error."""

    what: str
    detail: str = ""


class StoredEvent(msgspec.Struct, frozen=True):
    """A row of the database's log."""

    seq: int
    run: int
    body: bytes


class StoredTask(Record, frozen=True, kw_only=True):
    """A task as the database has it in the end. `missing` are hashes of artifacts whose
    bytes are not on the disk; `now` is the server's clock, for what still waits."""

    uid: str
    id: str
    state: str
    attempt: int
    seq: int
    created_at: int
    asked: bytes
    resolved: bytes
    now: int
    owner: str = "local"
    changed: int = 0
    not_before: int | None = None
    deadline: int | None = None
    snapshot: bytes | None = None
    events: tuple[StoredEvent, ...] = ()
    missing: tuple[str, ...] = ()


class StoredKey(Record, frozen=True, kw_only=True):
    """A key of the database and the task it is bound to."""

    key: str
    uid: str


class StoredLog(Record, frozen=True, kw_only=True):
    """A start of the server, by the log it opened. `position` is the last change before."""

    run: int
    log: str
    position: int = 0


AnyRecord = (
    Opened
    | Said
    | Heard
    | Closed
    | GaveUp
    | Asked
    | Answered
    | Ran
    | Struck
    | StoredTask
    | StoredKey
    | StoredLog
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyRecord).decode


class Recorder:
    """Keeps the records of one round and writes each to a file at once.

    Used from one event loop; `numbers` gives out connection and request numbers.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.records: list[AnyRecord] = []
        self._clock = clock
        self._began = clock()
        self._file = path.open("wb")
        self._number = 0

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return round(self._clock() - self._began, 4)

    def number(self) -> int:
        """A number that was not given out before."""
        self._number += 1
        return self._number

    def write(self, record: AnyRecord) -> None:
        """Keep a record."""
        self.records.append(record)
        data = _encode(record)
        self._file.write(len(data).to_bytes(4, "big") + data)

    def close(self) -> None:
        """Everything is in the file."""
        self._file.close()


def load(path: Path) -> Iterator[AnyRecord]:
    """The records of a file, in order."""
    data = memoryview(path.read_bytes())
    place = 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        yield _decode(data[place + 4 : place + 4 + size])
        place += 4 + size
