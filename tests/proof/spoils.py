"""Ways to change a faultless history: one for each rule that breaks it and no other."""

from __future__ import annotations

from .history import Answered, Asked, GaveUp, Heard
from .tale import ID, LOG, Spoil, Tale
from .verdict import Rule


def lost_task(tale: Tale) -> None:
    """A request was accepted whose task is nowhere."""
    tale.create(3, "never-stored", created=True)
    tale.records[-2] = Asked(at=3, number=3, door="rest", id="never-stored", key=None, body="p")


def key_split(tale: Tale) -> None:
    """The key of an accepted request is not stored."""
    tale.uid_of_key = None


def made_twice(tale: Tale) -> None:
    """A second answer says that it made the task."""
    tale.create(3, created=True)


def bad_log(tale: Tale) -> None:
    """The row counts an event more than the log has."""
    tale.row_seq = 7


def many_ends(tale: Tale) -> None:
    """A witness is told the end once more."""
    tale.tell(11, 6)


def pending(tale: Tale) -> None:
    """It still runs; that its attempt has a deadline to come is no excuse."""
    del tale.events[4:]
    tale.records.clear()
    tale.state, tale.final, tale.deadline = "running", False, 2000


def missing_bytes(tale: Tale) -> None:
    """A file that an event names is gone."""
    tale.missing = ("c0ffee",)


def phantom(tale: Tale) -> None:
    """A witness was shown and told of a task that a crash took back."""
    tale.open(20, "v2", "x")
    tale.join(20, 1, task="lost")
    tale.tell(20, 2, task="lost")


def differs(tale: Tale) -> None:
    """A stream tells another text under the same seq."""
    tale.open(20, "sse", "x", task=ID, after=f"{LOG}-4")
    tale.stream(20, 5, delta="another word")
    tale.stream(20, 6)


def hole(tale: Tale) -> None:
    """A witness is not told the third event."""
    tale.open(20, "v2", "x")
    tale.join(20, 1)
    tale.tell(20, 2, 4, 5, 6)


def repeated(tale: Tale) -> None:
    """A witness is told the third event twice."""
    tale.open(20, "v2", "x")
    tale.join(20, 1)
    tale.tell(20, 2, 3, 3, 4, 5, 6)


def false_cursor(tale: Tale) -> None:
    """A join after 2 goes on after 3, and says nothing."""
    tale.open(20, "v2", "x")
    tale.join(20, 3, at=5, after=f"{LOG}-2")
    tale.tell(20, 4, 5, 6)


def needless_gap(tale: Tale) -> None:
    """A gap is told where all is there."""
    tale.open(20, "v2", "x")
    tale.join(20, 4, after=f"{LOG}-2", gap=True)
    tale.tell(20, 5, 6)


def skewed(tale: Tale) -> None:
    """The cursor of a join is one ahead of its snapshot: who comes back misses an event."""
    tale.open(20, "v2", "x")
    tale.join(20, 3, at=2)
    tale.tell(20, 4, 5, 6)


def missing_gap(tale: Tale) -> None:
    """A cursor of another history is taken as if it were one of this."""
    tale.open(20, "v2", "x")
    tale.join(20, 3, at=5, after="other-3")
    tale.tell(20, 4, 5, 6)


def bad_fold(tale: Tale) -> None:
    """The start of an attempt is folded away."""
    tale.open(20, "v2", "x")
    tale.join(20, 1)
    tale.tell(20, 4, from_seq=2)
    tale.tell(20, 5, 6)


def snapshot(tale: Tale) -> None:
    """A join shows a progress that never was."""
    tale.open(20, "v2", "x")
    tale.join(20, 4)
    reply = tale.records.pop()
    assert isinstance(reply, Heard)
    tale.heard(20, reply.data.replace(b'"progress": 0.5', b'"progress": 0.6'))
    tale.tell(20, 5, 6)


def before_reply(tale: Tale) -> None:
    """An event comes before the answer to the join."""
    tale.open(20, "v2", "x")
    tale.said(20, "1", "1", f"task:{ID}", "phx_join", {})
    tale.tell(20, 5)
    tale.reply(20, "1", 5)
    tale.tell(20, 6)


