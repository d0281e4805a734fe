"""The store's contract: fenced changes, group commit, and what is read back."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from safelight.store import Change, Fenced, Store
from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from safelight_protocol.events import Charge, decode_event, encode_event
from safelight_protocol.task import State, Task
from tests.doubles.lives import (
    ARTIFACT,
    EXAMPLES,
    NOW,
    brought_to,
    changed,
    example,
    fresh,
    resolved,
)
from tests.doubles.writes import (
    Writing,
    artifact_row,
    change,
    create,
    creation,
    living,
    written,
)
from tests.server.store.conftest import Engine

CLAIMED = happened.Claimed(NOW + 60_000)


def text(task: Task, words: str = "a") -> Change:
    """One more event of a running task."""
    return change(task, lifecycle.step(task, happened.Wrote(words), NOW))


async def test_a_put_is_readable_when_it_returns(store: Store) -> None:
    """After `put` the reader sees the row and its event, as they were given."""
    writing = await written(store)
    (event,) = await writing.move(CLAIMED)
    stored = await store.read.task("ann", "u1")
    assert stored == writing.task and stored is not writing.task
    rows = await store.read.events("u1", 1, 10)
    assert [decode_event(row.body) for row in rows] == [event]
    assert [row.body for row in rows] == [encode_event(event)]


@pytest.mark.parametrize("state", list(State))
async def test_a_row_comes_back_as_it_was(store: Store, state: State) -> None:
    """Whatever state a task is in, each of its fields survives."""
    born = await create(store)
    full = changed(
        brought_to(state, fresh(id="u1")),
        **{"faults": 2, "attempt": 4, "claim": 7, "progress": 0.1235, "handle": "é\U0001d11e'\""},
        **{"canceling": True, "handle_told": True, "not_before": NOW, "deadline": NOW + 1},
        **{"claimed_at": NOW + 2, "ended_at": NOW + 3, "seq": 1, "seed": str(2**64 - 1)},
        **{"spent": Charge("unknown", 7, "EUR", 'attempt 1: "é"'), "place": "http://h/ö"},
        via=resolved(model="south/x", provider="south"),
    )
    await store.put(Change(before=born, after=full))
    assert (await store.read.tasks(["u1"]))["u1"] == full


@pytest.mark.parametrize(
    "stale",
    [
        {"claim": 0},
        {"claim": 2},
        {"seq": 1},
        {"seq": 3},
        {"state": State.RUNNING},
        {"uid": "nobody"},
    ],
    ids=str,
)
async def test_who_is_not_the_owner_is_refused(store: Store, stale: dict[str, object]) -> None:
    """A change from another claim, seq or state, or of no task, is fenced and leaves no trace."""
    writing = await written(store, "u1", CLAIMED)
    position = store.position
    behind = changed(writing.task, **stale)
    with pytest.raises(Fenced):
        await store.put(Change(before=behind, after=changed(behind, seq=9, progress=0.9)))
    assert (await store.read.tasks(["u1"]))["u1"] == writing.task
    assert len(await store.read.events("u1", 0, 10)) == 2
    assert store.position == position


async def test_the_others_of_a_batch_are_written(store: Store) -> None:
    """A stale member is refused alone, however many stand beside it, and none waits for it."""
    tasks = [(await written(store, f"u{n}", CLAIMED)).task for n in range(4)]
    stale = changed(tasks[1], claim=0)
    outcomes = await asyncio.gather(
        *(store.put(text(task)) for task in (tasks[0], stale, tasks[2], tasks[3])),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [Task, Fenced, Task, Task]
    counts = [len(await store.read.events(task.uid, 0, 10)) for task in tasks]
    assert counts == [3, 2, 3, 3]


@pytest.mark.parametrize("stale_first", [True, False])
async def test_a_stale_member_has_no_help_from_a_good_one(store: Store, stale_first: bool) -> None:
    """Two changes of one task in one batch: each is judged by what it says itself."""
    task = (await written(store, "u1", CLAIMED)).task
    stale = changed(task, claim=0)
    wrong = Change(before=stale, after=changed(stale, progress=0.9))
    right = Change(before=task, after=changed(task, progress=0.5))
    items = [wrong, right] if stale_first else [right, wrong]
    outcomes = await asyncio.gather(*map(store.put, items), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == (
        [Fenced, Task] if stale_first else [Task, Fenced]
    )
    assert (await store.read.tasks(["u1"]))["u1"].progress == 0.5


async def test_of_two_equal_changes_one_is_written(store: Store) -> None:
    """Who moves a task twice from the same place is told, in one batch or in two."""
    task = (await written(store, "u1", CLAIMED)).task
    outcomes = await asyncio.gather(
        store.put(text(task, "a")), store.put(text(task, "b")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [Task, Fenced]
    with pytest.raises(Fenced):
        await store.put(text(task, "c"))
    assert len(await store.read.events("u1", 0, 10)) == 3


async def test_a_silent_move_is_fenced_too(store: Store) -> None:
    """Without an event the seq stays; the state still tells the one who comes too late."""
    task = (await written(store, "u1", CLAIMED)).task
    saved = change(task, lifecycle.step(task, happened.HandleSaved("p"), NOW))
    outcomes = await asyncio.gather(store.put(saved), store.put(saved), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Task, Fenced]
    assert (await store.read.tasks(["u1"]))["u1"].handle == "p"
    with pytest.raises(Fenced):
        await store.put(saved)


async def test_what_waits_together_is_written_together(store: Store) -> None:
    """A hundred creations in one instant are one transaction; the next hundred another."""
    before = store.statistics()
    for turn in range(2):
        await asyncio.gather(*(store.put(creation(fresh(f"{turn}-{n}"))) for n in range(100)))
    after = store.statistics()
    assert after["members"] - before["members"] == 200
    assert after["groups"] - before["groups"] == 2


async def test_while_one_is_written_the_next_gather(store: Store) -> None:
    """Whatever comes during a transaction makes up the one after it."""
    first = asyncio.create_task(store.put(creation(fresh("first"))))
    for _ in range(10):
        await asyncio.sleep(0)
    assert store.statistics()["groups"] == 1
    await asyncio.gather(*(store.put(creation(fresh(f"u{n}"))) for n in range(50)))
    told = store.statistics()
    assert (told["groups"], told["members"], told["reopened"]) == (2, 51, 0)
    assert (await first).fresh


async def test_a_group_has_a_bound(store: Store) -> None:
    """More than 512 in one instant are several transactions, and all are written."""
    await asyncio.gather(*(store.put(creation(fresh(f"u{n}"))) for n in range(600)))
    told = store.statistics()
    assert (told["groups"], told["members"], told["reopened"]) == (2, 600, 0)
    assert len(await store.read.live()) == 600


async def test_whoever_stops_waiting_has_still_written(store: Store) -> None:
    """A cancelled waiter loses no write and tears none, at whatever moment he goes."""
    for turns in range(8):
        putting = asyncio.create_task(store.put(creation(fresh(f"u{turns}"))))
        for _ in range(turns):
            await asyncio.sleep(0)
        started = turns > 0
        if putting.cancel():
            with pytest.raises(asyncio.CancelledError):
                await putting
        else:
            assert turns > 1  # a fast disk answers within a few turns of the loop
        await create(store, fresh(f"after{turns}"))
        events = await store.read.events(f"u{turns}", 0, 10)
        task = await store.read.task("ann", f"u{turns}")
        assert (len(events), task is not None) == ((1, True) if started else (0, False))


async def test_a_whole_life_is_read_back(store: Store) -> None:
    """Every event in order, in pages of any size, and the final snapshot at the end."""
    writing = await written(store)
    told = await writing.move(*[h for h in EXAMPLES[1:7] if not isinstance(h, happened.Waiting)])
    assert (await store.read.snapshots(["u1"])).keys() == {"u1"}
    pages: list[int] = []
    while rows := await store.read.events("u1", pages[-1] if pages else 0, 2):
        pages += [row.seq for row in rows]
    assert pages == list(range(1, len(told) + 2))
    assert {row.run for row in await store.read.events("u1", 0, 99)} == {store.run}


async def test_artifacts_are_written_with_their_event(store: Store) -> None:
    """An artifact is found by its capability, with its owner, and among those of its task."""
    writing = await written(store, "u1", CLAIMED, happened.Produced(ARTIFACT))
    row = artifact_row(writing.task, example(happened.Produced))
    assert await store.read.artifact("cap") == (row, "ann")
    assert await store.read.artifacts_of("u1") == [row]
    assert await store.read.artifact("pac") is None


async def test_a_defect_item_fails_alone(store: Store) -> None:
    """What cannot be written at all is told to its own caller; the writer goes on."""
    task = (await written(store, "u1", CLAIMED)).task
    taken = artifact_row(task, example(happened.Produced))
    await store.put(Change(before=task, after=changed(task, progress=0.1), artifact=taken))
    moved = changed(task, progress=0.1)
    twice = Change(before=moved, after=changed(moved, progress=0.2), artifact=taken)

    def fails() -> None:
        raise ArithmeticError("a bug of ours")

    outcomes = await asyncio.gather(
        store.put(creation(fresh("u2"))),
        store.put(twice),
        store.put(creation(fresh("u3"), bear=fails)),
        store.put(creation(fresh("u4"), id="\ud800")),
        store.put(creation(fresh("u5"))),
        return_exceptions=True,
    )
    good = [not isinstance(outcome, Exception) for outcome in outcomes]
    assert good == [True, False, False, False, True]
    assert isinstance(outcomes[2], ArithmeticError)
    assert [t.uid for t in await store.read.live()] == ["u1", "u2", "u5"]
    assert (await store.read.tasks(["u1"]))["u1"].progress == 0.1


async def test_positions_count_changes(store: Store) -> None:
    """Each write has the next position; a refused one none; each task its latest only."""
    one, two = await written(store, "u1"), await written(store, "u2")
    await one.move(CLAIMED)
    assert store.position == 3
    changes = await store.read.changes("ann", 0, 10)
    assert [(row.uid, row.changed) for row in changes] == [("u2", 2), ("u1", 3)]
    assert await store.read.changes("ann", 3, 10) == []
    assert [row.uid for row in await store.read.changes("ann", 0, 1)] == ["u2"]
    assert await store.read.changes("bob", 0, 10) == []
    assert two.task.seq == 1


async def test_pages_go_backwards(store: Store) -> None:
    """Newest first, each owner his own, from before a number on, and from nothing on at 0."""
    for n in range(5):
        await create(store, fresh(f"u{n}", owner="ann" if n != 2 else "bob"))
    page = await store.read.page("ann", None, 3)
    assert [task.uid for _, task in page] == ["u4", "u3", "u1"]
    rest = await store.read.page("ann", page[-1][0], 3)
    assert [task.uid for _, task in rest] == ["u0"]
    assert await store.read.page("ann", 0, 3) == []


async def test_all_of_it_is_there_after_a_new_start(engine: Engine) -> None:
    """What was written in one opening is read in the next, byte by byte."""
    async with engine() as store:
        ended = await written(store, "u1", CLAIMED, example(happened.GaveUp))
        alive = await written(store, "u2", CLAIMED, happened.Wrote("a"))
        events, position = await store.read.events("u2", 0, 10), store.position
    async with engine() as store:
        assert await living(store) == [alive.task]
        assert await store.read.task("ann", "u1") == ended.task
        assert await store.read.events("u2", 0, 10) == events
        assert store.position == position
        again = Writing(store, alive.task)
        await again.move(happened.Wrote("b"))
        assert [row.run for row in await store.read.events("u2", 0, 10)] == [1, 1, 1, 2]


async def test_every_opening_has_a_log_of_its_own(engine: Engine) -> None:
    """Runs count up, ids never repeat, and the end of an earlier log is known."""
    seen = []
    for n in range(3):
        async with engine() as store:
            await create(store, fresh(f"u{n}"))
            seen.append((store.run, store.log, store.position))
            assert await store.read.run_of_log(store.log) == store.run
            assert await store.read.end_of_log(store.log) is None
    assert [run for run, _, _ in seen] == [1, 2, 3]
    assert len({log for _, log, _ in seen}) == 3
    async with engine() as store:
        assert [await store.read.end_of_log(log) for _, log, _ in seen] == [1, 2, 3]
        assert await store.read.end_of_log("another") is None
        assert await store.read.run_of_log("another") is None


async def test_a_closed_store_takes_nothing(engine: Engine) -> None:
    """What waits at the end is written first; what comes later is refused, not forgotten."""
    async with engine() as store:
        waiting = [asyncio.create_task(store.put(creation(fresh(f"u{n}")))) for n in range(9)]
        await asyncio.sleep(0)
    assert all(outcome.fresh for outcome in await asyncio.gather(*waiting))
    with pytest.raises(Exception, match="closed"):
        await store.put(creation(fresh("late")))
    async with engine() as store:
        assert len(await store.read.live()) == 9


async def test_a_snapshot_is_stored_as_bytes(store: Store) -> None:
    """The final snapshot comes back exactly as it was given, and only that of its task."""
    writing = await written(store, "u1", CLAIMED)
    step = lifecycle.step(writing.task, example(happened.GaveUp), NOW)
    given = msgspec.structs.replace(change(writing.task, step), snapshot=b'{"odd":"\xc3\xa9"}')
    await store.put(given)
    assert await store.read.snapshots(["u1", "u2"]) == {"u1": b'{"odd":"\xc3\xa9"}'}
