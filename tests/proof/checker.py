"""Reads a history and names every rule of the promise that it breaks. Pure.

Two passes: the database first, as what everything told is held against; then every
record in its order. The rules are in `verdict.py`, a witness's reading in
`follower.py`; what was asked for, run and stored is judged in `ledgers.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from . import ledgers
from .book import Book
from .follower import Docket, Story, Wall
from .history import (
    AnyRecord,
    Closed,
    GaveUp,
    Heard,
    Opened,
    Said,
    StoredKey,
    StoredLog,
    StoredTask,
    Struck,
)
from .reading import (
    TERMINAL,
    Frame,
    Unreadable,
    read_frame,
    read_json,
    read_message,
    read_place,
)
from .verdict import Report, Rule

BETWEEN = ("phx_reply", "phx_close", "phx_error")
"""What may come of a topic before its join is answered: ends and answers."""


def check(records: Iterable[AnyRecord]) -> Report:
    """Every violation in a history, and what it holds."""
    kept = list(records)
    book = Book(r for r in kept if isinstance(r, StoredTask | StoredKey | StoredLog))
    docket = Docket()
    docket.figures.tasks = len(book.tasks)
    readings = Readings(book, docket)
    for record in kept:
        docket.at = record.at
        readings.take(record)
    readings.finish()
    ledgers.judge_creates(kept, book, docket)
    ledgers.judge_runs(kept, book, docket)
    ledgers.judge_charges(kept, book, docket)
    ledgers.judge_store(book, docket)
    return Report(figures=docket.figures, violations=docket.violations)


class Readings:
    """All witnesses' readings, fed with records one by one."""

    def __init__(self, book: Book, docket: Docket) -> None:
        self._book = book
        self._docket = docket
        self._stories: dict[tuple[str, str], Story] = {}
        self._walls: dict[str, Wall] = {}
        self._open: dict[int, Line] = {}
        self._seen: set[str] = set()

    def take(self, record: AnyRecord) -> None:
        """One record of what was told, said or done."""
        match record:
            case Opened():
                self._opened(record)
            case Said(connection=number, data=data):
                self._open[number].said(data)
            case Heard(connection=number, data=data):
                self._docket.figures.frames += 1
                self._heard(self._open[number], data)
            case Closed(connection=number):
                del self._open[number]
            case GaveUp(witness=witness, task=task):
                self._gave_up(witness, task)
            case Struck():
                self._struck(record.what, record.detail)
            case _:
                pass

    def finish(self) -> None:
        """Nothing more was heard: who still waits?"""
        for story in self._stories.values():
            if story.unfinished:
                self._docket.blame(
                    Rule.UNFINISHED,
                    "it kept reading and was never told",
                    task=story.task,
                    witness=story.witness,
                )
        for wall in self._walls.values():
            wall.finish()

    def story(self, witness: str, task: str) -> Story:
        """The reading of that task by that witness."""
        key = (witness, task)
        if key not in self._stories:
            self._stories[key] = Story(witness, task, self._book, self._docket)
        return self._stories[key]

    def wall(self, witness: str) -> Wall:
        """What that witness sees of the gallery."""
        if witness not in self._walls:
            self._walls[witness] = Wall(witness, self._book, self._docket)
        return self._walls[witness]

    def _opened(self, record: Opened) -> None:
        figures = self._docket.figures
        if record.door != "poll":
            figures.connections += 1
            figures.reconnects += record.witness in self._seen
            self._seen.add(record.witness)
        kinds = {"sse": Stream, "poll": Poll, "gallery": Gallery}
        self._open[record.connection] = kinds.get(record.door, Socket)(record, self)

    def _heard(self, line: Line, data: bytes) -> None:
        try:
            line.heard(data)
        except (Unreadable, KeyError, TypeError, msgspec.DecodeError) as error:
            evidence = f"{type(error).__name__} {error}: {data[:300]!r}"
            self._docket.blame(Rule.UNREADABLE, evidence, witness=line.witness)

    def _gave_up(self, witness: str, task: str) -> None:
        if task == "mine":
            self.wall(witness).gave_up = True
        else:
            self.story(witness, task).gave_up = True

    def _struck(self, what: str, detail: str) -> None:
        if what in ("died", "said"):
            self._docket.blame(Rule.DEFECT, f"the server {what}: {detail}")
        figures = self._docket.figures
        figures.kills += what == "kill"
        figures.drains += what == "drain"
        figures.freezes += what == "freeze"
        figures.cuts += what in ("cut", "reset", "drip", "halve")

    def blame(self, rule: Rule, evidence: str, task: str, witness: str) -> None:
        """Note that a rule was broken."""
        self._docket.blame(rule, evidence, task=task, witness=witness)


class Line:
    """One connection of a witness."""

    def __init__(self, opened: Opened, readings: Readings) -> None:
        self.witness = opened.witness
        self.door = opened.door
        self._opened = opened
        self._readings = readings

    def said(self, data: bytes) -> None:
        """The witness sends this."""

    def heard(self, data: bytes) -> None:
        """The witness got this."""

    def _story(self, task: str | None) -> Story:
        return self._readings.story(self.witness, task or "")


