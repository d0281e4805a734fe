"""What can be wrong with a history: the rules by name, and one violation of one of them."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Rule(StrEnum):
    """Each is a sentence of the promise that a history can be shown to break."""

    LOST_TASK = "an accepted task is in the database, with its id and its first event"
    KEY_SPLIT = "one key is one task"
    MADE_TWICE = "a task is made once; everybody else attaches"
    BAD_LOG = "a stored log runs 1, 2, 3 … and agrees with its row"
    MANY_ENDS = "exactly one terminal event ends a task, and nothing comes after it"
    PENDING = "every task has come to its end when the round is over"
    MISSING_BYTES = "the bytes that an event names are on the disk"
    PHANTOM = "what was told is in the database"
    DIFFERS = "one seq has one content, for every reader and in the database"
    HOLE = "a reader is told every event, or that it missed some"
    REPEATED = "a reader is told no event twice"
    FALSE_CURSOR = "a reader goes on where its cursor says"
    SKEWED = "a cursor names the very seq of what it comes with"
    NEEDLESS_GAP = "a gap is told only where something is missing"
    MISSING_GAP = "a cursor that this history does not cover is answered with a gap"
    BAD_FOLD = "only progress of one attempt is folded, and only on a socket"
    SNAPSHOT = "a snapshot is the fold of the log up to its seq"
    BEFORE_REPLY = "nothing of a topic comes before the reply to its join"
    AFTER_LEAVE = "nothing of a topic comes after the reply to its leave"
    UNFINISHED = "whoever keeps reading is told the end"
    PROGRESS_FELL = "progress never falls within an attempt"
    STALE_GALLERY = "a gallery ends with every task as it is"
    BACKWARDS = "a gallery's positions rise"
    RUN_TWICE = "one attempt is one run at the provider"
    CALLED_FREE = "a task that was run for money is never called free"
    BILLED_TWICE = "a billed task is run again only after a run that is known to have failed"
    RUN_UNCLAIMED = "no run without its claim on disk"
    STILL_RUNS = "what was cancelled does not run on at the provider"
    WRONG_RESULT = "a result is what its run told, all of it and once"
    DEFECT = "the server neither dies by itself nor logs an error, and no request meets its bug"
    UNREADABLE = "every message has a form that this documentation describes"


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that was broken: by whom it was seen, about which task, and what was seen."""

    rule: Rule
    evidence: str
    task: str = ""
    witness: str = ""
    at: float = 0.0

    def __str__(self) -> str:
        who = f", seen by {self.witness}" if self.witness else ""
        return f"{self.rule.name}: {self.rule} [task {self.task}{who}] {self.evidence}"


class Figures(msgspec.Struct, kw_only=True):
    """What a history holds, counted."""

    tasks: int = 0
    creates: int = 0
    accepted: int = 0
    attached: int = 0
    unknown: int = 0
    refused: int = 0
    runs: int = 0
    kills: int = 0
    drains: int = 0
    freezes: int = 0
    cuts: int = 0
    connections: int = 0
    reconnects: int = 0
    frames: int = 0
    events: int = 0
    folded: int = 0
    snapshots: int = 0
    gaps: int = 0
    ends: int = 0

    def __add__(self, other: Figures) -> Figures:
        both = {f: getattr(self, f) + getattr(other, f) for f in self.__struct_fields__}
        return Figures(**both)


class Report(msgspec.Struct, kw_only=True):
    """What the checker found."""

    figures: Figures
    violations: list[Violation]

    def rules(self) -> set[Rule]:
        """The rules that were broken."""
        return {violation.rule for violation in self.violations}
