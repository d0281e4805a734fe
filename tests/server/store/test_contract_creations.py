"""The store's contract: creations are decided where they are written, and deletions stay.

The decision table itself is tested in tests/protocol/test_identity_decisions.py; here it
is asked with what is stored, and with what is just being written by others.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from safelight.store import Birth, Created, Creation, Fenced, Removal, Store
from safelight_protocol import inputs as happened
from safelight_protocol.codes import Refused
from safelight_protocol.events import Artifact
from safelight_protocol.task import Asked, Task
from tests.doubles.lives import ARTIFACT, CHARGED, NOW, asked, example, fresh
from tests.doubles.writes import Writing, birth, create, creation, written
from tests.server.store.conftest import Engine

CLAIMED = happened.Claimed(NOW + 60_000)
FINISHED = example(happened.Finished)
CAT: Asked = asked(prompt="a cat")


async def at_once(store: Store, *creations: Creation) -> list[Any]:
    """What several creations of one instant, hence of one batch, come to."""
    groups = store.statistics()["groups"]
    outcomes = await asyncio.gather(*map(store.put, creations), return_exceptions=True)
    assert store.statistics()["groups"] == groups + 1
    return outcomes


def codes(outcomes: list[Any]) -> list[str]:
    """The codes of refusals; `new` and `attached` for the others."""
    names = {True: "new", False: "attached"}
    return [o.code.name if isinstance(o, Refused) else names[o.fresh] for o in outcomes]


def uids(outcomes: list[Created]) -> list[str]:
    return [outcome.task.uid for outcome in outcomes]


async def refusal(store: Store, task: Task, **options: Any) -> str:
    """The code with which a creation is refused; nothing is written by it."""
    position = store.position
    with pytest.raises(Refused) as refused:
        await create(store, task, **options)
    assert store.position == position
    return refused.value.code.name


async def test_a_new_task_is_whole(store: Store) -> None:
    """Row, request and first event are there at once, and the answer is the stored task."""
    made: Created = await store.put(creation(fresh("u1"), key="k"))
    assert made.fresh
    assert await store.read.task("ann", "u1") == made.task
    assert [row.seq for row in await store.read.events("u1", 0, 9)] == [1]
    assert await store.read.horizon("u1") == 1


async def test_a_task_that_is_born_otherwise_is_whole_too(store: Store) -> None:
    """Whatever a birth brings is stored, beside others of its batch that are as most are."""
    odd = birth(fresh("u1"))
    task = msgspec.structs.replace(odd.task, faults=2, handle="h", not_before=NOW + 5, progress=0.5)
    born = msgspec.structs.replace(odd, task=task)
    outcomes = await at_once(
        store, creation(fresh("u0")), creation(task, bear=lambda: born), creation(fresh("u2"))
    )
    for made in outcomes:
        assert await store.read.task("ann", made.task.id) == made.task
    assert outcomes[1].task == task


async def test_two_alike_in_one_instant_are_one_task(store: Store) -> None:
    """Without id and key, equal requests of one batch meet, and all have their answer."""
    alike = [creation(fresh(f"u{n}"), reuse="inflight") for n in range(3)]
    outcomes = await at_once(store, *alike)
    assert codes(outcomes) == ["new", "attached", "attached"]
    assert set(uids(outcomes)) == {"u0"}
    assert len(await store.read.live()) == 1


async def test_one_id_in_one_instant_is_one_task(store: Store) -> None:
    """The second creator attaches if he asks for the same, else he is told what differs."""
    born: list[str] = []

    def bear() -> Birth:
        born.append("u1")
        return birth(fresh("u1", id="x"))

    outcomes = await at_once(
        store,
        creation(fresh("u1"), id="x", bear=bear),
        creation(fresh("u2"), id="x"),
        creation(fresh("u3", asked=CAT), id="x"),
        creation(fresh("u4", owner="bob"), id="x"),
    )
    assert codes(outcomes) == ["new", "attached", "id_conflict", "new"]
    assert born == ["u1"]  # seen within the batch, not found out by an index that fails


async def test_one_key_in_one_instant_is_one_task(store: Store) -> None:
    """As with an id; another owner's key is another key, and another key another task."""
    outcomes = await at_once(
        store,
        creation(fresh("u1"), key="k"),
        creation(fresh("u2"), key="k"),
        creation(fresh("u3", asked=CAT), key="k"),
        creation(fresh("u4", owner="bob"), key="k"),
        creation(fresh("u5"), key="l"),
    )
    assert codes(outcomes) == ["new", "attached", "key_reused", "new", "new"]
    assert [task.uid for task in await store.read.live()] == ["u1", "u4", "u5"]


