"""The server is killed at one named point, started again, and nobody can tell the difference.

Each row is a claim. The server is a real process that stands still at the point when
SIGKILL comes; the provider lives elsewhere and remembers what it was asked. Three clients
follow throughout and come back with their cursors. The task's first attempt fails on
purpose, so that the points of claim and start are passed while they watch.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpx2
import pytest

from safelight.client import connect
from tests.doubles.child import Child, child_process
from tests.doubles.followers import (
    ClientFollower,
    Follower,
    SocketFollower,
    StreamFollower,
    following,
)
from tests.doubles.remote import Fault, Remote, remote
from tests.doubles.served import PATIENCE

ID = "crashed"
SCRIPT = [
    {"do": "wait", "gate": "watched", "attempt": 1},
    {"do": "fault", "attempt": 1, "after_seconds": 0},
    {"do": "progress", "to": 0.25},
    {"do": "progress", "to": 0.5},
    {"do": "image"},
    {"do": "progress", "to": 0.75},
]
BODY = {
    "id": ID,
    "kind": "image",
    "prompt": "a monk at the window",
    "model": "scripted/image",
    "params": {"script": SCRIPT},
}
pytestmark = pytest.mark.slow
QUICK: dict[str, Any] = {"retry_base_seconds": 0.001, "retry_max_seconds": 0.05}


class Point(NamedTuple):
    """Where the server is killed, and what is claimed to be true nevertheless."""

    name: str
    claim: str
    nth: int = 1


BEFORE_THE_ANSWER = (
    Point("before-commit:create", "before the commit of a create: the repeat makes the task"),
    Point("after-commit:create", "after the commit of a create: the repeat finds the task"),
    Point("before-wake", "before the wake of a create: the repeat finds the task"),
    Point("after-wake", "after the wake of a create: the repeat finds the task"),
)
WATCHED = (
    Point("before-commit:retry", "before the commit of a retry: the fault is heard again"),
    Point("after-commit:retry", "after the commit of a retry: its event reaches the follower"),
    Point("before-commit:claim", "before the commit of a claim: it is claimed again"),
    Point("after-commit:claim", "after the commit of a claim: the attempt is looked up"),
    Point("before-start", "intent on disk, nothing asked: it runs, once"),
    Point("after-start", "accepted by the provider, no handle saved: it is found, or lost"),
    Point("after-commit:handle", "handle saved: it is followed again"),
    Point("before-commit:progress", "before the commit of progress: nobody was told"),
    Point("after-commit:progress", "after commit, before wake: the follower gets the event"),
    Point("before-wake", "before a wake: the follower gets the event", nth=3),
    Point("after-wake", "after a wake: the follower gets the event, once", nth=3),
    Point("before-commit:artifact", "artifact on disk, its event not: told once, and opens"),
    Point("after-commit:artifact", "artifact's event on disk: told once, and opens"),
    Point("before-commit:end", "before the commit of the end: it ends once"),
    Point("after-commit:end", "after the commit of the end: the follower gets the end"),
)


def _claim(point: Point) -> str:
    return f"{point.claim} ({point.name})"


@pytest.fixture(params=[True, False], ids=["billed and found again", "free and lost"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """A server whose predictions cost money and outlive it, or neither."""
    async with _house(tmp_path, dear=request.param) as made:
        yield made


@pytest.fixture
async def dear_house(tmp_path: Path) -> AsyncIterator[House]:
    """A server whose predictions cost money and outlive it."""
    async with _house(tmp_path, dear=True) as made:
        yield made


@asynccontextmanager
async def _house(folder: Path, *, dear: bool) -> AsyncIterator[House]:
    async with remote() as provider:
        with child_process(
            folder / "data", provider.url, billed=dear, resumable=dear, start_seconds=1, **QUICK
        ) as child:
            yield House(child, provider, dear)


class House:
    """The server, the provider, and what is asked of them."""

    def __init__(self, child: Child, provider: Remote, dear: bool) -> None:
        self.child = child
        self.provider = provider
        self.dear = dear

    async def post(self, **other: Any) -> httpx2.Response:
        """The one create, with its key: as often as one likes."""
        async with httpx2.AsyncClient(base_url=self.child.url, trust_env=False) as http:
            headers = {"Idempotency-Key": "k"}
            return await http.post("/api/tasks", json=BODY | other, headers=headers)

    async def ask(self, method: str, path: str) -> httpx2.Response:
        """Anything else, once."""
        async with httpx2.AsyncClient(base_url=self.child.url, trust_env=False) as http:
            return await http.request(method, path)

    def files(self) -> list[Path]:
        """Every artifact's bytes."""
        folder = self.child.data_dir / "artifacts"
        return [path for path in folder.rglob("*") if path.is_file()]

    async def die_and_rise(self) -> None:
        """SIGKILL, then the same again on the same data and port."""
        await anyio.to_thread.run_sync(self.child.kill)
        await anyio.to_thread.run_sync(self.child.start)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Sequence[Follower]]:
        """Three clients that come back; each must have been told everything, once."""
        url = self.child.url
        async with connect(url) as client:
            kinds = SocketFollower(url, ID), StreamFollower(url, ID), ClientFollower(client, ID)
            async with following(kinds) as followers:
                yield followers
        for follower in followers:
            follower.whole()
        assert kinds[0].events == kinds[1].events
        late = len(kinds[1].events) - len(kinds[2].events)  # it joins without a cursor
        assert kinds[2].events == kinds[1].events[late:]

    async def settled(self, events: list[dict[str, Any]]) -> None:
        """One task, completed; one run for each attempt; every artifact opens."""
        assert events[-1]["type"] == "completed", events[-1]
        runs = self.provider.started()
        assert max(runs.values()) == 1, f"a second start: {self.provider.asked}"
        assert len({uid for uid, _ in runs}) == 1, "more than one task ran"
        if self.dear:
            assert len(runs) == 2, f"one run that failed, one that did not: {runs}"
            assert [e["progress"] for e in events if e["type"] == "progress"] == [0.25, 0.5, 0.75]
        async with httpx2.AsyncClient(base_url=self.child.url, trust_env=False) as http:
            tasks = (await http.get("/api/tasks")).json()["data"]["tasks"]
            assert [task["task_id"] for task in tasks] == [ID]
            made = [event for event in events if event["type"] == "artifact"]
            assert len({a["sha256"] for a in made}) == len(made), "an artifact was told twice"
            for artifact in made:
                assert len((await http.get(artifact["url"])).content) == artifact["bytes"]
        kept = [a["id"] for a in events[-1]["result_data"]["artifacts"]]
        assert kept == [a["id"] for a in made if a["attempt"] == events[-1]["attempt"]]


