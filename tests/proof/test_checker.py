"""The checker itself: a faultless history passes, and each rule can be broken alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .checker import check
from .fair import FAIR
from .history import Closed, Recorder, Struck, load
from .spoils import SPOILS
from .tale import ID, KEY, LOG, Spoil, Tale, good
from .verdict import Figures, Report, Rule


def verdict(tale: Tale) -> Report:
    """What the checker says of it."""
    return check(tale.history())


def test_a_faultless_history_passes() -> None:
    """Everything told, asked, run and stored agrees, and is counted."""
    report = verdict(good())
    assert report.violations == []
    figures = report.figures
    assert (figures.tasks, figures.creates, figures.accepted, figures.attached) == (1, 2, 2, 1)
    assert (figures.runs, figures.connections, figures.reconnects) == (1, 4, 1)
    assert (figures.events, figures.ends, figures.gaps) == (17, 3, 0)


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name)
def test_each_rule_can_be_broken_alone(rule: Rule) -> None:
    """A history that breaks one rule is found guilty of that one and no other."""
    tale = good()
    SPOILS[rule](tale)
    report = verdict(tale)
    assert report.rules() == {rule}, [str(v) for v in report.violations]


@pytest.mark.parametrize("change", FAIR, ids=lambda change: change.__name__)
def test_what_is_allowed_is_not_blamed(change: Spoil) -> None:
    """What the contract permits beside the straight way breaks no rule."""
    tale = good()
    change(tale)
    assert verdict(tale).violations == []


def test_two_tasks_of_one_key_are_named() -> None:
    """A key that led to another task than the one it is stored with is a split."""
    tale = good()
    tale.create(3, "other", created=False)
    found = [v for v in verdict(tale).violations if v.rule is Rule.KEY_SPLIT]
    assert [KEY in violation.evidence for violation in found] == [True]


def test_a_fold_is_for_sockets_only() -> None:
    """The same fold that a socket may tell is a fault in an event stream."""
    tale = good()
    tale.open(20, "sse", "x", task=ID, after=f"{LOG}-2")
    tale.stream(20, 4, from_seq=3)
    tale.stream(20, 5, 6)
    assert verdict(tale).rules() == {Rule.BAD_FOLD}


def test_a_stream_and_a_poll_that_keep_a_gap_to_themselves_are_named() -> None:
    """A cursor of another history that is answered as if it were covered breaks one rule."""
    stream, poll = good(), good()
    stream.open(20, "sse", "x", task=ID, after="other-3")
    stream.stream(20, 4, 5, 6)
    poll.open(20, "poll", "x", task=ID, after="other-5")
    told = {"events": poll.events[5:], "cursor": f"{LOG}-6", "gap": False, "ended": True}
    poll.heard(20, {"data": told})
    assert [verdict(tale).rules() for tale in (stream, poll)] == [{Rule.MISSING_GAP}] * 2


def test_a_cursor_beside_its_snapshot_is_named_at_every_door() -> None:
    """A gap of a stream or a poll, and an answer to a creator, go by the same cursor as
    the snapshot in them; a join's cursor is its seq."""
    stream, poll, creator, join = good(), good(), good(), good()
    gap = {"task": stream.snapshot(6), "cursor": f"{LOG}-7", "gap": True}
    stream.open(20, "sse", "x", task=ID, after="other-3")
    stream.heard(20, f"id: {LOG}-7\nevent: gap\ndata: {json.dumps(gap)}".encode())
    poll.open(20, "poll", "x", task=ID, after="other-5")
    poll.heard(20, {"data": gap | {"events": [], "ended": True}})
    creator.create(3, created=False, snapshot=creator.shown(1).replace(b"aaa-1", b"aaa-2"))
    join.open(20, "v2", "x")
    join.join(20, 3, cursor=f"{LOG}-4")
    join.tell(20, 4, 5, 6)
    found = [verdict(tale).rules() for tale in (stream, poll, creator, join)]
    assert found == [{Rule.SKEWED}] * 4


def test_a_seq_that_came_back_with_other_content_is_named() -> None:
    """A witness that was told a seq before a crash is held against what is stored now."""
    tale = good()
    tale.events[4]["delta"] = "written anew after the crash"
    assert Rule.DIFFERS in verdict(tale).rules()


@pytest.mark.parametrize("what", ["died", "said"])
def test_a_server_that_dies_or_complains_by_itself_is_named(what: str) -> None:
    """What nobody did to it is a defect, whatever the witnesses were told."""
    tale = good()
    tale.add(Struck(at=1, what=what, detail="something"))
    assert verdict(tale).rules() == {Rule.DEFECT}


def test_blows_are_counted() -> None:
    """The figures tell what the history went through."""
    tale = good()
    for what in ("kill", "kill", "drain", "freeze", "cut", "reset", "drip", "halve", "start"):
        tale.add(Struck(at=1, what=what))
    figures = verdict(tale).figures
    assert (figures.kills, figures.drains, figures.freezes, figures.cuts) == (2, 1, 1, 4)
    assert (figures + Figures(kills=3)).kills == 5


def test_a_history_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """A kept file gives the checker the very records of the campaign."""
    recorder = Recorder(tmp_path / "a.history", clock=lambda: 5.0)
    for record in good().history():
        recorder.write(record)
    recorder.write(Closed(at=recorder.now, connection=recorder.number(), own_will=True))
    recorder.close()
    assert list(load(recorder.path)) == recorder.records