def after_leave(tale: Tale) -> None:
    """An event comes after the answer to the leave."""
    tale.open(20, "v2", "x")
    tale.join(20, 3)
    tale.said(20, None, "2", f"task:{ID}", "phx_leave", {})
    tale.heard(20, ["1", "2", f"task:{ID}", "phx_reply", {"status": "ok", "response": {}}])
    tale.tell(20, 4)
    tale.add(GaveUp(at=20, witness="x", task=ID))


def unfinished(tale: Tale) -> None:
    """A witness waits for the end in vain."""
    tale.open(20, "v2", "x")
    tale.join(20, 3)
    tale.tell(20, 4, 5)


def progress_fell(tale: Tale) -> None:
    """The stored progress falls."""
    tale.events[3]["progress"] = 0.2
    tale.records = [r for r in tale.records if r.at <= 2]


def stale_gallery(tale: Tale) -> None:
    """A gallery never shows the end."""
    tale.gallery(20, (2, 3), (5, 6))


def backwards(tale: Tale) -> None:
    """A gallery is given a position twice."""
    tale.gallery(20, (2, 3), (6, 7), (6, 7))


def run_twice(tale: Tale) -> None:
    """The same attempt is asked for again."""
    tale.ran(1)


def billed_twice(tale: Tale) -> None:
    """A second attempt is paid for while the first may still run."""
    tale.events[4]["attempt"] = tale.events[5]["attempt"] = 2
    again = tale.events[1] | {"seq": 5, "attempt": 2, "progress": 0.0}
    tale.events[4] = again
    tale.records = [r for r in tale.records if r.at < 1]
    tale.ran(2)


def run_unclaimed(tale: Tale) -> None:
    """A run of a task that is not stored."""
    tale.ran(1, uid="nobody's")


def called_free(tale: Tale) -> None:
    """A task that was run for money ends as free."""
    tale.events[5]["charge"] |= {"verdict": "free", "amount_micros": 0}
    tale.records = [r for r in tale.records if r.at < 1]


def still_runs(tale: Tale) -> None:
    """A cancelled task runs on at the provider, which nobody asked to end it."""
    charge = tale.events[5]["charge"]
    end = {"seq": 6, "type": "canceled", "status": "canceled", "confirmed": True}
    tale.events[5] = tale.events[4] | end | {"charge": charge}
    del tale.events[5]["delta"]
    tale.state = "canceled"
    tale.records = [r for r in tale.records if r.at < 1]
    tale.ran(1, "told", text="word")


def wrong_result(tale: Tale) -> None:
    """The run told its text twice, the log once."""
    tale.ran(1, "told", text="wordword")


def defect(tale: Tale) -> None:
    """A request met a bug."""
    tale.add(Asked(at=3, number=3, door="rest", id=None, key=None, body="q"))
    tale.add(Answered(at=3, number=3, verdict="refused", code="internal"))


def unreadable(tale: Tale) -> None:
    """A V2 socket is sent an object."""
    tale.heard(11, b'{"topic": "task:t"}')


SPOILS: dict[Rule, Spoil] = {
    Rule.LOST_TASK: lost_task,
    Rule.KEY_SPLIT: key_split,
    Rule.MADE_TWICE: made_twice,
    Rule.BAD_LOG: bad_log,
    Rule.MANY_ENDS: many_ends,
    Rule.PENDING: pending,
    Rule.MISSING_BYTES: missing_bytes,
    Rule.DIFFERS: differs,
    Rule.HOLE: hole,
    Rule.REPEATED: repeated,
    Rule.FALSE_CURSOR: false_cursor,
    Rule.NEEDLESS_GAP: needless_gap,
    Rule.SKEWED: skewed,
    Rule.MISSING_GAP: missing_gap,
    Rule.BAD_FOLD: bad_fold,
    Rule.SNAPSHOT: snapshot,
    Rule.BEFORE_REPLY: before_reply,
    Rule.AFTER_LEAVE: after_leave,
    Rule.UNFINISHED: unfinished,
    Rule.PROGRESS_FELL: progress_fell,
    Rule.STALE_GALLERY: stale_gallery,
    Rule.BACKWARDS: backwards,
    Rule.RUN_TWICE: run_twice,
    Rule.BILLED_TWICE: billed_twice,
    Rule.CALLED_FREE: called_free,
    Rule.RUN_UNCLAIMED: run_unclaimed,
    Rule.STILL_RUNS: still_runs,
    Rule.WRONG_RESULT: wrong_result,
    Rule.DEFECT: defect,
    Rule.UNREADABLE: unreadable,
    Rule.PHANTOM: phantom,
}
