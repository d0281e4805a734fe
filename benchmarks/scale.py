"""A large database, made fast: ended tasks with whole logs, and live ones behind them.

    python -m benchmarks.scale FOLDER [--tasks N] [--live N]

The schema is that of the server's own migrations, every body comes from the lifecycle table
and our own encoders. Only the way in is another: plain inserts in one transaction without
syncing, since what is measured is how such a database is read. Nine tasks of ten belong to
the owner `local`, the others to a thousand more.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from safelight.store import open_store
from safelight.store.records import mutable
from safelight_protocol import lifecycle
from safelight_protocol.events import Artifact, Charge, encode_event, error_data
from safelight_protocol.inputs import (
    Claimed,
    Faulted,
    Finished,
    GaveUp,
    HandleSaved,
    Happening,
    Produced,
    Progressed,
    Waiting,
    Wrote,
)
from safelight_protocol.snapshot import Snapshot, fold, opening, result_of
from safelight_protocol.task import Asked, Resolved, Task

NAME = "scale-task-"
"""What stands for a task's number in the bodies until it is known."""

BLOCK = 2_000
"""Tasks of one make share their times; the next block is a little younger."""

SPAN_MS = 5 * 86_400_000
"""Over which the ends are spread, the oldest first; the newest is an hour old."""

CHARGED = Charge(verdict="charged", amount_micros=40_000, reason="one image")

PROMPT = "a medieval monk at dawn, copying a manuscript by the light of one candle, oil on wood"


class Life(msgspec.Struct, frozen=True):
    """One life as rows: the task at its end, its bodies, and what it made."""

    task: Task
    events: list[str]
    snapshot: str | None
    artifact: Artifact | None


def number(place: int) -> str:
    """The name of a task by its place: of a uuid's length, sorted as they are made."""
    return f"{NAME}{place:025d}"


def lives(now: int) -> list[Life]:
    """Ended lives of five events each: an image, a text, a failure."""
    handle, half = HandleSaved("prediction-" + "5" * 22), Progressed(0.5, 14, 28, "developing")
    image = [Claimed(now + 600_000), handle, half, Produced(_picture())]
    text = [Claimed(now + 600_000), handle, Wrote("Once " * 20), Wrote("upon a time " * 12)]
    error = error_data("provider_failed", "the model ran out of memory", retryable=True)
    broken = [Claimed(now + 600_000), handle, half, Progressed(0.75, 21, 28, "developing")]
    return [
        _life(_fresh("image", now), image, now),
        _life(_fresh("text", now), text, now),
        _life(_fresh("image", now), [*broken, GaveUp(error, CHARGED)], now, finish=False),
        _life(_fresh("image", now), image, now),
    ]


def waiting(now: int) -> Life:
    """A life that goes on, of five events: tried once, and in the queue again."""
    error = error_data("overloaded", "the provider asks for patience", retryable=True)
    so_far: list[Happening] = [
        Claimed(now + 600_000),
        Progressed(0.25, 7, 28, "developing"),
        Faulted(error, retry_at=now + 1_000),
        Waiting("scripted is busy (4 of 4 places)"),
    ]
    return _life(_fresh("image", now), so_far, now, finish=False)


def _fresh(kind: Any, now: int) -> Task:
    script = [{"do": "hang"}]
    return Task(
        uid=NAME,
        owner="local",
        id=NAME,
        asked=Asked(kind=kind, prompt=PROMPT, model=f"scripted/{kind}", params={"script": script}),
        resolved=Resolved(
            requested=f"scripted/{kind}",
            model=f"scripted/{kind}",
            provider="scripted",
            backend=None,
            params={"script": script, "width": 1024, "height": 1024},
            seed=4_242_424_242,
            n=1,
        ),
        created_at=now,
        updated_at=now,
    )


def _picture() -> Artifact:
    return Artifact(
        id=NAME,
        url=f"/api/artifacts/{NAME}",
        kind="image",
        media_type="image/png",
        width=1024,
        height=1024,
        bytes=1_234_567,
        sha256="ab" * 32,
        attempt=1,
    )


def _life(task: Task, happenings: list[Happening], now: int, *, finish: bool = True) -> Life:
    """Step through the table, a second apart, as the orchestrator does."""
    step = lifecycle.born(task, "scripted has a free place")
    assert step.event is not None
    snapshot, bodies = fold(opening(task), step.event), [encode_event(step.event).decode()]
    ends: list[Happening | None] = [*happenings, None] if finish else list(happenings)
    for place, happening in enumerate(ends, start=1):
        at = now + place * 1_000
        met = happening or Finished(result_of(snapshot, step.task, at), CHARGED)
        step = lifecycle.step(step.task, met, at)
        if step.event is not None:
            snapshot = fold(snapshot, step.event)
            bodies.append(encode_event(step.event).decode())
    made = next((one.artifact for one in happenings if isinstance(one, Produced)), None)
    return Life(step.task, bodies, _final(snapshot, step.task), made)