class Stream(Line):
    """Server-sent events of one task."""

    def __init__(self, opened: Opened, readings: Readings) -> None:
        super().__init__(opened, readings)
        self._asked = read_place(opened.after) or (None, 0)
        self._is_new = True
        self._story(opened.task).begin(self._asked, self._asked[1], gap=False)

    def heard(self, data: bytes) -> None:
        """A comment, an event, or word of a gap."""
        message = read_message(data)
        if message.data is None:
            return
        story, place = self._story(self._opened.task), read_place(message.id)
        is_new, self._is_new = self._is_new, False
        if message.event == "gap":
            seq = message.data["task"]["seq"]
            story.begin(self._asked, seq, gap=True)
            story.hold(place, seq)
            return story.snapshot(message.data["task"], is_end=True)
        if is_new:
            story.resume(self._asked)
        if place is None or place[1] != message.data["seq"] or place[0] is None:
            told = f"the id {message.id} of event {message.data['seq']}"
            self._readings.blame(Rule.DIFFERS, told, story.task, self.witness)
        story.event(message.data, self.door)


class Poll(Line):
    """One question for the events after a cursor, and its answer."""

    def heard(self, data: bytes) -> None:
        """The answer."""
        answer = read_json(data)["data"]
        asked = read_place(self._opened.after) or (None, 0)
        story, end = self._story(self._opened.task), read_place(answer["cursor"])
        assert end is not None
        story.begin(asked, end[1] if answer["gap"] else asked[1], gap=answer["gap"])
        if answer["gap"]:
            story.hold(end, answer["task"]["seq"])
            story.snapshot(answer["task"], is_end=True)
        else:
            story.resume(asked)
        for event in answer["events"]:
            story.event(event, self.door)
        last = answer["events"][-1]["seq"] if answer["events"] else asked[1]
        if not answer["gap"] and end[1] != last:
            told = f"the cursor {answer['cursor']} after event {last}"
            self._readings.blame(Rule.FALSE_CURSOR, told, story.task, self.witness)
        if answer["ended"] and not answer["events"]:
            story.ended = True  # it had been told before


class Socket(Line):
    """A Phoenix socket: which topics are joined, and what is told of each."""

    def __init__(self, opened: Opened, readings: Readings) -> None:
        super().__init__(opened, readings)
        self._asked: dict[str, tuple[str, dict[str, Any]]] = {}
        self._leaves: dict[str, str] = {}
        self._standing: dict[str, str] = {}
        self._current: dict[str, str] = {}

    def said(self, data: bytes) -> None:
        """A join or a leave changes what may come."""
        frame = read_frame(data, "v1" if self.door == "v1" else "v2")
        assert frame is not None and frame.ref is not None
        if frame.event == "phx_join":
            self._asked[frame.ref] = (frame.topic, frame.payload)
            if self._standing.get(frame.topic) != "joined":
                self._standing[frame.topic] = "asked"
        elif frame.event == "phx_leave":
            self._leaves[frame.ref] = frame.topic
        elif frame.event.endswith("_generate"):
            self._story(frame.id).may_repeat_end = True  # who attaches is told the end again

    def heard(self, data: bytes) -> None:
        """A frame."""
        frame = read_frame(data, "v1" if self.door == "v1" else "v2")
        if frame is None:
            return
        if frame.event == "phx_reply":
            self._replied(frame)
        elif frame.event in BETWEEN:
            if frame.ref == self._current.get(frame.topic):
                self._standing[frame.topic] = "free"
        elif self._may_come(frame):
            self._pushed(frame)

    def _replied(self, frame: Frame) -> None:
        ref = frame.ref or ""
        topic, asked = self._asked.pop(ref, ("", {}))
        if topic:
            is_ok = frame.payload["status"] == "ok"
            self._standing[topic] = "joined" if is_ok else "free"
            self._current[topic] = ref
            if is_ok:
                self._joined(frame.id, asked, frame.payload["response"])
        elif ref in self._leaves:
            topic = self._leaves.pop(ref)
            # Said after the leave, a new join is already waiting for its reply.
            waits = any(topic == other for other, _ in self._asked.values())
            self._standing[topic] = "asked" if waits else "left"

    def _may_come(self, frame: Frame) -> bool:
        standing = self._standing.get(frame.topic, "free")
        if standing == "joined":
            return True
        rule = Rule.BEFORE_REPLY if standing == "asked" else Rule.AFTER_LEAVE
        told = f"{frame.event} while {standing}: {str(frame.payload)[:200]}"
        self._readings.blame(rule, told, frame.id, self.witness)
        return False

    def _joined(self, id: str, asked: dict[str, Any], reply: dict[str, Any]) -> None:
        story = self._story(id)
        after = read_place(asked.get("after"))
        if after is not None and after[0] is None:
            after = (asked.get("log"), after[1])
        story.begin(after, reply["seq"], gap=reply["gap"])
        begins_anew = after is None or reply["gap"]
        seqs = (reply["seq"], reply["task"]["seq"]) if begins_anew else (reply["seq"],)
        story.hold(read_place(reply["cursor"]), *seqs)
        if after is not None and not reply["gap"]:
            story.resume(after)
        story.snapshot(reply["task"])
        if reply["task"]["status"] not in TERMINAL:
            story.may_repeat_end = False

    def _pushed(self, frame: Frame) -> None:
        if frame.told is not None:
            self._story(frame.id).event(frame.told, self.door)


class Gallery(Socket):
    """The topic `tasks:mine` on a socket of its own."""

    def _joined(self, id: str, asked: dict[str, Any], reply: dict[str, Any]) -> None:
        self._readings.wall(self.witness).begin(asked.get("after"), reply)

    def _pushed(self, frame: Frame) -> None:
        if frame.event == "task":
            self._readings.wall(self.witness).changed(frame.payload)


def summary(report: Report, limit: int = 10) -> Sequence[str]:
    """The first violations as lines."""
    return [str(violation) for violation in report.violations[:limit]]
