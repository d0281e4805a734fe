"""The store's contract: what owners have chosen, and where a live task waits or runs."""

from __future__ import annotations

import asyncio

import pytest

from safelight.store import Fenced, Preference, Store
from safelight_protocol import inputs as happened
from safelight_protocol.lifecycle import step
from tests.doubles.lives import NOW, changed, fresh, resolved
from tests.doubles.writes import change, create, written
from tests.server.store.conftest import Engine


async def test_a_choice_is_kept(engine: Engine) -> None:
    """Each owner has one, the last that was made, and it is there after a restart."""
    async with engine() as store:
        assert await store.read.preferences() == {}
        made = Preference("ann", "kerniegen")
        assert await store.put(made) == made
        await store.put(Preference("bob", "comfyui"))
        await store.put(Preference("ann", "comfyui"))
    async with engine() as store:
        assert await store.read.preferences() == {"ann": "comfyui", "bob": "comfyui"}


async def test_a_choice_can_be_taken_back(store: Store) -> None:
    """Also one that was never made."""
    await store.put(Preference("ann", "kerniegen"))
    for _ in range(2):
        await store.put(Preference("ann", None))
    assert await store.read.preferences() == {}


@pytest.mark.parametrize("last", ["b", None])
async def test_of_choices_in_one_instant_the_last_counts(store: Store, last: str | None) -> None:
    """They may share a transaction, and other writes with it."""
    chosen = [Preference("ann", name) for name in ("a", None, "c", last)]
    await asyncio.gather(create(store), *(store.put(one) for one in chosen))
    expected = {} if last is None else {"ann": last}
    assert await store.read.preferences() == expected


async def test_a_start_knows_each_live_tasks_backend(store: Store) -> None:
    """And the place of an attempt under way; None where there is none."""
    task = await create(store, fresh("u1", resolved=resolved(provider="comfyui", backend="gpu")))
    await create(store, fresh("u2"))
    claimed = step(task, happened.Claimed(NOW, "http://here"), NOW)
    await store.put(change(task, claimed))
    rows = await store.read.live()
    assert [(row.uid, row.provider, row.backend, row.place) for row in rows] == [
        ("u1", "comfyui", "gpu", "http://here"),
        ("u2", "local", None, None),
    ]


async def test_a_place_is_fenced_like_the_rest(store: Store) -> None:
    """A claim that comes too late does not move where the task is said to run."""
    writing = await written(store, "u1", happened.Claimed(NOW, "http://here"))
    behind = changed(writing.task, state=fresh().state, claim=0, seq=1)
    late = step(behind, happened.Claimed(NOW, "http://there"), NOW)
    with pytest.raises(Fenced):
        await store.put(change(behind, late))
    assert (await store.read.tasks(["u1"]))["u1"].place == "http://here"
