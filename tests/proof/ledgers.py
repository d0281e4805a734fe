"""What was asked for, what was run and what is stored, held against each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from safelight_protocol.task import STATUS, State

from .book import Book, Page
from .follower import Docket, differs
from .history import Answered, AnyRecord, Asked, Ran
from .reading import TERMINAL, read_json, read_place
from .verdict import Rule

FAILURES = ("failed", "fault", "lost", "never")
"""Outcomes of a run at the remote that cost nothing there."""


def judge_creates(records: Iterable[AnyRecord], book: Book, docket: Docket) -> None:
    """Every accepted request has its task, and its key leads to that task alone."""
    asked: dict[int, Asked] = {}
    by_key: dict[str, set[str]] = defaultdict(set)
    made: dict[str, int] = defaultdict(int)
    for record in records:
        match record:
            case Asked(number=number):
                asked[number] = record
                docket.figures.creates += 1
            case Answered(verdict="ok", task=str(task)):
                docket.at = record.at
                _accepted(record, task, book, docket)
                made[task] += record.created
                key = asked[record.number].key
                if key is not None:
                    by_key[key].add(task)
            case Answered():
                docket.figures.unknown += record.verdict == "unknown"
                docket.figures.refused += record.verdict == "refused"
                if record.code == "internal":
                    docket.blame(Rule.DEFECT, str(record), task=asked[record.number].id or "")
    for task, times in made.items():
        if times > 1:
            docket.blame(Rule.MADE_TWICE, f"{times} answers say that they made it", task=task)
    for key, tasks in by_key.items():
        _one_task(key, tasks, book, docket)


def _accepted(answer: Answered, task: str, book: Book, docket: Docket) -> None:
    docket.figures.accepted += 1
    docket.figures.attached += not answer.created
    page = book.tasks.get(task)
    if page is None or page.bodies.get(1, {}).get("type") != "queued":
        told = "is not in the database" if page is None else "has no first event"
        return docket.blame(
            Rule.LOST_TASK, f"request {answer.number} was accepted; it {told}", task=task
        )
    if answer.snapshot:
        docket.figures.snapshots += 1
        told = read_json(answer.snapshot)
        place = read_place(told["cursor"])
        if place is None or place[1] != told["seq"]:
            docket.blame(Rule.SKEWED, f"the cursor {place} with {told['seq']}", task=task)
        difference = differs(book, task, told)
        if difference is not None:
            docket.blame(*difference, task=task, witness=f"creator {answer.number}")


def _one_task(key: str, tasks: set[str], book: Book, docket: Docket) -> None:
    stored = book.by_uid.get(book.keys.get(key, ""))
    found = tasks | ({stored.row.id} if stored is not None else set())
    if len(found) > 1:
        docket.blame(Rule.KEY_SPLIT, f"the key {key} led to {sorted(found)}", task=min(found))
    elif stored is None and tasks <= book.tasks.keys():
        docket.blame(Rule.KEY_SPLIT, f"the key {key} is not stored", task=min(found))


def judge_runs(records: Iterable[AnyRecord], book: Book, docket: Docket) -> None:
    """An attempt is run once, and a billed task again only after a known failure."""
    asked: dict[str, list[int]] = defaultdict(list)
    failed: dict[str, set[int]] = defaultdict(set)
    for record in records:
        if not isinstance(record, Ran):
            continue
        docket.at = record.at
        uid, attempt, before = record.uid, record.attempt, asked[record.uid]
        page = book.by_uid.get(uid)
        id = page.row.id if page is not None else uid
        if record.what == "ended" and record.outcome == "failed":
            failed[uid].add(attempt)
        if record.what == "told" and page is not None:
            _compare_result(record, page, docket)
            if not record.outcome and _was_cancelled(page, attempt):
                told = f"nobody asked for the end of attempt {attempt} of {uid}"
                docket.blame(Rule.STILL_RUNS, told, task=id)
        if record.what != "asked":
            continue
        docket.figures.runs += 1
        if attempt in before:
            docket.blame(Rule.RUN_TWICE, f"attempt {attempt} of {uid} was run again", task=id)
        elif record.billed and set(before) - failed[uid]:
            unsure = sorted(set(before) - failed[uid])
            told = f"attempt {attempt} was run while {unsure} had not failed"
            docket.blame(Rule.BILLED_TWICE, told, task=id)
        before.append(attempt)
        if page is None or not _claimed(page, attempt):
            docket.blame(Rule.RUN_UNCLAIMED, f"attempt {attempt} of {uid}", task=id)


def judge_charges(records: Iterable[AnyRecord], book: Book, docket: Docket) -> None:
    """Who was run for money, and not known to have failed, is not told that it was free."""
    on_the_bill: dict[tuple[str, int], bool] = {}
    for record in records:
        if isinstance(record, Ran) and record.billed:
            on_the_bill[record.uid, record.attempt] = record.outcome not in FAILURES
    for (uid, attempt), is_on in on_the_bill.items():
        page = book.by_uid.get(uid)
        if not is_on or page is None or not page.ended:
            continue
        charge = page.bodies[page.last].get("charge", {})
        if charge.get("verdict", "free") == "free":
            told = f"attempt {attempt} of {uid} was billed, its end says {charge}"
            docket.blame(Rule.CALLED_FREE, told, task=page.row.id)


def _compare_result(run: Ran, page: Page, docket: Docket) -> None:
    """A completed task has the text and the files of its last run, each once."""
    end = page.bodies.get(page.last)
    if end is None or end["type"] != "completed" or end["attempt"] != run.attempt:
        return
    of_run = [event for event in page.bodies.values() if event["attempt"] == run.attempt]
    text = "".join(event.get("delta", "") for event in of_run)
    made = tuple(event["sha256"] for event in of_run if event["type"] == "artifact")
    result = end["result_data"]
    if (text, made) != (run.text, run.made) or result.get("content", text) != text:
        told = f"the run told {run.text!r} and {run.made}, the log {text!r} and {made}"
        docket.blame(Rule.WRONG_RESULT, told, task=page.row.id)


def _was_cancelled(page: Page, attempt: int) -> bool:
    """Its end was asked for while that attempt ran, or it ended as canceled."""
    of_run = [event for event in page.bodies.values() if event["attempt"] == attempt]
    return any(event["type"] in ("canceling", "canceled") for event in of_run)


def _claimed(page: Page, attempt: int) -> bool:
    return any(e["type"] == "started" and e["attempt"] == attempt for e in page.bodies.values())


def judge_store(book: Book, docket: Docket) -> None:
    """Each log is whole, agrees with its row, and has an end."""
    for page in book.by_uid.values():
        for rule, evidence in _faults(page):
            docket.blame(rule, evidence, task=page.row.id)
        if not page.ended:
            row = page.row
            told = f"{row.state} since event {page.last}, at {row.now} ms; it waits for "
            told += f"{row.not_before} or {row.deadline}"
            docket.blame(Rule.PENDING, told, task=row.id)


def _faults(page: Page) -> Iterable[tuple[Rule, str]]:
    row = page.row
    seqs = [event.seq for event in row.events]
    bodies = [page.bodies[seq] for seq in seqs]
    if seqs != list(range(1, row.seq + 1)):
        return [(Rule.BAD_LOG, f"its log has {seqs}, its row says {row.seq}")]
    found: list[tuple[Rule, str]] = []
    if any((b["seq"], b["task_id"]) != (seq, row.id) for seq, b in zip(seqs, bodies, strict=True)):
        found.append((Rule.BAD_LOG, "an event has another seq or task than its row"))
    if bodies and bodies[-1]["status"] != STATUS[State(row.state)] and not _silent(row.state):
        found.append((Rule.BAD_LOG, f"it is {row.state}, its log says {bodies[-1]['status']}"))
    ends = [b["seq"] for b in bodies if b["type"] in TERMINAL]
    if ends and ends != [seqs[-1]]:
        found.append((Rule.MANY_ENDS, f"terminal events {ends} of {len(seqs)}"))
    found += _falls(bodies)
    if page.ended and (row.snapshot is None or read_json(row.snapshot) != page.snapshot(row.seq)):
        found.append((Rule.SNAPSHOT, "the stored one is not the fold of its log"))
    found += [(Rule.MISSING_BYTES, f"of {hash}") for hash in row.missing]
    return found


def _silent(state: str) -> bool:
    """States that a task can come to without an event."""
    return state in (State.RUNNING, State.STARTING, State.CANCELING)


def _falls(bodies: list[dict[str, Any]]) -> Iterable[tuple[Rule, str]]:
    for one, next in pairwise(bodies):
        if next["attempt"] < one["attempt"]:
            yield Rule.BAD_LOG, f"attempt {next['attempt']} after {one['attempt']}"
        elif next["attempt"] == one["attempt"] and next["progress"] < one["progress"]:
            yield Rule.PROGRESS_FELL, f"from {one['progress']} to {next['progress']}"
