"""The store's contract: what is read of the past to know how long attempts take."""

from __future__ import annotations

from safelight.store import Change, RunTime, Store
from safelight_protocol.task import State, Task
from tests.doubles.lives import NOW, changed, fresh, resolved
from tests.doubles.writes import create, living


async def ended(store: Store, uid: str, state: State, took: int, **more: object) -> Task:
    """A task that ended `took` after its claim."""
    born = await create(store, fresh(uid))
    at = NOW + took
    after = changed(born, state=state, claimed_at=NOW, ended_at=at, seq=1, **more)
    await store.put(Change(before=born, after=after))
    return after


async def test_those_that_completed_are_told_the_newest_first(store: Store) -> None:
    """Where each really ran, and for how long; not of those that failed, or still run."""
    await ended(store, "u1", State.COMPLETED, 1000)
    await ended(store, "u2", State.FAILED, 2000)
    south = resolved(model="south/x", provider="south", backend="gpu")
    await ended(store, "u3", State.COMPLETED, 3000, via=south)
    await create(store, fresh("u4"))
    assert await store.read.run_times(10) == [
        RunTime("south", "gpu", "south/x", 3000),
        RunTime("local", None, "local/painter", 1000),
    ]
    assert await store.read.run_times(1) == [RunTime("south", "gpu", "south/x", 3000)]


async def test_who_is_live_is_told_with_owner_and_model(store: Store) -> None:
    """Of the host where its attempt is, not of the one that was asked for."""
    born = await create(store, fresh("u1"))
    south = resolved(model="south/x", provider="south")
    await store.put(Change(before=born, after=changed(born, state=State.RUNNING, via=south)))
    (row,) = await store.read.live()
    assert (row.owner, row.provider, row.model) == ("ann", "south", "south/x")
    assert (await living(store))[0].ran == south
