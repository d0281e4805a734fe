"""Ways to change a faultless history that the contract permits: they break no rule."""

from __future__ import annotations

from .history import Answered, Asked, GaveUp
from .spoils import billed_twice, called_free
from .tale import ID, LATER, LOG, Spoil, Tale


def fresh_join_of_an_ended_task(tale: Tale) -> None:
    """Its last event comes once more, with its own seq."""
    tale.open(20, "v2", "x")
    tale.join(20, 6)
    tale.tell(20, 6)


def resumed_at_the_end(tale: Tale) -> None:
    """Nothing is owed to who knows the end."""
    tale.open(20, "v2", "x")
    tale.join(20, 6, after=f"{LOG}-6")


def a_fold_that_is_told(tale: Tale) -> None:
    """Two steps as one frame that says so."""
    tale.open(20, "v2", "x")
    tale.join(20, 2)
    tale.tell(20, 4, from_seq=3)
    tale.tell(20, 5, 6)


def a_gap_that_is_due(tale: Tale) -> None:
    """The cursor is of a history that this store does not have."""
    tale.open(20, "v2", "x")
    tale.join(20, 4, after="other-3", gap=True)
    tale.tell(20, 5, 6)


def joined_twice(tale: Tale) -> None:
    """Events of the first join may come until the second is answered."""
    tale.open(20, "v2", "x")
    tale.join(20, 1)
    tale.tell(20, 2)
    tale.said(20, "2", "2", f"task:{ID}", "phx_join", {"after": f"{LOG}-2"})
    tale.tell(20, 3, 4)
    tale.reply(20, "2", 2, at=5, log=LATER)
    tale.heard(20, ["1", "1", f"task:{ID}", "phx_close", {}])
    tale.tell(20, 3, 4, 5, 6)


def left_and_came_back(tale: Tale) -> None:
    """Events of the first join may come until the leave is answered."""
    tale.open(20, "v2", "x")
    tale.join(20, 1)
    tale.said(20, None, "2", f"task:{ID}", "phx_leave", {})
    tale.said(20, "3", "3", f"task:{ID}", "phx_join", {"after": f"{LOG}-1"})
    tale.tell(20, 2)
    tale.heard(20, ["1", "2", f"task:{ID}", "phx_reply", {"status": "ok", "response": {}}])
    tale.reply(20, "3", 1, at=5)
    tale.tell(20, 2, 3, 4, 5, 6)


def left_when_it_knew_the_end(tale: Tale) -> None:
    """A second join is answered, but the end was told before."""
    tale.open(20, "v2", "x")
    tale.join(20, 4)
    tale.said(20, "2", "2", f"task:{ID}", "phx_join", {})
    tale.tell(20, 5, 6)
    tale.reply(20, "2", 6)


def gave_up(tale: Tale) -> None:
    """Nobody waits for what this witness does not see."""
    tale.open(20, "v2", "x")
    tale.join(20, 3)
    tale.add(GaveUp(at=20, witness="x", task=ID))


def asked_for_the_result_again(tale: Tale) -> None:
    """A push that attaches to an ended task brings its end again."""
    tale.open(20, "v2", "x")
    tale.join(20, 5)
    tale.tell(20, 6)
    tale.said(20, "1", "2", f"task:{ID}", "image_generate", {"prompt": "p"})
    tale.tell(20, 6)


def run_again_after_a_failure(tale: Tale) -> None:
    """The first attempt is known to have failed."""
    billed_twice(tale)
    tale.records.pop()
    tale.ran(1, "ended", outcome="failed")
    tale.ran(2)


def free_after_a_failure(tale: Tale) -> None:
    """The run for money is known to have failed, which costs nothing."""
    called_free(tale)
    tale.ran(1, "told", outcome="never", text="word")


def never_answered(tale: Tale) -> None:
    """Nobody knows whether it was taken."""
    tale.add(Asked(at=3, number=3, door="rest", id="maybe", key=None, body="q"))
    tale.add(Answered(at=3, number=3, verdict="unknown"))


def told_what_was_made(tale: Tale) -> None:
    """The run and the log have the same text."""
    tale.ran(1, "told", outcome="done", text="word")


def a_gallery_begun_anew(tale: Tale) -> None:
    """A fresh page shows what it shows; what changed before it is not owed."""
    tale.gallery(20, (2, 3))
    tale.said(20, "2", "2", "tasks:mine", "phx_join", {})
    told = {"tasks": [], "position": 8, "next": None, "log": LOG, "gap": False}
    payload = {"status": "ok", "response": told}
    tale.heard(20, ["2", "2", "tasks:mine", "phx_reply", payload])


FAIR: list[Spoil] = [
    a_gallery_begun_anew,
    told_what_was_made,
    fresh_join_of_an_ended_task,
    resumed_at_the_end,
    a_fold_that_is_told,
    a_gap_that_is_due,
    joined_twice,
    left_and_came_back,
    left_when_it_knew_the_end,
    gave_up,
    asked_for_the_result_again,
    run_again_after_a_failure,
    free_after_a_failure,
    never_answered,
]
