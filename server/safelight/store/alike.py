"""Which live tasks a request may be: the answer of the database, kept at hand.

An index of fingerprints takes a page of the log for each new task, since they are
scattered; so only completed tasks are in one (`statements.COMPLETED`), and the live ones,
who are few, are here. This is no second truth: it is read from the database inside a
transaction, follows what the one writer writes, and is dropped whenever a transaction does
not end well. Whoever drops it once too often costs a question, never a wrong answer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from safelight_protocol.task import Task


class Alike:
    """Belongs to the writer. Unless `known` it answers nothing, and takes nothing in. One
    uid stands for itself, several are the keys of a dict: most tasks are like no other."""

    def __init__(self) -> None:
        self.known = False
        self._like: dict[str, tuple[str, str]] = {}
        self._uids: dict[tuple[str, str], str | dict[str, None]] = {}

    def forget(self) -> None:
        """What the last transaction came to is not sure: the next one asks."""
        self.known = False
        self._like, self._uids = {}, {}

    def learn(self, rows: Iterable[sqlite3.Row]) -> None:
        """The rows of `statements.MEETABLE_TASKS`, in the order of their creation."""
        self.forget()
        self.known = True
        for owner, fingerprint, uid in rows:
            self.born(owner, fingerprint, uid)

    def born(self, owner: str, fingerprint: str, uid: str) -> None:
        """A new task, newer than all others."""
        if self.known:
            like = self._like[uid] = (owner, fingerprint)
            others = self._uids.setdefault(like, uid)
            if isinstance(others, dict):
                others[uid] = None
            elif others != uid:
                self._uids[like] = {others: None, uid: None}

    def moved(self, task: Task) -> None:
        """A task is in another state. None comes back to one in which it may be met."""
        if not self.known:
            return
        if task.meetable:
            if task.uid not in self._like:
                self.forget()  # where in the order it stands only the database knows
            return
        like = self._like.pop(task.uid, None)
        if like is not None:
            others = self._uids[like]
            if isinstance(others, dict):
                del others[task.uid]
            if not others or isinstance(others, str):
                del self._uids[like]

    def oldest(self, owner: str, fingerprint: str) -> str | None:
        """The uid of the first task that may be met; None if there is none."""
        uids = self._uids.get((owner, fingerprint))
        return next(iter(uids)) if isinstance(uids, dict) else uids