async def test_id_and_key_in_one_instant_can_disagree(store: Store) -> None:
    """An id and a key that two others of the batch have just taken are told apart."""
    outcomes = await at_once(
        store,
        creation(fresh("u1"), id="x", key="k"),
        creation(fresh("u2"), id="y", key="l"),
        creation(fresh("u3"), id="x", key="l"),
        creation(fresh("u4"), id="x", key="m"),
        creation(fresh("u5"), key="m"),
    )
    assert codes(outcomes) == ["new", "new", "key_reused", "attached", "attached"]
    assert outcomes[2].extra == {"task_id": "y"}
    assert outcomes[4].task.uid == "u1"


async def test_attaching_gives_the_task_as_it_stands(store: Store) -> None:
    """By id or by key, in whatever state: also long after its end."""
    writing = await written(store, "u1", CLAIMED, id="x", key="k")
    assert await create(store, fresh("u2"), id="x") == writing.task
    await writing.move(happened.GaveUp(example(happened.Faulted).error, CHARGED))
    for options in ({"id": "x"}, {"key": "k"}, {"id": "x", "key": "k"}):
        assert await create(store, fresh("u3"), **options) == writing.task
    assert len(await store.read.events("u1", 0, 9)) == 3


async def test_a_key_is_bound_when_it_attaches(store: Store) -> None:
    """However a key came to its task, it leads there from then on."""
    await create(store, fresh("u1"), id="x")
    await create(store, fresh("u2"), id="x", key="by id")
    await create(store, fresh("u3"), key="by likeness", reuse="inflight")
    for key in ("by id", "by likeness"):
        assert (await create(store, fresh("u4"), key=key)).uid == "u1"
        assert await refusal(store, fresh("u5", asked=CAT), key=key) == "key_reused"


async def test_a_refused_creation_binds_nothing(store: Store) -> None:
    """A key that came with a refusal is still free."""
    await create(store, fresh("u1"), id="x", key="k")
    assert await refusal(store, fresh("u2", asked=CAT), id="x", key="l") == "id_conflict"
    assert await refusal(store, fresh("u2", asked=CAT), id="y", key="k") == "key_reused"
    assert (await create(store, fresh("u3", asked=CAT), id="y", key="l")).uid == "u3"


async def test_what_cannot_be_born_takes_nothing(store: Store) -> None:
    """A refusal by the registry leaves id and key to the next, even in the same batch."""

    def unborn() -> Any:
        raise Refused("unknown_model", "no such model")

    outcomes = await at_once(
        store,
        creation(fresh("u1"), id="x", key="k", bear=unborn),
        creation(fresh("u2"), id="x", key="k"),
    )
    assert codes(outcomes) == ["unknown_model", "new"]


async def test_on_a_channel_another_task_is_no_answer(store: Store) -> None:
    """A key of task u1 creates nothing on `task:y`."""
    await create(store, fresh("u1"), key="k")
    assert await refusal(store, fresh("u2"), id="y", key="k", topic_id="y") == "key_reused"
    assert (await create(store, fresh("u2"), id="y", key="k")).uid == "u1"


