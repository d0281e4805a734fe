"""The decision table of a create, each row through each door, against a running server.

The rows are those that docs/wire.md prints (`safelight.schema.decisions`), and what is
expected of a door is read from their own words, so that neither can say what does not
hold. The doors are in tests/doubles/doors.py. All cases share a server, each as an owner
of its own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from safelight.schema.decisions import DECISIONS, Decision
from tests.doubles.doors import DOORS, ON_A_TASK, PUSHES, Door, Told, Wish, push
from tests.doubles.served import Served, served
from tests.doubles.tenants import Tenant, tenant, tokens

on_one_server = pytest.mark.asyncio(loop_scope="module")

TENANTS = 1000
_numbers = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The server of this file."""
    directory = tmp_path_factory.mktemp("doors") / "data"
    async with served(directory, tokens=tokens(TENANTS)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def house(shared: Served) -> AsyncIterator[Tenant]:
    """That server, as a new owner sees it. What he left running ends with him."""
    shared.scripted.deaf = False
    async with tenant(shared, next(_numbers)) as mine:
        yield mine
    shared.scripted.gate(mine.name).set()


def script(house: Tenant, state: str) -> list[dict[str, Any]]:
    """What a task must be told to come to a state, the same for all of a row."""
    if state in ("completed", "deleted"):
        return []
    if state == "failed":
        return [{"do": "never", "message": "no"}]
    return [{"do": "wait", "gate": house.name}]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One case of a row of the table: what is there, what is asked, whom it finds.

    `there` are `(id, key)` of tasks that were made in this order, all alike; `finds` is
    the place of the one that is attached to.
    """

    decision: int
    name: str
    state: str = "running"
    there: tuple[tuple[str, str | None], ...] = ()
    id: str | None = None
    key: str | None = None
    reuse: str | None = None
    another: bool = False
    finds: int = 0


ONE = (("one", None),)
KEYED = (("one", "k"),)
TWO = (("one", None), ("two", "k"))
PAIR = (("one", None), ("two", None))

ROWS = (
    Row(decision=0, name="id, no key", there=ONE, id="one"),
    Row(decision=0, name="id, fresh key", there=ONE, id="one", key="new"),
    Row(decision=0, name="id, its own key", there=KEYED, id="one", key="k"),
    Row(decision=0, name="id, completed", there=KEYED, id="one", key="k", state="completed"),
    Row(decision=0, name="id, failed", there=ONE, id="one", state="failed"),
    Row(decision=0, name="id, canceled", there=ONE, id="one", state="canceled"),
    Row(decision=0, name="id, canceling", there=ONE, id="one", state="canceling"),
    Row(decision=1, name="id of another", there=ONE, id="one", another=True),
    Row(decision=1, name="id of another, fresh key", there=ONE, id="one", key="f", another=True),
    Row(decision=1, name="id of another, its key", there=KEYED, id="one", key="k", another=True),
    Row(decision=1, name="id of an ended one", there=ONE, id="one", another=True, state="failed"),
    Row(decision=2, name="id, key elsewhere", there=TWO, id="one", key="k", finds=1),
    Row(
        decision=2,
        name="another, key elsewhere",
        there=TWO,
        id="one",
        key="k",
        another=True,
        finds=1,
    ),
    Row(decision=3, name="key", there=KEYED, key="k"),
    Row(decision=3, name="key, completed", there=KEYED, key="k", state="completed"),
    Row(decision=3, name="key, failed", there=KEYED, key="k", state="failed"),
    Row(decision=3, name="key, canceled", there=KEYED, key="k", state="canceled"),
    Row(decision=3, name="key, canceling", there=KEYED, key="k", state="canceling"),
    Row(decision=3, name="key goes before likeness", there=TWO, key="k", finds=1),
    Row(decision=3, name="free id, key", there=KEYED, id="free", key="k"),
    Row(decision=4, name="key of another", there=KEYED, key="k", another=True),
    Row(
        decision=4, name="key of another, ended", there=KEYED, key="k", another=True, state="failed"
    ),
    Row(decision=4, name="free id, key of another", there=KEYED, id="free", key="k", another=True),
    Row(decision=5, name="free id", id="free"),
    Row(decision=5, name="free id, fresh key", id="free", key="new"),
    Row(decision=5, name="free id, one alike", there=ONE, id="free"),
    Row(decision=6, name="fresh key", key="new"),
    Row(decision=6, name="fresh key, one alike", there=ONE, key="new"),
    Row(decision=7, name="one alike", there=ONE),
    Row(decision=7, name="two alike", there=PAIR, reuse="inflight"),
    Row(decision=7, name="alike, fresh key", there=ONE, key="new", reuse="inflight"),
    Row(decision=7, name="alike runs, completed will do", there=ONE, reuse="completed"),
    Row(decision=8, name="completed", there=PAIR, reuse="completed", state="completed", finds=1),
    Row(
        decision=8, name="completed, key", there=ONE, key="n", reuse="completed", state="completed"
    ),
    Row(decision=9, name="none alike"),
    Row(decision=9, name="alike, never", there=ONE, reuse="never"),
    Row(decision=9, name="alike, canceling", there=ONE, state="canceling"),
    Row(decision=9, name="alike, completed, only inflight", there=ONE, state="completed"),
    Row(decision=9, name="alike, failed", there=ONE, reuse="completed", state="failed"),
    Row(decision=10, name="deleted id", there=KEYED, id="one", state="deleted"),
    Row(decision=10, name="deleted id, fresh key", there=ONE, id="one", key="f", state="deleted"),
    Row(
        decision=10, name="deleted id, another", there=ONE, id="one", another=True, state="deleted"
    ),
    Row(decision=10, name="deleted key", there=KEYED, key="k", state="deleted"),
    Row(decision=10, name="deleted key, free id", there=KEYED, id="free", key="k", state="deleted"),
)


def playable(row: Row, door: Door) -> bool:
    """Whether a door's clients can come into that case at all."""
    wish = Wish(prompt="", id=row.id, key=row.key, reuse=row.reuse)
    if not door.can(wish):
        return False
    return door.name not in ON_A_TASK or row.id in [id for id, _ in row.there]


CASES = [(row, door) for row in ROWS for door in DOORS if playable(row, door)]


@pytest.mark.parametrize(
    ("row", "door"), CASES, ids=[f"{r.decision} {r.name} | {d.name}" for r, d in CASES]
)
@on_one_server
async def test_the_decision_table_holds_at_every_door(house: Tenant, row: Row, door: Door) -> None:
    """Whatever the door, the row's own words are what its client is told, one task is what
    there is, and nothing is started that was not asked for."""
    wish = _wish(house, row, door)
    for id, key in row.there:
        await _make(house, row, door, id, key)
    if row.state == "deleted" and door.name in ON_A_TASK:
        told = await _pushed_after_deletion(house, row, door, wish)
    else:
        await _bring_about(house, row)
        told = await door.ask(door, house, wish)
    _check(row, door, told)
    _check_count(row, told, await _tasks(house))


def _wish(house: Tenant, row: Row, door: Door) -> Wish:
    return Wish(
        prompt="another" if row.another else "a test",
        params={"script": script(house, row.state)},
        id=row.id,
        key=None if row.key is None else door.keys.format(row.key),
        reuse=row.reuse,
        model=f"scripted/{door.kind}",
    )


async def _make(house: Tenant, row: Row, door: Door, id: str, key: str | None) -> None:
    wish = Wish(
        prompt="a test",
        params={"script": script(house, row.state)},
        id=id,
        key=None if key is None else door.keys.format(key),
        model=f"scripted/{door.kind}",
    )
    answer = await house.post("/api/tasks", wish.native(door.kind))
    assert answer.status_code == 202, answer.text


async def _bring_about(house: Tenant, row: Row) -> None:
    """Every task that is there comes to the row's state."""
    house.scripted.deaf = row.state == "canceling"
    for id, _ in row.there:
        if row.state in ("canceled", "canceling"):
            await _started(house, id)
            await house.post(f"/api/tasks/{id}/cancel")
        if row.state in ("completed", "failed", "canceled", "deleted"):
            await house.events(id)
        if row.state == "deleted":
            assert (await house.http.delete(f"/api/tasks/{id}")).status_code == 200


async def _started(house: Tenant, id: str) -> None:
    """Until the task runs; a cancel of a queued one would end it at once."""
    async with house.http.stream("GET", f"/api/tasks/{id}/events") as stream:
        async for line in stream.aiter_lines():
            if '"type":"started"' in line:
                return


async def _pushed_after_deletion(house: Tenant, row: Row, door: Door, wish: Wish) -> Told:
    """The channel of a task ends with its deletion: it is told so, and a push that comes
    too late finds no channel."""
    async with house.connect() as phone:
        await house.events(str(row.id))
        assert (await phone.join(f"task:{row.id}"))["status"] == "ok"
        await _bring_about(house, row)
        await phone.until(lambda f: f[3] == "phx_close")
        assert phone.received[-2][3] == "task_deleted"
        late = await push(phone, f"task:{row.id}", door.kind, wish)
        assert late.word == "unmatched_topic"
        return Told(word="gone", status=None, task_id=None)


def _check(row: Row, door: Door, told: Told) -> None:
    decision = DECISIONS[row.decision]
    word, status = _expected(decision, row, door)
    assert (told.word, told.status) == (word, None if door.socket else status)
    ids = [id for id, _ in row.there]
    if word in ("attach", "key_reused"):
        assert told.task_id == ids[row.finds]
    if word == "id_conflict":
        assert told.task_id == row.id
    if word == "new":
        assert told.task_id == row.id if row.id is not None else told.task_id not in ids


def _expected(decision: Decision, row: Row, door: Door) -> tuple[str, int]:
    """What the row's words say of this door: `new`, `attach` or a code, and the status."""
    unasked = row.reuse is None and row.id is None and row.key is None
    if decision.outcome == "attach" and unasked and door.name.startswith("batch"):
        return "new", 202  # "Left open, `reuse` means never in a batch"
    if door.socket and row.id == "free" and "of another id error" in decision.socket:
        return "key_reused", 422
    if door.socket and decision.outcome not in ("new", "attach"):
        assert decision.socket == f"error `{decision.outcome}`"
    found = re.match(r"(\d{3})", decision.rest)
    assert found is not None
    return decision.outcome, int(found[1])


def _check_count(row: Row, told: Told, tasks: list[Any]) -> None:
    there = 0 if row.state == "deleted" else len(row.there)
    assert len(tasks) == there + (told.word == "new")


async def _tasks(house: Tenant) -> list[Any]:
    tasks: list[Any] = (await house.http.get("/api/tasks")).json()["data"]["tasks"]
    return tasks


def test_every_row_of_the_printed_table_is_played() -> None:
    """No row of docs/wire.md is left out, and each is played at a REST door, in a batch,
    and, where a channel can come into it, on a socket."""
    assert {row.decision for row in ROWS} == set(range(len(DECISIONS)))
    for place, decision in enumerate(DECISIONS):
        doors = {door.name for row, door in CASES if row.decision == place}
        assert {"rest", "batch"} <= doors, decision.result
        if place != 8:  # reuse is for those who send it: no channel's body has it
            assert any(door.socket for row, door in CASES if row.decision == place)


WITH_REUSE = [door for door in DOORS if door.name in ("rest", "batch", "join with create")]


@pytest.mark.parametrize("door", WITH_REUSE, ids=lambda door: door.name)
@on_one_server
async def test_reuse_beside_an_id_is_invalid(house: Tenant, door: Door) -> None:
    """A fresh id asserts a new task, so asking for another at the same time is refused."""
    told = await door.ask(door, house, Wish(prompt="p", id="one", reuse="never"))
    assert (told.word, told.status) == ("invalid", None if door.socket else 400)
    assert await _tasks(house) == []


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
@on_one_server
async def test_what_the_creator_left_open_never_conflicts(house: Tenant, door: Door) -> None:
    """A request that names a model where the task's creator left it open attaches, is told
    what it asked and what the task has, and changes nothing of the task."""
    hang = {"script": script(house, "running")}
    key = door.keys.format("k")
    first = Wish(prompt="p", params=hang, id="one", key=key).native(door.kind)
    assert (await house.post("/api/tasks", first)).status_code == 202
    names = {"image": "bytedance/seedream-3", "video": "kwaivgi/kling-v2.1", "text": "gpt-4.1"}
    model = names[door.kind]
    id = None if door.has_id is False else "one"
    wish = Wish(prompt="p", params=hang, id=id, key=key, model=model)
    told = await door.ask(door, house, wish)
    assert (told.word, told.task_id) == ("attach", "one")
    different = {"field": "model", "asked": model, "has": f"scripted/{door.kind}"}
    assert different in told.warnings
    (task,) = await _tasks(house)
    assert task["model"] == f"scripted/{door.kind}"


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
@on_one_server
async def test_a_key_that_led_to_a_task_is_bound_to_it(house: Tenant, door: Door) -> None:
    """A fresh key sent with a request that attaches finds that task from then on, and
    no other request may use it."""
    hang = {"script": script(house, "running")}
    model = f"scripted/{door.kind}"
    first = Wish(prompt="p", params=hang, id="one", key=door.keys.format("k"), model=model)
    assert (await house.post("/api/tasks", first.native(door.kind))).status_code == 202
    key = door.keys.format("second" if door.has_id is not False else "k")
    id = None if door.has_id is False else "one"
    told = await door.ask(door, house, Wish(prompt="p", params=hang, id=id, key=key, model=model))
    assert (told.word, told.task_id) == ("attach", "one")
    other = await house.post("/api/tasks", {"kind": "image", "prompt": "x", "request_id": key})
    assert (other.status_code, other.json()["task_id"]) == (422, "one")


CREATING = [door for door in DOORS if door.name not in ON_A_TASK]


@pytest.mark.parametrize("door", CREATING, ids=lambda door: door.name)
@on_one_server
async def test_a_key_of_a_refused_create_is_still_free(house: Tenant, door: Door) -> None:
    """What was refused has bound nothing: mended, the request is accepted with its key."""
    key = door.keys.format("k")
    id = "one" if door.has_id else None
    wrong = await door.ask(door, house, Wish(prompt="p", id=id, key=key, model="nobody/nothing"))
    assert wrong.word == "unknown_model"
    mended = Wish(prompt="p", id=id, key=key, model=f"scripted/{door.kind}")
    assert (await door.ask(door, house, mended)).word == "new"
    assert (await door.ask(door, house, mended)).word == "attach"


def test_every_push_is_a_door() -> None:
    """Each `*_generate` is tried on a task's own channel and in a conversation."""
    tried = [door.kind for door in DOORS if door.ask.__name__ == "_push"]
    assert sorted(tried) == sorted([*PUSHES, *PUSHES])
