"""The database and the remote's own log, as records. Reads with the standard library's
sqlite3, without the product's reader, and changes nothing."""

from __future__ import annotations

import sqlite3
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.doubles.remote import Remote

from .history import AnyRecord, Ran, StoredEvent, StoredKey, StoredLog, StoredTask

FAILED = ("fault", "lost", "never")
LIVE = "state IN ('queued', 'starting', 'running', 'canceling')"


def connect(directory: Path) -> sqlite3.Connection:
    """The database of a data directory, for reading only."""
    path = directory / "safelight.sqlite3"
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    database.row_factory = sqlite3.Row
    return database


def live_tasks(directory: Path) -> int:
    """How many tasks have not ended."""
    with closing(connect(directory)) as database:
        return int(database.execute(f"SELECT count(*) FROM tasks WHERE {LIVE}").fetchone()[0])


def newest(directory: Path) -> int:
    """The number of the newest task; later ones have greater numbers."""
    with closing(connect(directory)) as database:
        found = database.execute("SELECT coalesce(max(n), 0) FROM tasks").fetchone()[0]
    return int(found)


def last_change(directory: Path) -> int:
    """The number of the newest change of a task: where every gallery must come to."""
    with closing(connect(directory)) as database:
        found = database.execute("SELECT coalesce(max(changed), 0) FROM tasks").fetchone()[0]
    return int(found)


def collect(directory: Path, at: float, after: int = 0) -> Iterator[AnyRecord]:
    """Every task newer than `after` with its log; all keys of these; all logs."""
    now = time.time_ns() // 1_000_000
    with closing(connect(directory)) as database:
        for row in database.execute("SELECT run, id, position FROM logs"):
            yield StoredLog(at=at, run=row["run"], log=row["id"], position=row["position"])
        tasks = "SELECT * FROM tasks JOIN requests USING (n) WHERE n > ?"
        for row in database.execute(tasks, (after,)).fetchall():
            yield _task(database, row, directory, at, now)
        keys = "SELECT key, uid FROM keys JOIN tasks USING (uid) WHERE n > ?"
        for row in database.execute(keys, (after,)):
            yield StoredKey(at=at, key=row["key"], uid=row["uid"])


def _task(
    database: sqlite3.Connection, row: sqlite3.Row, directory: Path, at: float, now: int
) -> StoredTask:
    uid = (row["uid"],)
    events = database.execute("SELECT seq, run, body FROM events WHERE uid = ? ORDER BY seq", uid)
    made = database.execute("SELECT DISTINCT sha256 FROM artifacts WHERE uid = ?", uid)
    final = database.execute("SELECT body FROM snapshots WHERE uid = ?", uid).fetchone()
    names = (
        "uid owner id state attempt seq created_at changed not_before deadline asked resolved"
    ).split()
    plain: dict[str, Any] = {name: row[name] for name in names}
    for name in ("asked", "resolved"):
        plain[name] = _bytes(plain[name])
    return StoredTask(
        at=at,
        now=now,
        events=tuple(StoredEvent(e["seq"], e["run"], _bytes(e["body"])) for e in events),
        snapshot=None if final is None else _bytes(final["body"]),
        missing=tuple(m[0] for m in made if not _is_kept(directory, m[0])),
        **plain,
    )


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _is_kept(directory: Path, sha256: str) -> bool:
    return any((directory / "artifacts" / sha256[:2]).glob(f"{sha256[2:]}*"))


class RunLog:
    """Turns what the remote was asked into records, once each."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._taken = 0
        self._by_uid: dict[str, list[str]] = {}

    def note(self, at: float, *, billed: bool, upto: str | None = None) -> Iterator[AnyRecord]:
        """The runs since the last call. Before a new run of a task (`upto` is its uid) what
        its earlier runs have come to is noted, so that the order tells what was known."""
        for asked in self._remote.asked[self._taken :]:
            if asked.handle is not None:
                named = {"uid": asked.uid, "attempt": asked.attempt, "billed": billed}
                yield Ran(at=at, what="asked", **named)
                self._by_uid.setdefault(asked.uid, []).append(asked.handle)
        self._taken = len(self._remote.asked)
        for handle in self._by_uid.get(upto or "", ()):
            run = self._remote.runs[handle]
            if run.outcome is not None:
                word = "failed" if run.outcome["is"] in FAILED else run.outcome["is"]
                named = {"uid": run.uid, "attempt": run.attempt, "billed": billed}
                yield Ran(at=at, what="ended", outcome=word, **named)

    def told(self, at: float, *, billed: bool) -> Iterator[AnyRecord]:
        """What every run of the round told in all."""
        for handles in self._by_uid.values():
            for run in (self._remote.runs[handle] for handle in handles):
                files = (b64decode(step["made"][2]) for step in run.steps if "made" in step)
                yield Ran(
                    at=at,
                    uid=run.uid,
                    attempt=run.attempt,
                    what="told",
                    billed=billed,
                    outcome="" if run.outcome is None else run.outcome["is"],
                    text="".join(step.get("delta", "") for step in run.steps),
                    made=tuple(sha256(file).hexdigest() for file in files),
                )

    def forget(self) -> None:
        """The round is over: nothing of its runs is asked for any more."""
        self._by_uid.clear()
        self._remote.asked.clear()
        self._taken = 0
        for run in self._remote.runs.values():
            run.steps, run.script = [], None
