"""What a simulated world must never do, and the books that show whether it did.

Everybody writes here what they saw or did: clients what they were answered and told,
the providers' side what was begun. Breaches are collected, not raised, since whoever
noticed may run inside the server. Knows no schedule: every rule holds under all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from safelight_protocol.events import TERMINAL

EVENT = "SELECT body FROM events e JOIN tasks t USING (uid) WHERE t.id = ? AND e.seq = ?"
GONE = "SELECT 1 FROM tombstones WHERE id = ?"
TASKS = "SELECT uid, id, state, seq FROM tasks"
EVENTS = "SELECT seq, body FROM events WHERE uid = ? ORDER BY seq"
SNAPSHOT = "SELECT body FROM snapshots WHERE uid = ?"
KEYS = "SELECT key, uid FROM keys"

EPOCH_SECONDS = 1_700_000_000
"""What the wall clock shows when a world begins."""

PROMPT_SECONDS = 10.0
"""A few commits on a disk that has to catch up may lie before one event."""

MOST_BREACHES = 20
"""What comes after so many says nothing new."""

Ask = Callable[..., list[Any]]


class Head(msgspec.Struct):
    """What of an event the rules are about."""

    seq: int
    type: str
    status: str
    task_id: str
    timestamp: str
    from_seq: int | None = None


class Result(msgspec.Struct):
    """What of a final snapshot the rules are about."""

    attempt: int
    text: str
    artifacts: list[dict[str, Any]]


_head = msgspec.json.Decoder(Head).decode
_result = msgspec.json.Decoder(Result).decode


class Ledger:
    """One world's books. `ask` puts a question to what is committed."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.ask: Ask = lambda *_: []
        self.is_ill: Callable[[], bool] = lambda: False
        self.breaches: list[str] = []
        self.acked: set[str] = set()
        self.deleted: set[str] = set()
        self.born: defaultdict[str, int] = defaultdict(int)
        self.by_key: defaultdict[str, set[str]] = defaultdict(set)
        self.seen: dict[tuple[str, int], bytes] = {}
        self.made: dict[str, tuple[str, int]] = {}
        self.counts: defaultdict[str, int] = defaultdict(int)

    def breach(self, rule: str, told: object = "") -> None:
        """A rule was broken."""
        if len(self.breaches) < MOST_BREACHES:
            self.breaches.append(f"{rule}: {told} (at {self._now():.3f} s)")

    def hear_created(self, id: str, key: str | None, *, created: bool) -> None:
        """A client was told that its task is accepted."""
        self.counts["acks"] += 1
        self.acked.add(id)
        self.born[id] += created
        if self.born[id] > 1:
            self.breach("one request is one task", f"{id} was created {self.born[id]} times")
        if key is not None:
            self.by_key[key].add(id)
            if len(self.by_key[key]) > 1:
                self.breach("same key, one task", f"{key} led to {sorted(self.by_key[key])}")
        if not self._exists(id):
            self.breach("accepted means on disk", id)

    def hear_event(self, id: str, body: bytes) -> Head:
        """A client was told an event."""
        head = _head(body)
        self.counts["told"] += 1
        if head.task_id != id:
            self.breach("a channel carries one task", f"{head.task_id} on {id}")
        if head.from_seq is not None:
            return head
        before = self.seen.setdefault((id, head.seq), body)
        if before != body:
            self.breach("a told event stays as it is", f"{id} {head.seq}: {before!r} {body!r}")
        stored = self.ask(EVENT, id, head.seq)
        if not stored:
            if not self.ask(GONE, id):
                self.breach("told only after the commit", f"{id} {head.seq}")
        elif stored[0][0].encode() != body:
            self.breach("what is told is what is stored", f"{id} {head.seq}")
        return head

    def check_prompt(self, head: Head, since: float, name: str) -> None:
        """Whoever waits is woken at once; only an ill disk may keep an event back."""
        told = datetime.fromisoformat(head.timestamp).timestamp() - EPOCH_SECONDS
        late = self._now() - max(told, since)
        if late > PROMPT_SECONDS and not self.is_ill():
            self.breach("who waits is woken", f"{name} of {head.task_id} {head.seq}: {late:.1f} s")

    def close(self) -> None:
        """The world has come to rest: hold the database against all that was said."""
        for id in self.acked:
            if not self._exists(id):
                self.breach("no accepted task is lost", id)
        stored: dict[tuple[str, int], bytes] = {}
        for uid, id, state, seq in self.ask(TASKS):
            if state not in TERMINAL:
                self.breach("every task ends", f"{id} is {state}")
            rows = self.ask(EVENTS, uid)
            heads = [_head(row[1]) for row in rows]
            stored |= {(id, row[0]): row[1].encode() for row in rows}
            if [row[0] for row in rows] != list(range(1, seq + 1)):
                self.breach("no hole in a log", f"{id}: {[row[0] for row in rows]} of {seq}")
            ends = [head.seq for head in heads if head.status in TERMINAL]
            if ends != [seq] and state in TERMINAL:
                self.breach("one end, and nothing after it", f"{id}: ends {ends} of {seq}")
            self._check_result(uid, id, state)
            self.counts["tasks"] += 1
            self.counts[f"tasks {state}"] += 1
            self.counts["events"] += len(rows)
        lost = [key for key in self.seen.keys() - stored.keys() if not self.ask(GONE, key[0])]
        if lost:
            self.breach("a told event is never lost", sorted(lost)[:3])
        for key, uids in self._keys().items():
            if len(uids) > 1:
                self.breach("same key, one task", f"{key} has {uids}")

    def _check_result(self, uid: str, id: str, state: str) -> None:
        """What a prediction made is in the result once, however often it was followed."""
        if state != "completed":
            return
        ((body,),) = self.ask(SNAPSHOT, uid)
        told = _result(body)
        made = self.made[f"{uid}.{told.attempt}"]
        files = [one for one in told.artifacts if one["attempt"] == told.attempt]
        if (told.text, len(files)) != made:
            self.breach("everything made is kept, once", f"{id}: {told.text!r} {len(files)} {made}")

    def _keys(self) -> dict[str, set[str]]:
        found: defaultdict[str, set[str]] = defaultdict(set)
        for key, uid in self.ask(KEYS):
            found[key].add(uid)
        return found

    def _exists(self, id: str) -> bool:
        return bool(self.ask("SELECT 1 FROM tasks WHERE id = ?", id) or self.ask(GONE, id))


