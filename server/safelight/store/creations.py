"""The creations of one batch: what each meets, what it comes to, and the rows it brings.

Whatever is asked of the database is asked for all creations of an owner at once, and only
if one of them needs to know; most need to know nothing. A creation also meets what earlier
ones of the same batch have made. Decides nothing itself: a creation brings its own `decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.identity import Found
from safelight_protocol.task import Task

from . import ledger
from . import statements as sql
from .alike import Alike
from .entries import Entry
from .records import Birth, Created, Creation, is_newborn, mutable_row, task_of
from .visit import Visits

QUESTIONS = {"id": sql.BY_IDS, "key": sql.BY_KEYS, "completed": sql.COMPLETED}
"""What is asked, by the name of what was found."""

Where = tuple[str, str, str | None]
"""The name of a question, the owner, and what was asked about."""

NOTHING = Found()

_encode = msgspec.json.Encoder().encode


class Creations:
    """Decides them in their order and gathers the rows of those that are new."""

    def __init__(
        self, visits: Visits, run: int, next_change: Callable[[], int], alike: Alike
    ) -> None:
        self._visits = visits
        self._run = run
        self._next_change = next_change
        self._alike = alike
        self._stored: dict[Where, Any] = {}
        self._gone: set[tuple[str, str | None]] = set()
        self._born: dict[Where, Task] = {}
        self._newborn: list[Sequence[Any]] = []
        self._tasks: list[Sequence[Any]] = []
        self._requests: list[Sequence[Any]] = []
        self._events: list[Sequence[Any]] = []
        self._keys: list[Sequence[Any]] = []
        self._entries: list[Entry] = []

    async def write(self, creations: Sequence[Creation]) -> list[Created | Refused]:
        """What each came to. The rows are written with what is asked next."""
        await self._look_up(creations)
        outcomes: list[Created | Refused] = []
        for creation in creations:
            try:
                outcomes.append(self._decide(creation))
            except Refused as refused:
                outcomes.append(refused)
        for head, rows in (
            (sql.INSERT_NEWBORN, self._newborn),
            (sql.INSERT_TASKS, self._tasks),
            (sql.INSERT_REQUESTS, self._requests),
            (sql.INSERT_EVENTS, self._events),
            (sql.INSERT_KEYS, self._keys),
        ):
            self._visits.insert(head, rows)
        ledger.write(self._visits, self._entries)
        return outcomes

    async def _look_up(self, creations: Sequence[Creation]) -> None:
        await self._know_alike(creations)
        uids = await self._ask(creations)
        for one in creations:
            if one.reuse != "never":
                uid = self._alike.oldest(one.owner, one.fingerprint)
                if uid is not None:
                    uids["inflight", one.owner, one.fingerprint] = uid
        if uids:
            named = _encode(sorted(set(uids.values()))).decode()
            (rows,) = await self._visits.ask((sql.BY_UID, (named,)))
            tasks = {row["uid"]: task_of(row) for row in rows}
            self._stored = {where: tasks.get(uid) for where, uid in uids.items()}

    async def _know_alike(self, creations: Sequence[Creation]) -> None:
        """Asked inside the transaction, behind all that this batch has changed so far."""
        if not self._alike.known and any(one.reuse != "never" for one in creations):
            (rows,) = await self._visits.ask((sql.MEETABLE_TASKS, ()))
            self._alike.learn(rows)

    async def _ask(self, creations: Sequence[Creation]) -> dict[Where, str]:
        """The uids that the database has for ids, keys, and what has completed."""
        asked = _questions(creations)
        answers = await self._visits.ask(
            *(
                (QUESTIONS[name], (_encode(values).decode(), owner))
                for (name, owner), values in asked.items()
            )
        )
        uids: dict[Where, str] = {}
        for (name, owner), rows in zip(asked, answers, strict=True):
            for row in rows:
                if row[1] is not None:
                    uids[name, owner, row[0]] = row[1]
                if name == "id" and row[2]:
                    self._gone.add((owner, row[0]))
        return uids

    def _decide(self, creation: Creation) -> Created:
        found = self._found(creation)
        task = None if found is NOTHING else creation.decide(found)
        fresh = task is None
        if task is None:
            birth = creation.bear()
            task = birth.task
            self._bear(birth)
        if creation.key is not None:
            self._born.setdefault(("key", creation.owner, creation.key), task)
            self._keys.append((creation.owner, creation.key, task.uid))
        return Created(task, fresh)

    def _found(self, creation: Creation) -> Found:
        """What is stored, and what earlier creations of this very batch have made."""
        owner, id, key = creation.owner, creation.id, creation.key
        alike = None
        if creation.reuse != "never":
            where = ("inflight", owner, creation.fingerprint)
            alike = self._stored.get(where) or self._born.get(where)
            if alike is None and creation.reuse == "completed":
                alike = self._stored.get(("completed", owner, creation.fingerprint))
        if id is None and key is None:
            return NOTHING if alike is None else Found(alike=alike)
        by_key = self._named("key", owner, key)
        return Found(
            by_id=self._named("id", owner, id),
            by_key=by_key,
            alike=alike,
            id_gone=(owner, id) in self._gone,
            key_gone=by_key is None and ("key", owner, key) in self._stored,
        )

    def _named(self, name: str, owner: str, value: str | None) -> Task | None:
        if value is None:
            return None
        where = (name, owner, value)
        return self._stored.get(where) or self._born.get(where)

    def _bear(self, birth: Birth) -> None:
        task = birth.task
        uid, owner, id, fingerprint = task.uid, task.owner, task.id, birth.fingerprint
        self._born["id", owner, id] = task
        self._born.setdefault(("inflight", owner, fingerprint), task)
        self._alike.born(owner, fingerprint, uid)
        n = self._next_change()
        named = (n, uid, owner, id, fingerprint, task.created_at, n)
        if is_newborn(task):
            self._newborn.append((*named, task.updated_at))
        else:
            self._tasks.append((*named, *mutable_row(task)))
        asked, resolved = _encode(task.asked).decode(), _encode(task.resolved).decode()
        self._requests.append((n, asked, resolved))
        self._events.append((uid, task.seq, self._run, birth.event.decode()))
        self._entries += birth.entries


def _questions(creations: Sequence[Creation]) -> dict[tuple[str, str], list[str]]:
    """What has to be asked about, by the name of the question and the owner."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for one in creations:
        if one.id is not None:
            wanted.setdefault(("id", one.owner), []).append(one.id)
        if one.key is not None:
            wanted.setdefault(("key", one.owner), []).append(one.key)
        if one.reuse == "completed":
            wanted.setdefault(("completed", one.owner), []).append(one.fingerprint)
    return wanted
