"""One witness's reading, held against the database: of one task, or of a gallery.

A reading goes on over any number of connections. It has a place, up to which the
witness was told everything; a reply to a join moves it, and every event must be the
next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight_protocol.events import timestamp

from .book import Book
from .reading import TERMINAL
from .verdict import Figures, Rule, Violation

SOCKETS = ("v1", "v2", "longpoll")


class Docket:
    """Collects violations and counts; `at` is the time of the record that is judged."""

    def __init__(self) -> None:
        self.figures = Figures()
        self.violations: list[Violation] = []
        self.at = 0.0

    def blame(self, rule: Rule, evidence: str, *, task: str = "", witness: str = "") -> None:
        """Note that a rule was broken."""
        self.violations.append(
            Violation(rule=rule, evidence=evidence, task=task, witness=witness, at=self.at)
        )


class Story:
    """What one witness was told of one task."""

    def __init__(self, witness: str, task: str, book: Book, docket: Docket) -> None:
        self.witness = witness
        self.task = task
        self.ended = False
        self.gave_up = False
        self.may_repeat_end = False
        self._book = book
        self._page = book.tasks.get(task)
        self._docket = docket
        self._place: int | None = None
        self._was_told = False
        self._reached: dict[int, float] = {}

    @property
    def unfinished(self) -> bool:
        """It read on, the task has ended, and it was never told."""
        told = self.ended or self._was_told or self.gave_up
        return self._page is not None and self._page.ended and not told

    def begin(self, asked: tuple[str | None, int] | None, seq: int, *, gap: bool) -> None:
        """A join was answered: events after `seq` are to follow."""
        if gap:
            self._docket.figures.gaps += 1
            if asked is not None and self._book.covers(self.task, *asked):
                self._blame(Rule.NEEDLESS_GAP, f"it asked to go on after {asked}")
        elif asked is not None and seq != asked[1]:
            self._blame(Rule.FALSE_CURSOR, f"it asked to go on after {asked}, it got {seq}")
        at_end = self._page is not None and self._page.ended and seq == self._page.last
        self._place, self.ended = seq, at_end and asked is not None and not gap
        self.may_repeat_end = asked is None or gap
        self._reached.clear()

    def resume(self, asked: tuple[str | None, int]) -> None:
        """It was not told of a gap: its cursor must be one of this history."""
        if self._page is not None and not self._book.covers(self.task, *asked):
            self._blame(Rule.MISSING_GAP, f"it went on after {asked}")

    def hold(self, place: tuple[str | None, int] | None, *seqs: int) -> None:
        """A cursor, and the seqs that it must name."""
        if place is None or place[0] is None or set(seqs) != {place[1]}:
            self._blame(Rule.SKEWED, f"the cursor {place} with {seqs}")

    def snapshot(self, told: Mapping[str, Any], *, is_end: bool = False) -> None:
        """It was shown the task. `is_end`: nothing more is sent of an ended one."""
        self._docket.figures.snapshots += 1
        difference = differs(self._book, self.task, told)
        if difference is not None:
            self._blame(difference[0], difference[1])
        self.ended = self.ended or (is_end and told.get("status") in TERMINAL)

    def event(self, told: dict[str, Any], door: str) -> None:
        """It was told an event."""
        self._docket.figures.events += 1
        seq, first = told["seq"], told.get("from_seq", told["seq"])
        self._compare(told, first, seq, door)
        place = self._place
        if place is None:
            self._blame(Rule.BEFORE_REPLY, f"event {seq}")
        elif first > place + 1:
            self._blame(Rule.HOLE, f"event {first} came after {place}")
        elif first <= place and not self._may_repeat(told):
            rule = Rule.MANY_ENDS if self.ended else Rule.REPEATED
            self._blame(rule, f"event {first} came when it had been told up to {place}")
        elif self.ended and seq > place:
            self._blame(Rule.MANY_ENDS, f"event {seq} came after the end at {place}")
        self._place = max(place or 0, seq)
        self._rise(told)
        if told["type"] in TERMINAL:
            self._docket.figures.ends += 1
            self.ended = self._was_told = True
            self.may_repeat_end = False

    def _may_repeat(self, told: dict[str, Any]) -> bool:
        """Whoever joins an ended task without a cursor gets its last event again."""
        is_end = told["type"] in TERMINAL and told["seq"] == self._place
        return is_end and self.may_repeat_end

    def _compare(self, told: dict[str, Any], first: int, seq: int, door: str) -> None:
        stored = {} if self._page is None else self._page.bodies
        if seq not in stored:
            return self._blame(Rule.PHANTOM, f"event {seq} is not stored: {told}")
        plain = {name: value for name, value in told.items() if name != "from_seq"}
        if plain != stored[seq]:
            self._blame(Rule.DIFFERS, f"told {plain}, stored {stored[seq]}")
        if first != seq:
            self._docket.figures.folded += 1
            kinds = {
                (stored.get(n, {}).get("type"), stored.get(n, {}).get("attempt"))
                for n in range(first, seq + 1)
            }
            if kinds != {("progress", told["attempt"])} or door not in SOCKETS or first > seq:
                self._blame(Rule.BAD_FOLD, f"{first} to {seq} on {door}: {kinds}")

    def _rise(self, told: dict[str, Any]) -> None:
        before = self._reached.get(told["attempt"], 0.0)
        if told["progress"] < before:
            self._blame(Rule.PROGRESS_FELL, f"from {before} to {told['progress']}")
        self._reached[told["attempt"]] = told["progress"]

    def _blame(self, rule: Rule, evidence: str) -> None:
        self._docket.blame(rule, evidence, task=self.task, witness=self.witness)


class Wall:
    """What one witness was shown in the gallery."""

    def __init__(self, witness: str, book: Book, docket: Docket) -> None:
        self.witness = witness
        self.gave_up = False
        self._book = book
        self._docket = docket
        self._shown: dict[str, int] = {}
        self._position: int | None = None
        self._first: int | None = None
        self._oldest = timestamp(min((p.row.created_at for p in book.by_uid.values()), default=0))

    def begin(self, asked: int | None, reply: Mapping[str, Any]) -> None:
        """The join was answered with a page, or with nothing but the place to go on."""
        if asked is not None and not reply["gap"] and reply["position"] != asked:
            self._blame(Rule.FALSE_CURSOR, f"asked for {asked}, got {reply['position']}")
        if asked is not None and reply["gap"]:
            self._docket.figures.gaps += 1
            self._blame(Rule.NEEDLESS_GAP, f"it asked to go on after {asked}")
        self._position = reply["position"]
        if asked is None or reply["gap"]:  # a page is all that is shown of what was before
            self._first = self._position
            self._shown.clear()
        for task in reply["tasks"]:
            self._show(task)

    def changed(self, told: Mapping[str, Any]) -> None:
        """One task was shown anew."""
        position = told["position"]
        if self._position is None or position <= self._position:
            self._blame(Rule.BACKWARDS, f"{position} after {self._position}")
        self._position = position
        self._show(told["task"])

    def finish(self) -> None:
        """Nothing more will be shown: everything that changed must have been seen."""
        if self.gave_up or self._first is None:
            return
        for id, page in self._book.tasks.items():
            seen = self._shown.get(id)
            due = id in self._shown or page.row.changed > self._first
            if due and seen != page.last:
                self._blame(Rule.STALE_GALLERY, f"seen at {seen}, it is at {page.last}", id)

    def _show(self, told: Mapping[str, Any]) -> None:
        self._docket.figures.snapshots += 1
        id = told["task_id"]
        if id not in self._book.tasks and told["created_at"] < self._oldest:
            return  # of an earlier round
        self._shown[id] = told["seq"]
        difference = differs(self._book, id, told)
        if difference is not None:
            self._blame(difference[0], difference[1], id)

    def _blame(self, rule: Rule, evidence: str, task: str = "") -> None:
        self._docket.blame(rule, evidence, task=task, witness=self.witness)


def differs(book: Book, task: str, told: Mapping[str, Any]) -> tuple[Rule, str] | None:
    """How a snapshot is not the fold of the stored log; None when it is."""
    page = book.tasks.get(task)
    fold = None if page is None else page.snapshot(told["seq"])
    if fold is None:
        return Rule.PHANTOM, f"a snapshot at {told['seq']}, which is not stored"
    if told.get("truncated"):
        return None
    other = {
        name: (told.get(name), value) for name, value in fold.items() if told.get(name) != value
    }
    return (Rule.SNAPSHOT, f"at {told['seq']}: {other}") if other else None
