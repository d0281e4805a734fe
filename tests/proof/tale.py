"""Hand-made histories: a small campaign in which all went well, and the means to spoil it.

One task, made with a key and run once, is watched at every door. A test changes one thing
and shows that the checker names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from safelight_protocol import events as wire
from safelight_protocol.events import decode_event, encode_event
from safelight_protocol.snapshot import fold, opening
from safelight_protocol.task import Asked as AskedFor
from safelight_protocol.task import Resolved, Task

from .history import (
    Answered,
    AnyRecord,
    Asked,
    Closed,
    Heard,
    Opened,
    Ran,
    Said,
    StoredEvent,
    StoredKey,
    StoredLog,
    StoredTask,
)

UID, ID, KEY, LOG, LATER = "uid-1", "t", "k", "aaa", "bbb"
ASKED = AskedFor(kind="text", prompt="p")
RESOLVED = Resolved(
    requested="m", model="m", provider="scripted", backend=None, params={}, seed=7, n=1
)
TASK = Task(
    uid=UID, owner="local", id=ID, asked=ASKED, resolved=RESOLVED, created_at=0, updated_at=0
)


def told_events() -> list[dict[str, Any]]:
    """What happened to the task: queued, started, two steps, some text, the end."""
    common = {"task_id": ID, "timestamp": wire.timestamp(0), "attempt": 1}
    busy = common | {"status": "processing"}
    step = {"steps": None, "message": None, "eta": None}
    result = {
        "model": "m",
        "provider": "scripted",
        "backend": None,
        "prediction_id": None,
        "seed": 7,
        "artifacts": (),
        "created_at": wire.timestamp(0),
        "completed_at": wire.timestamp(0),
        "timings": wire.Timings(0, 0),
    }
    paid = wire.Charge(verdict="charged", amount_micros=40_000)
    written = [
        wire.Queued(seq=1, status="queued", progress=0.0, reason="", eta=None, **common),
        wire.Started(seq=2, progress=0.0, model="m", provider="scripted", backend=None, **busy),
        wire.Progress(seq=3, progress=0.25, step=1, **step, **busy),
        wire.Progress(seq=4, progress=0.5, step=2, **step, **busy),
        wire.Text(seq=5, progress=0.5, delta="word", **busy),
        wire.Completed(
            seq=6,
            progress=1.0,
            result_data=wire.ResultData(**result),
            charge=paid,
            **common | {"status": "completed"},
        ),
    ]
    return [json.loads(encode_event(event)) for event in written]


class Tale:
    """The records of a history under construction; `events` is what is stored."""

    def __init__(self) -> None:
        self.events = told_events()
        self.records: list[AnyRecord] = []
        self.state = "completed"
        self.final = True
        self.row_seq: int | None = None
        self.uid_of_key: str | None = UID
        self.missing: tuple[str, ...] = ()
        self.deadline: int | None = None

    def snapshot(self, seq: int) -> dict[str, Any]:
        """The fold of what is stored up to a seq."""
        snapshot = opening(TASK)
        for event in self.events[:seq]:
            snapshot = fold(snapshot, decode_event(json.dumps(event).encode()))
        return json.loads(msgspec.json.encode(snapshot))

    def add(self, record: AnyRecord) -> None:
        """One more record."""
        self.records.append(record)

    def open(self, number: int, door: Any, who: str = "w", **more: Any) -> None:
        """A witness connects."""
        self.add(Opened(at=number, connection=number, witness=who, door=door, **more))

    def close(self, number: int) -> None:
        """Its connection ends."""
        self.add(Closed(at=number, connection=number, own_will=False))

    def said(self, number: int, *frame: Any) -> None:
        """A V2 frame of a witness."""
        self.add(Said(at=number, connection=number, data=json.dumps(frame).encode()))

    def heard(self, number: int, told: Any) -> None:
        """What a witness got: bytes, or anything that becomes JSON."""
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.add(Heard(at=number, connection=number, data=data))

    def join(self, number: int, seq: int, *, at: int | None = None, **more: Any) -> None:
        """Join the task and be answered: events after `seq` follow, the snapshot is of
        `at`. `more` is `after` of the join, or `gap` and `log` of the reply; `task` is
        another task that is told of as if it were this one."""
        asked = {"after": more["after"]} if "after" in more else {}
        self.said(number, "1", "1", f"task:{more.get('task', ID)}", "phx_join", asked)
        self.reply(number, "1", seq, at=at, **more)

    def reply(self, number: int, ref: str, seq: int, *, at: int | None = None, **more: Any) -> None:
        """The answer to a join."""
        id = more.get("task", ID)
        told = {
            "task": self.snapshot(seq if at is None else at) | {"task_id": id},
            "log": more.get("log", LOG),
            "cursor": more.get("cursor", f"{LOG}-{seq}"),
            "seq": seq,
            "gap": more.get("gap", False),
        }
        payload = {"status": "ok", "response": told}
        self.heard(number, [ref, ref, f"task:{id}", "phx_reply", payload])

    def tell(self, number: int, *seqs: int, task: str = ID, **changes: Any) -> None:
        """Events on the socket, as they are stored but for `changes`."""
        for seq in seqs:
            event = self.events[seq - 1] | changes
            self.heard(number, [None, None, f"task:{task}", "progress", event])

    def stream(self, number: int, *seqs: int, **changes: Any) -> None:
        """Events of a stream."""
        for seq in seqs:
            body = json.dumps(self.events[seq - 1] | changes)
            self.heard(number, f"id: {LOG}-{seq}\nevent: progress\ndata: {body}".encode())

    def polled(self, number: int, *seqs: int, after: int, ended: bool, **more: Any) -> None:
        """A poll and its answer."""
        self.open(number, "poll", "p", task=ID, after=f"{LOG}-{after}" if after else None)
        events = [self.events[seq - 1] for seq in seqs]
        cursor = f"{LOG}-{seqs[-1] if seqs else after}"
        data = {"events": events, "cursor": cursor, "log": LOG, "gap": False, "ended": ended}
        self.heard(number, {"data": data | more})
        self.close(number)

    def gallery(self, number: int, *shown: tuple[int, int], after: int | None = None) -> None:
        """The gallery at position 1, then the task at (seq, position) again and again."""
        self.open(number, "gallery", "g")
        asked = {} if after is None else {"after": after, "log": LOG}
        self.said(number, "1", "1", "tasks:mine", "phx_join", asked)
        told = {"tasks": [], "position": 1, "next": None, "log": LOG, "gap": False}
        payload = {"status": "ok", "response": told}
        self.heard(number, ["1", "1", "tasks:mine", "phx_reply", payload])
        for seq, position in shown:
            told = {"task": self.snapshot(seq), "position": position}
            self.heard(number, ["1", None, "tasks:mine", "task", told])

    def create(self, number: int, task: str = ID, *, created: bool, **more: Any) -> None:
        """A request that is accepted."""
        self.add(Asked(at=number, number=number, door="rest", id=None, key=KEY, body="p"))
        self.add(
            Answered(at=number, number=number, verdict="ok", task=task, created=created, **more)
        )

    def shown(self, seq: int) -> bytes:
        """What a creator is shown: a snapshot with its cursor."""
        return json.dumps(self.snapshot(seq) | {"cursor": f"{LOG}-{seq}"}).encode()

    def ran(self, attempt: int, what: Any = "asked", uid: str = UID, **more: Any) -> None:
        """A run at the remote."""
        self.add(Ran(at=0, uid=uid, attempt=attempt, what=what, billed=True, **more))

    def history(self) -> list[AnyRecord]:
        """All of it, with the database as it is in the end."""
        last = len(self.events)
        task = StoredTask(
            at=99,
            uid=UID,
            id=ID,
            state=self.state,
            attempt=1,
            seq=self.row_seq if self.row_seq is not None else last,
            created_at=0,
            asked=msgspec.json.encode(ASKED),
            resolved=msgspec.json.encode(RESOLVED),
            now=1000,
            changed=7,
            deadline=self.deadline,
            snapshot=json.dumps(self.snapshot(last)).encode() if self.final else None,
            events=tuple(
                StoredEvent(event["seq"], 1, json.dumps(event).encode()) for event in self.events
            ),
            missing=self.missing,
        )
        logs = [StoredLog(at=99, run=1, log=LOG), StoredLog(at=99, run=2, log=LATER)]
        keys = []
        if self.uid_of_key is not None:
            keys = [StoredKey(at=99, key=KEY, uid=self.uid_of_key)]
        return [*self.records, *logs, task, *keys]


def good() -> Tale:
    """A history without fault: created twice by one key, run once, watched everywhere."""
    tale = Tale()
    tale.create(1, created=True, snapshot=tale.shown(1))
    tale.create(2, created=False)
    tale.ran(1)
    tale.open(10, "v2")
    tale.join(10, 1)
    tale.tell(10, 2, 3)
    tale.close(10)
    tale.open(11, "v2")
    tale.join(11, 3, at=5, after=f"{LOG}-3")
    tale.tell(11, 4, 5, 6)
    tale.open(12, "sse", "s", task=ID)
    tale.stream(12, 1, 2, 3, 4, 5, 6)
    tale.polled(13, 1, 2, 3, 4, after=0, ended=False)
    tale.polled(14, 5, 6, after=4, ended=True)
    tale.gallery(15, (2, 3), (6, 7))
    return tale


Spoil = Callable[[Tale], None]
