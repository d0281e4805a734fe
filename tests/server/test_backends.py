"""Tasks on named backends: where they run, what is told of it, and what an ill one costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight.backends import Rhythm
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.workshop import Workshop, given, workshops

IMAGE: dict[str, Any] = {"kind": "image", "prompt": "a test", "model": "comfyui/txt2img"}
QUICK = Rhythm(up_seconds=0.02, first_seconds=0.02, most_seconds=0.05)
SLOW = Rhythm(up_seconds=3600, first_seconds=3600, most_seconds=3600)


class Pair:
    """A server with two backends, `here` and `there`."""

    def __init__(self, house: Served, made: dict[str, Workshop]) -> None:
        self.house = house
        self.here, self.there = made["here"], made["there"]

    async def ask(self, **fields: Any) -> Any:
        """POST a create."""
        return await self.house.post("/api/tasks", IMAGE | fields)

    async def make(self, **fields: Any) -> dict[str, Any]:
        """Create a task and return its data."""
        answer = await self.ask(**fields)
        assert answer.status_code == 202, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def backend(self, name: str, query: str = "") -> dict[str, Any]:
        """One backend as it is shown."""
        answer = await self.house.http.get(f"/api/backends/{name}{query}")
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def until(self, name: str, true: Callable[[dict[str, Any]], bool]) -> None:
        """Return once something is so of a backend."""
        async with asyncio.timeout(PATIENCE):
            while not true(await self.backend(name)):
                pass  # asking takes its time

    async def until_up(self) -> None:
        """Return once both are up."""
        for name in ("here", "there"):
            await self.until(name, lambda told: told["status"] == "up")


@asynccontextmanager
async def pair(directory: Path, *, billed: bool = False, **settings: Any) -> AsyncIterator[Pair]:
    """A server with two workshops, both known to be up."""
    async with workshops("here", "there") as made:
        plain = given(made, billed=billed) | {"rhythm": QUICK}
        async with served(directory, **plain | settings) as house:
            both = Pair(house, made)
            await both.until_up()
            yield both


async def test_a_task_runs_where_it_was_told(tmp_path: Path) -> None:
    """By the books of both servers; start, snapshot and result say name and address."""
    async with pair(tmp_path) as both:
        for name, shop in (("there", both.there), ("here", both.here), ("there", both.there)):
            before = len(shop.ran)
            made = await both.make(backend=name)
            assert made["backend"] == name
            events = await both.house.events(made["task_id"])
            (started,) = [event for event in events if event["type"] == "started"]
            shown = (await both.house.http.get(f"/api/tasks/{made['task_id']}")).json()["data"]
            for told in (started, shown, shown["result_data"]):
                assert (told["backend"], told["backend_url"]) == (name, shop.url)
            assert len(shop.ran) == before + 1
        assert (len(both.here.ran), len(both.there.ran)) == (1, 2)


async def test_a_task_without_a_backend_says_nothing_of_one(tmp_path: Path) -> None:
    """Its events have no address, and no backend is asked about it."""
    async with pair(tmp_path, rhythm=SLOW) as both:
        asked = both.here.questions + both.there.questions
        id = (await both.house.create())["task_id"]
        assert not any("backend_url" in event for event in await both.house.events(id))
        shown = (await both.house.http.get(f"/api/tasks/{id}")).json()["data"]
        assert (shown["backend"], shown["backend_url"]) == (None, None)
        assert both.here.questions + both.there.questions == asked


async def test_a_retry_runs_on_the_same_backend(tmp_path: Path) -> None:
    """A fault does not move a task elsewhere; each attempt tells where it runs."""
    async with pair(tmp_path) as both:
        both.there.script = [{"do": "fault", "attempt": 1}, {"do": "image"}]
        events = await both.house.events((await both.make(backend="there"))["task_id"])
        starts = [event for event in events if event["type"] == "started"]
        assert [one["backend_url"] for one in starts] == [both.there.url] * 2
        assert events[-1]["type"] == "completed"
        assert (len(both.here.ran), len(both.there.ran)) == (0, 2)


async def test_a_full_backend_stands_in_nobody_elses_way(tmp_path: Path) -> None:
    """Places are per backend; the reason has its name, and the list counts what is ours."""
    async with pair(tmp_path) as both:
        both.here.script = [{"do": "wait", "gate": "end"}, {"do": "image"}]
        made = [await both.make(backend="here", prompt=f"p{n}") for n in range(4)]
        await both.house.events((await both.make(backend="there"))["task_id"])
        await both.until("here", lambda told: told["ours"] == {"running": 2, "waiting": 2})
        last = (await both.house.http.get(f"/api/tasks/{made[-1]['task_id']}")).json()["data"]
        assert last["reason"].startswith("here is busy (")
        both.here.gate("end").set()
        for one in made:
            assert (await both.house.events(one["task_id"]))[-1]["type"] == "completed"
        assert (await both.backend("here"))["ours"] == {"running": 0, "waiting": 0}


async def test_what_a_backend_has_not_is_refused_before_anything_is_stored(
    tmp_path: Path,
) -> None:
    """At REST, in a batch and on a join: field, value, and what it has; and nothing remains."""
    async with pair(tmp_path) as both:
        asked = IMAGE | {"backend": "here", "params": {"checkpoint": "oil.safetensors"}}
        answer = await both.house.post("/api/tasks", asked)
        (detail,) = answer.json()["error"]["details"]
        assert (answer.status_code, detail["field"]) == (400, "params.checkpoint")
        assert "dream.safetensors" in detail["expected"]
        batch = await both.house.post("/api/tasks:batch", {"tasks": [asked]})
        assert batch.json()["data"]["results"][0]["status"] == 400
        async with both.house.connect() as phone:
            reply = await phone.join("task:one", {"create": asked})
            assert (reply["status"], reply["response"]["code"]) == ("error", "invalid")
        assert (await both.house.http.get("/api/tasks")).json()["data"]["tasks"] == []
        has = {"checkpoint": "ink.safetensors"}
        assert (await both.ask(backend="here", params=has)).status_code == 202


async def test_a_backend_that_cannot_be_asked_refuses_what_is_new(tmp_path: Path) -> None:
    """503 `backend_unreachable`, retryable, by its name; the other backend is not concerned."""
    async with pair(tmp_path, rhythm=SLOW) as both:
        await both.here.close()
        answer = await both.ask(backend="here")
        told = answer.json()
        assert (answer.status_code, told["code"], told["retry"]) == (
            503,
            "backend_unreachable",
            "later",
        )
        assert told["backend"] == "here" and "retry-after" in answer.headers
        assert (await both.ask(backend="there")).status_code == 202
        await both.here.open()
        answer = await both.ask(backend="here")
        assert answer.status_code in (202, 503)


async def test_a_backend_that_hangs_is_waited_for_in_vain_for_a_bounded_while(
    tmp_path: Path,
) -> None:
    """`backend_check_seconds` at most, and only by who asks for that very one."""
    async with pair(tmp_path, rhythm=SLOW, backend_check_seconds=1.0) as both:
        both.here.mood = "silent"
        async with asyncio.timeout(PATIENCE):
            assert (await both.ask(backend="here")).status_code == 503
            assert (await both.ask(backend="there")).status_code == 202


@pytest.mark.parametrize("names", ["id", "key", "alike"])
async def test_attaching_never_fails_because_of_a_backend(tmp_path: Path, names: str) -> None:
    """What exists is found by id, key or likeness, though its backend is down by now; and
    nobody is asked about it."""
    async with pair(tmp_path, rhythm=SLOW) as both:
        both.here.script = [{"do": "wait", "gate": "end"}]
        fields: dict[str, Any] = {"backend": "here", "params": {"checkpoint": "ink.safetensors"}}
        fields |= {"id": {"id": "one"}, "key": {"request_id": "k"}, "alike": {}}[names]
        made = await both.make(**fields)
        both.here.mood = "ill"
        asked = both.here.questions
        answer = await both.ask(**fields)
        assert (answer.status_code, answer.json()["data"]["task_id"]) == (200, made["task_id"])
        assert both.here.questions == asked
        other = fields | {"prompt": "another"}
        expected = {"id": 409, "key": 422, "alike": 503}[names]
        assert (await both.ask(**other)).status_code == expected


async def test_who_waits_for_a_dead_backend_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """With `unreachable = "queue"` a task is accepted with a warning, waits with a reason,
    burns no attempt, and runs as soon as the backend is back."""
    async with pair(tmp_path, unreachable="queue") as both:
        await both.here.close()
        await both.until("here", lambda told: told["status"] == "down")
        made = await both.make(backend="here")
        assert any("here cannot be reached" in str(one) for one in made["warnings"])
        assert made["reason"].startswith("here is down, asked again ")
        both.here.script = [{"do": "image"}]
        await both.here.open()
        events = await both.house.events(made["task_id"])
        assert events[-1]["type"] == "completed"
        assert [event["attempt"] for event in events if event["type"] == "started"] == [1]


async def test_who_stood_in_line_when_it_died_is_told(tmp_path: Path) -> None:
    """The reason of those that wait changes when the backend goes down."""
    async with pair(tmp_path) as both:
        both.here.script = [{"do": "wait", "gate": "end"}, {"do": "image"}]
        made = [await both.make(backend="here", prompt=f"p{n}") for n in range(3)]
        last = f"/api/tasks/{made[-1]['task_id']}"
        both.here.mood = "ill"
        await both.until("here", lambda told: told["status"] == "down")
        log = made[-1]["log"]
        answer = await both.house.http.get(f"{last}/events?after={log}-1&wait=10")
        (told, *_) = answer.json()["data"]["events"]
        assert told["type"] == "queued" and told["reason"].startswith("here is down")
        both.here.mood = "well"
        both.here.gate("end").set()
        for one in made:
            assert (await both.house.events(one["task_id"]))[-1]["type"] == "completed"


async def test_waiting_for_a_dead_backend_ends_with_the_tasks_time(tmp_path: Path) -> None:
    """Nothing waits for ever: `timeout`, free, and never begun."""
    async with pair(tmp_path, unreachable="queue", task_timeout_seconds=0.3) as both:
        await both.here.close()
        await both.until("here", lambda told: told["status"] == "down")
        end = (await both.house.events((await both.make(backend="here"))["task_id"]))[-1]
        assert (end["type"], end["error_data"]["code"]) == ("failed", "timeout")
        assert end["charge"]["verdict"] == "free" and both.here.ran == []


async def test_a_fault_has_its_backend_looked_at(tmp_path: Path) -> None:
    """An attempt that met a dead backend is the last that does: the next one waits for it."""
    async with pair(tmp_path, rhythm=SLOW, retry_base_seconds=1.5) as both:
        both.here.script = [{"do": "wait", "gate": "end"}, {"do": "image"}]
        made = [await both.make(backend="here", prompt=f"p{n}") for n in range(3)]
        await both.until("here", lambda told: told["ours"] == {"running": 2, "waiting": 1})
        both.here.mood = "ill"
        both.here.faults.append("500")
        both.here.gate("end").set()
        await both.until("here", lambda told: told["status"] == "down")
        both.here.mood = "well"
        await both.until("here", lambda told: told["ours"] == {"running": 0, "waiting": 1})
        both.house.context.backends.suspect("here")
        events = await both.house.events(made[-1]["task_id"])
        types = [event["type"] for event in events if event["type"] in ("started", "retrying")]
        assert types == ["started", "retrying", "started"]


async def test_a_task_is_told_once_why_it_waits(tmp_path: Path) -> None:
    """The same reason again is no news, and who waits no more is not told any."""
    async with pair(tmp_path) as both:
        both.here.script = [{"do": "wait", "gate": "end"}, {"do": "image"}]
        made = [await both.make(backend="here", prompt=f"p{n}") for n in range(3)]
        orchestrator, id = both.house.context.orchestrator, made[-1]["task_id"]
        for reason in (made[-1]["reason"], "another", "another"):
            await orchestrator.tell_waiting(id, reason)
        both.here.gate("end").set()
        events = await both.house.events(id)
        await orchestrator.tell_waiting(id, "too late")
        told = [event["reason"] for event in events if event["type"] == "queued"]
        assert told == [made[-1]["reason"], "another"]
        assert await both.house.events(id) == events