class Witness:
    """One follower's view of one task, through any number of connections.

    Every event after its cursor comes once and in order; the first may be any (it began
    with a snapshot), and none comes after the end.
    """

    def __init__(self, ledger: Ledger, name: str, id: str) -> None:
        self._ledger = ledger
        self.name = name
        self.id = id
        self.last: int | None = None
        self.ended = False
        self.gone = False

    @property
    def done(self) -> bool:
        """Nothing more will come."""
        return self.ended or self.gone

    def begin(self, seq: int, status: str) -> None:
        """The snapshot with which it began."""
        if self.last is None:
            self.last = seq
            # The end itself is told again to whoever joins an ended task.
            if status in TERMINAL:
                self.last = seq - 1
        elif seq < self.last:
            self._breach("no reader goes back", f"snapshot {seq} after {self.last}")

    def gap(self, told: object = "") -> None:
        """It was told that something is missing; nothing is swept here, so nothing can be."""
        self._breach("no gap where nothing is swept", told)

    def take(self, body: bytes, since: float | None = None) -> None:
        """One event. Who waits for it `since` then must hear of it soon."""
        head = self._ledger.hear_event(self.id, body)
        if since is not None:
            self._ledger.check_prompt(head, since, self.name)
        first = head.seq if head.from_seq is None else head.from_seq
        if self.ended:
            self._breach("nothing after the end", head)
        if self.last is not None and first != self.last + 1:
            self._breach("each event once, in order", f"{first} after {self.last}")
        self.last = head.seq
        self.ended = head.status in TERMINAL

    def _breach(self, rule: str, told: object) -> None:
        self._ledger.breach(rule, f"{self.name} of {self.id}: {told}")
