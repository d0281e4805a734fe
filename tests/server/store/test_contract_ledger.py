"""The ledger: lines come with what they belong to, are never changed, and add up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from safelight.store import Correction, Deferral, Entry, Fenced, Removal, Store
from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from safelight_protocol.events import Charge
from tests.doubles.lives import NOW, example, fresh
from tests.doubles.writes import birth, change, create, creation, written

DAY = NOW // 86_400_000
CLAIMED = happened.Claimed(NOW + 60_000)
LATE = NOW + 86_400_000
SPENT = Charge("unknown")
"""What a task has behind it that has a charge already."""
FIRST, LAST = DAY - 10, DAY + 10


def line(entry: Any, amount: int, uid: str = "u1", **more: Any) -> Entry:
    """One line of ann's."""
    plain = {"attempt": 1, "kind": "image", "model": "m", "provider": "p", "at": NOW, "day": DAY}
    named = {"uid": uid, "owner": "ann", "id": uid, "entry": entry, "amount": amount}
    return Entry(**{"counts": amount} | plain | named | more)


def unknown(uid: str = "u1", **more: Any) -> Entry:
    """A charge that nobody knows, which may be 30."""
    return line("charge", 0, uid, counts=30, verdict="unknown", reason="?", **more)


async def born(store: Store, *entries: Entry, uid: str = "u1") -> None:
    """A task that comes with these lines."""
    task = fresh(uid)
    made = msgspec.structs.replace(birth(task), entries=entries)
    await store.put(creation(task, bear=lambda: made))


async def told(store: Store, owner: str = "ann") -> list[tuple[str, int]]:
    """An owner's lines, the newest first."""
    lines = await store.read.ledger.lines(owner, FIRST, LAST, 2**62, 100)
    return [(one.entry, one.amount) for _, one in lines]


async def test_a_birth_brings_its_hold(store: Store) -> None:
    """In its transaction; of a create that attaches nothing is held."""
    await born(store, line("hold", 30))
    assert await told(store) == [("hold", 30)]
    assert await store.read.ledger.held() == [("u1", "ann", 30)]


async def test_a_change_brings_its_charge_or_nothing(store: Store) -> None:
    """What is fenced leaves no line."""
    born = await create(store)
    step = lifecycle.step(born, CLAIMED, NOW)
    move = msgspec.structs.replace(change(born, step), entries=(line("charge", 7),))
    await store.put(move)
    with pytest.raises(Fenced):
        await store.put(move)
    assert await told(store) == [("charge", 7)]


async def test_lines_come_back_as_they_were(store: Store) -> None:
    """Each field of them, and the missing ones too."""
    full = line(
        "charge",
        7,
        backend="b",
        handle="é\U0001d11e'\"",
        usage='{"image":"1"}',
        price='{"rates":{"image":7}}',
        verdict="charged",
        reason="wörds",
        counts=9,
        currency="EUR",
    )
    await born(store, line("hold", 30), full)
    assert await store.read.ledger.of_task("u1") == [line("hold", 30), full]


async def test_a_charge_is_corrected_once(store: Store) -> None:
    """The second correction changes nothing, whatever it says."""
    await born(store, unknown())
    first = line("correction", 20, counts=-10, verdict="charged")
    assert await store.put(Correction(first)) is True
    assert await store.put(Correction(line("correction", 99, verdict="charged"))) is False
    assert await told(store) == [("correction", 20), ("charge", 0)]
    assert await store.read.ledger.spent(DAY) == {"ann": 20}


async def test_the_other_attempt_stays_open(store: Store) -> None:
    """A correction is for the charge of one attempt."""
    await born(store, unknown(), unknown(attempt=2))
    await store.put(Correction(line("correction", 20, verdict="charged")))
    (left,) = await store.read.ledger.unknown("ann", FIRST, LAST, 10)
    assert left.attempt == 2