@pytest.mark.parametrize("point", BEFORE_THE_ANSWER, ids=_claim)
async def test_killed_before_the_answer(house: House, point: Point) -> None:
    """A create whose answer never came is repeated with its key: it is one task."""
    house.child.points.arm(point.name)
    async with anyio.create_task_group() as group:
        group.start_soon(_post_in_vain, house)
        assert await house.child.points.reached() == point.name
        await house.die_and_rise()
    async with house.watched() as (socket, *_):
        assert (await house.post()).status_code in (200, 202)
        assert (await house.post()).status_code == 200
        await socket.until("started")
        house.provider.gate("watched").set()
    await house.settled(socket.events)


async def _post_in_vain(house: House) -> None:
    with pytest.raises(httpx2.HTTPError):
        await house.post()


async def _ask_in_vain(house: House, method: str, path: str) -> None:
    with pytest.raises(httpx2.HTTPError):
        await house.ask(method, path)


@pytest.mark.parametrize("point", WATCHED, ids=_claim)
async def test_killed_while_it_is_watched(house: House, point: Point) -> None:
    """Clients come back with their cursors and miss nothing, whatever was half done."""
    assert (await house.post()).status_code == 202
    async with house.watched() as followers:
        for follower in followers[:2]:
            await follower.until("started")
        house.child.points.arm(point.name, point.nth)
        house.provider.gate("watched").set()
        assert await house.child.points.reached() == point.name
        await house.die_and_rise()
    assert (await house.post()).json()["data"]["status"] == "completed"
    await house.settled(followers[0].events)


async def test_killed_between_acceptance_and_handle(dear_house: House) -> None:
    """A billed start whose handle was lost is looked up and adopted: no second start, and
    the task ends in the attempt that began it."""
    house = dear_house
    assert (await house.post()).status_code == 202
    async with house.watched() as (socket, *_):
        await socket.until("started")
        house.child.points.arm("after-start")
        house.provider.gate("watched").set()
        await house.child.points.reached()
        await house.die_and_rise()
    asked = house.provider.asked
    assert [(one.attempt, one.answered) for one in asked] == [(1, "none"), (2, "none")]
    assert house.provider.looked_up == [(f"{asked[1].uid}/2", asked[1].handle)]
    assert socket.events[-1]["attempt"] == 2