LIKE: list[tuple[str, list[happened.Happening], dict[str, bool]]] = [
    ("waits", [], {"inflight": True, "completed": True}),
    ("runs", [CLAIMED], {"inflight": True, "completed": True}),
    ("cancels", [CLAIMED, happened.CancelAsked()], {"inflight": False, "completed": False}),
    ("completed", [CLAIMED, FINISHED], {"inflight": False, "completed": True}),
    ("failed", [CLAIMED, example(happened.GaveUp)], {"inflight": False, "completed": False}),
    ("canceled", [happened.CancelAsked()], {"inflight": False, "completed": False}),
]


@pytest.mark.parametrize("reuse", ["inflight", "completed", "never"])
@pytest.mark.parametrize(("moves", "meets"), [row[1:] for row in LIKE], ids=[r[0] for r in LIKE])
async def test_reuse_finds_what_is_alike(
    store: Store, moves: list[happened.Happening], meets: dict[str, bool], reuse: Any
) -> None:
    """What runs and is not canceling, or what has completed; nothing that failed is in the way."""
    await written(store, "u1", *moves)
    made: Created = await store.put(creation(fresh("u2"), reuse=reuse))
    assert made.fresh is not meets.get(reuse, False)
    for other in (fresh("u3", asked=CAT), fresh("u4", owner="bob")):
        stranger: Created = await store.put(creation(other, reuse=reuse))
        assert stranger.fresh


async def test_the_oldest_that_runs_goes_before_the_newest_that_completed(store: Store) -> None:
    """Of several alike: the oldest in flight, else the newest with a result."""
    for uid in ("done1", "done2"):
        await written(store, uid, CLAIMED, FINISHED)
    running = [await written(store, uid, CLAIMED) for uid in ("run1", "run2")]
    assert (await create(store, fresh("n1"), reuse="completed")).uid == "run1"
    for writing in running:
        await writing.move(happened.CancelAsked())
    assert (await create(store, fresh("n2"), reuse="completed")).uid == "done2"


async def test_a_likeness_ends_with_the_change_beside_it(store: Store) -> None:
    """A task that ends in the very batch of a creation is not attached to as running."""
    writing = await written(store, "u1", CLAIMED)
    ending = asyncio.create_task(writing.move(example(happened.GaveUp)))
    made: Created = await store.put(creation(fresh("u2"), reuse="inflight"))
    await ending
    assert made.fresh
    assert store.statistics()["groups"] == 3


async def removed(store: Store, uid: str = "u1", **options: Any) -> Writing:
    """A task that was made, ended and deleted."""
    made = [CLAIMED, happened.Produced(ARTIFACT), FINISHED]
    writing = await written(store, uid, *made, **options)
    await store.put(Removal(writing.task))
    return writing


async def test_a_deletion_leaves_a_tombstone_and_nothing_else(store: Store) -> None:
    """Row, log, snapshot and artifacts are gone; the id says so, and so does the position."""
    writing = await removed(store)
    assert await store.read.task("ann", "u1") is None
    assert await store.read.events("u1", 0, 9) == []
    assert await store.read.snapshots(["u1"]) == {}
    assert await store.read.artifact("cap") is None
    assert await store.read.page("ann", None, 9) == []
    assert await store.read.is_gone("ann", "u1") and not await store.read.is_gone("bob", "u1")
    (change,) = await store.read.changes("ann", 0, 9)
    assert (change.uid, change.id, change.changed) == (None, "u1", store.position)
    with pytest.raises(Fenced):
        await store.put(Removal(writing.task))


async def test_what_was_deleted_stays_taken(store: Store) -> None:
    """Its id and each of its keys answer `gone`, for whatever request; a likeness does not."""
    await create(store, fresh("u1"), id="x", key="k")
    writing = Writing(store, await create(store, fresh("u1"), id="x", key="l"))
    await writing.move(CLAIMED, FINISHED)
    await store.put(Removal(writing.task))
    assert await refusal(store, fresh("u2"), id="x") == "gone"
    assert await refusal(store, fresh("u2", asked=CAT), key="k") == "gone"
    assert await refusal(store, fresh("u2"), key="l") == "gone"
    assert await refusal(store, fresh("u2"), id="free", key="l") == "gone"
    assert (await create(store, fresh("u2"), reuse="completed")).uid == "u2"
    assert (await create(store, fresh("u3", owner="bob"), id="x", key="k")).uid == "u3"