async def test_a_correction_is_told_beside_the_charge(store: Store) -> None:
    """The final snapshot gets it, all else of it stays."""
    writing = await written(store, "u1", CLAIMED)
    await writing.move(example(happened.Finished))
    before = msgspec.json.decode((await store.read.snapshots(["u1"]))["u1"])
    charge = {"verdict": "charged", "amount_micros": 20}
    correction = line("correction", 20, verdict="charged")
    assert await store.put(Correction(correction, msgspec.json.encode(charge)))
    after = msgspec.json.decode((await store.read.snapshots(["u1"]))["u1"])
    assert after == before | {"settled_charge": charge}


async def test_nothing_of_a_live_task_is_unsettled(store: Store) -> None:
    """Its end has not told what it cost; nor is anything of it forgotten once it is gone."""
    writing = await written(store, "u1", CLAIMED, task=fresh("u1", spent=SPENT))
    await born(store, unknown("u2"), unknown(), uid="u2")
    assert await store.read.ledger.unsettled("p", LATE, 10) == []
    assert await store.read.ledger.open_at() == {} and await store.read.ledger.has_open()
    await writing.move(example(happened.Finished))
    ((tries, open_one),) = await store.read.ledger.unsettled("p", LATE, 10)
    assert (tries, open_one.uid) == (0, "u1")
    assert await store.read.ledger.open_at() == {"p": NOW}
    await store.put(Removal(writing.task))
    assert len(await store.read.ledger.unsettled("p", LATE, 10)) == 1
    assert await store.read.ledger.unsettled("q", LATE, 10) == []


async def test_what_was_asked_for_in_vain_is_due_later(store: Store) -> None:
    """Each charge at a time of its own, the first due first; what is corrected is not due any
    more, whoever still defers it."""
    writing = await written(store, "u1", CLAIMED, task=fresh("u1", spent=SPENT))
    await born(store, unknown("u1"), unknown("u1", attempt=2), uid="u2")
    await writing.move(example(happened.Finished))
    await store.put(Deferral("u1", 1, 3, LATE))
    due = await store.read.ledger.unsettled("p", LATE - 1, 10)
    assert [(tries, one.attempt) for tries, one in due] == [(0, 2)]
    both = await store.read.ledger.unsettled("p", LATE, 10)
    assert [(tries, one.attempt) for tries, one in both] == [(0, 2), (3, 1)]
    for attempt in (1, 2):
        correction = line("correction", 20, "u1", attempt=attempt, verdict="charged")
        await store.put(Correction(correction))
        await store.put(Deferral("u1", attempt, 4, 0))
    assert await store.read.ledger.unsettled("p", LATE, 10) == []
    assert not await store.read.ledger.has_open()


async def test_sums_by_day_and_model(store: Store) -> None:
    """The last day first; a correction counts on its charge's day, other money in no sum."""
    entries = (
        line("hold", 500),
        line("charge", 5, verdict="charged"),
        line("charge", 7, verdict="estimated", attempt=2),
        unknown(attempt=3, day=DAY - 1),
        line("charge", 9, verdict="charged", currency="EUR", attempt=4),
        line("charge", 11, verdict="charged", model="n", attempt=5),
    )
    await born(store, *entries)
    await store.put(
        Correction(line("correction", 3, attempt=3, verdict="charged", day=DAY - 1, at=NOW + 9))
    )
    totals = await store.read.ledger.totals("ann", FIRST, LAST)
    assert [(one.day, one.model, one.amount, one.charges) for one in totals] == [
        (DAY, "m", 12, 2),
        (DAY, "n", 11, 1),
        (DAY - 1, "m", 3, 1),
    ]
    assert [(one.estimated, one.unknown) for one in totals] == [(1, 0), (0, 0), (0, 0)]
    assert await store.read.ledger.totals("ann", FIRST, DAY - 2) == []
    assert await store.read.ledger.totals("bob", FIRST, LAST) == []


async def test_an_empty_ledger(store: Store) -> None:
    """Nothing is held, spent or open."""
    ledger = store.read.ledger
    assert (await ledger.held(), await ledger.spent(DAY)) == ([], {})
    assert await ledger.unsettled("p", LATE, 10) == []
    assert await ledger.open_at() == {} and not await ledger.has_open()