def _final(snapshot: Snapshot, task: Task) -> str | None:
    return msgspec.json.encode(snapshot).decode() if task.ended else None


class Shelf:
    """Lives with their places, as the rows of each table."""

    def __init__(self, lived: list[tuple[int, Life]], others: int) -> None:
        self._lived = lived
        self._others = others

    def tasks(self) -> Iterator[dict[str, Any]]:
        """One row each; its number and `changed` follow the place."""
        for place, life in self._lived:
            name = number(place)
            yield {
                **mutable(life.task),
                "n": place + 1,
                "uid": name,
                "owner": self._owner(place),
                "id": name,
                "fingerprint": hashlib.blake2b(name.encode(), digest_size=16).hexdigest(),
                "created_at": life.task.created_at,
                "changed": place + 1,
            }

    def _owner(self, place: int) -> str:
        return f"owner-{place // 10 % self._others:03d}" if place % 10 == 3 else "local"

    def requests(self) -> Iterator[tuple[int, str, str]]:
        """What was asked, and what it was taken to mean."""
        asked, resolved = "", ""
        known: Life | None = None
        for place, life in self._lived:
            if life is not known:
                known, task = life, life.task
                asked = msgspec.json.encode(task.asked).decode()
                resolved = msgspec.json.encode(task.resolved).decode()
            yield place + 1, asked, resolved

    def events(self) -> Iterator[tuple[str, int, int, str]]:
        """The logs, in the order of their key."""
        for place, life in self._lived:
            name = number(place)
            for seq, body in enumerate(life.events, start=1):
                yield name, seq, 1, body.replace(NAME, name)

    def snapshots(self) -> Iterator[tuple[str, str]]:
        """The last word on each ended task."""
        for place, life in self._lived:
            if life.snapshot is not None:
                name = number(place)
                yield name, life.snapshot.replace(NAME, name)

    def artifacts(self) -> Iterator[dict[str, Any]]:
        """One picture for each image; the hashes are spread as real ones are."""
        for place, life in self._lived:
            if life.artifact is not None:
                name = number(place)
                sha256 = hashlib.sha256(name.encode()).hexdigest()
                row = msgspec.structs.asdict(life.artifact) | {"id": name, "sha256": sha256}
                yield row | {"uid": name, "created_at": life.task.created_at}


def build(folder: Path, tasks: int = 1_000_000, live: int = 10_000, others: int = 1_000) -> Path:
    """Make the database in `folder`; returns its path. The live tasks are the youngest.

    `others` is the number of owners who have the tasks that are not `local`'s.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_migrated(folder))
    path = folder / "safelight.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous=OFF", "journal_mode=OFF", "cache_size=-1000000"):
        connection.execute(f"PRAGMA {pragma}")
    now = time.time_ns() // 1_000_000
    ended = tasks - live
    connection.execute("BEGIN")
    for start in range(0, ended, BLOCK):
        at = now - 3_600_000 - SPAN_MS * (ended - start) // max(ended, 1)
        kinds = lives(at)
        places = range(start, min(start + BLOCK, ended))
        _put(connection, Shelf([(place, kinds[place % len(kinds)]) for place in places], others))
    one = waiting(now - 600_000)
    _put(connection, Shelf([(place, one) for place in range(ended, tasks)], others))
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return path


def _put(connection: sqlite3.Connection, shelf: Shelf) -> None:
    columns = ("n", "uid", "owner", "id", "fingerprint", "created_at", "changed")
    names = (*columns, *mutable(_fresh("image", 0)))
    made = (*Artifact.__struct_fields__, "uid", "created_at")
    kept = [name for name in made if not name.endswith("url")]
    _insert(connection, "tasks", names, shelf.tasks())
    connection.executemany("INSERT INTO requests VALUES (?, ?, ?)", shelf.requests())
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", shelf.events())
    connection.executemany("INSERT INTO snapshots VALUES (?, ?)", shelf.snapshots())
    _insert(connection, "artifacts", kept, shelf.artifacts())


def _insert(connection: sqlite3.Connection, table: str, names: Any, rows: Any) -> None:
    places = ", ".join(f":{name}" for name in names)
    connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", rows)


async def _migrated(folder: Path) -> None:
    """The server's own schema, and the log of run 1, in which all this was written."""
    async with open_store(folder, 1):
        pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--live", type=int, default=10_000)
    given = parser.parse_args()
    began = time.perf_counter()
    made = build(given.folder, given.tasks, given.live)
    print(f"{made}: {made.stat().st_size / 1e9:.2f} GB in {time.perf_counter() - began:.1f} s")