async def test_what_runs_is_not_deleted(store: Store) -> None:
    """A removal of a task that has not ended, or of none, is refused and removes nothing."""
    running = await written(store, "u1", CLAIMED)
    for task in (running.task, fresh("nobody")):
        with pytest.raises(Fenced):
            await store.put(Removal(task))
    assert len(await store.read.events("u1", 0, 9)) == 2


async def test_two_deletions_are_one(store: Store) -> None:
    """Of two in one instant the second is told that there is nothing left to delete."""
    writing = await written(store, "u1", CLAIMED, happened.Produced(ARTIFACT), FINISHED)
    twice = [store.put(Removal(writing.task)), store.put(Removal(writing.task))]
    first, second = await asyncio.gather(*twice, return_exceptions=True)
    assert first == [ARTIFACT.sha256] and isinstance(second, Fenced)


async def test_shared_bytes_stay_until_the_last_is_deleted(store: Store) -> None:
    """A removal names the hashes that nothing uses any more, each once, also within a batch."""
    made = []
    for n in range(3):
        files = [happened.Produced(_file(f"{n}{m}", shared=m == 0)) for m in range(3)]
        made.append(await written(store, f"u{n}", CLAIMED, *files, FINISHED))
    assert await store.put(Removal(made[0].task)) == ["own-01", "own-02"]
    last = await asyncio.gather(*(store.put(Removal(one.task)) for one in made[1:]))
    assert last == [["own-11", "own-12"], ["own-21", "own-22", "shared"]]


def _file(name: str, *, shared: bool) -> Artifact:
    hashed = "shared" if shared else f"own-{name}"
    return msgspec.structs.replace(ARTIFACT, id=name, sha256=hashed)


async def test_a_deletion_beats_an_attach_of_the_same_instant(store: Store) -> None:
    """Who attaches in the very batch that deletes is told the task as it was; the next, gone."""
    writing = await written(store, "u1", CLAIMED, FINISHED)
    attached, unused = await asyncio.gather(
        store.put(creation(fresh("u2"), id="u1", key="k")), store.put(Removal(writing.task))
    )
    assert (attached.task.uid, unused) == ("u1", [])
    assert await refusal(store, fresh("u3"), key="k") == "gone"
    assert await refusal(store, fresh("u3"), id="u1") == "gone"


async def test_ids_and_keys_survive_a_new_start(engine: Engine) -> None:
    """Also tombstones: who comes back after a restart gets the answers of before."""
    async with engine() as store:
        await create(store, fresh("u1"), id="x", key="k")
        await removed(store, "u2", key="gone")
    async with engine() as store:
        assert (await create(store, fresh("n"), id="x")).uid == "u1"
        assert (await create(store, fresh("n"), key="k")).uid == "u1"
        assert (await create(store, fresh("n"), reuse="inflight")).uid == "u1"
        assert await refusal(store, fresh("n"), key="gone") == "gone"
        assert await refusal(store, fresh("n"), id="u2") == "gone"


async def test_names_are_taken_as_they_are(store: Store) -> None:
    """Quotes, blanks, accents and JSON in a key are only characters; case counts."""
    keys = ["a", "A", "a ", "'; DROP TABLE keys; --", '{"a":1}', "é", "e\u0301", "\\u0061", "%"]
    for n, key in enumerate(keys):
        made: Created = await store.put(creation(fresh(f"u{n}"), key=key))
        assert made.fresh, key
    for n, key in enumerate(keys):
        assert (await create(store, fresh("again"), key=key)).uid == f"u{n}"