async def test_killed_in_the_middle_of_a_text(dear_house: House) -> None:
    """A text that is followed again goes on where its readers stopped: no word is doubled."""
    house, words = dear_house, ["Once ", "upon ", "a ", "time"]
    script = [{"do": "text", "delta": word} for word in words]
    script.insert(0, {"do": "wait", "gate": "watched"})
    params = {"script": script}
    await house.post(kind="text", model="scripted/text", params=params)
    async with house.watched() as (socket, *_):
        await socket.until("started")
        house.child.points.arm("after-commit:text", nth=2)
        house.provider.gate("watched").set()
        await house.child.points.reached()
        await house.die_and_rise()
    assert [e["delta"] for e in socket.events if e["type"] == "text"] == words
    assert socket.events[-1]["result_data"]["content"] == "".join(words)


@pytest.mark.parametrize("fault", ["lost", "hang", "dropped", "429", "500"])
async def test_a_start_that_is_not_answered_well(dear_house: House, fault: Fault) -> None:
    """A billed start whose answer is lost, late or a refusal never leads to a second run of
    one attempt, and the task is completed all the same."""
    house = dear_house
    house.provider.faults.append(fault)
    await house.post(params={"script": [{"do": "progress", "to": 0.5}, {"do": "image"}]})
    async with house.watched() as (socket, *_):
        pass
    assert socket.events[-1]["type"] == "completed"
    assert list(house.provider.started().values()) == [1]


@pytest.mark.parametrize("point", ["before-commit:cancel", "after-commit:cancel"])
async def test_killed_during_a_cancel(house: House, point: str) -> None:
    """A cancel that was committed is carried out after the restart; one that was not can be
    asked for again. Either way the task is canceled, once."""
    script = [{"do": "progress", "to": 0.5}, {"do": "hang"}]
    await house.post(params={"script": script})
    async with house.watched() as (socket, *_):
        await socket.until("progress")
        house.child.points.arm(point)
        async with anyio.create_task_group() as group:
            group.start_soon(_ask_in_vain, house, "POST", f"/api/tasks/{ID}/cancel")
            await house.child.points.reached()
            await house.die_and_rise()
        if point.startswith("before"):
            assert (await house.ask("POST", f"/api/tasks/{ID}/cancel")).status_code in (200, 202)
    assert socket.events[-1]["type"] == "canceled"
    assert max(house.provider.started().values()) == 1
    if house.dear:
        assert [run.cancels for run in house.provider.runs.values()] == [1]
        assert socket.events[-1]["confirmed"] is True


@pytest.mark.parametrize("point", ["before-commit:delete", "after-commit:delete"])
async def test_killed_during_a_deletion(dear_house: House, point: str) -> None:
    """A task is there with its files or gone with them; a deletion may be asked for again."""
    house = dear_house
    await house.post(params={"script": [{"do": "image"}]})
    async with house.watched() as (socket, *_):
        pass
    made = (await socket.until("artifact"))["url"]
    house.child.points.arm(point)
    async with anyio.create_task_group() as group:
        group.start_soon(_ask_in_vain, house, "DELETE", f"/api/tasks/{ID}")
        await house.child.points.reached()
        await house.die_and_rise()
    there = point.startswith("before")
    assert (await house.ask("GET", f"/api/tasks/{ID}")).status_code == (200 if there else 410)
    assert (await house.ask("GET", made)).status_code == (200 if there else 404)
    await house.ask("DELETE", f"/api/tasks/{ID}")
    assert (await house.ask("GET", f"/api/tasks/{ID}")).status_code == 410
    assert (await house.post()).status_code == 410, "its key leads to nothing else"
    files = house.files()
    if files:  # nobody names them any more; a sweep takes what has lain there for an hour
        await anyio.to_thread.run_sync(house.child.kill)
        for path in files:
            os.utime(path, (0, 0))
        await anyio.to_thread.run_sync(house.child.start)
        with anyio.fail_after(PATIENCE):
            while not (await _statistics(house))["swept_files"]:
                pass  # asking takes its time
    assert house.files() == []


async def _statistics(house: House) -> Any:
    return (await house.ask("GET", "/healthz")).json()["data"]["statistics"]
