"""Two emulated OpenAIs that are declared equal: when a task goes over from one to the other,
how often each of them ran it, what the books say, and what a SIGKILL on the way changes.

The emulators are processes of their own, and so is the server that is killed. Unrealistic:
both hosts are one program, so that they never differ in what they answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import msgspec
import pytest

from tests.doubles.child import Child, child_process
from tests.doubles.emulated import KEY, Emulated, emulated
from tests.doubles.followers import StreamFollower, following
from tests.doubles.served import PATIENCE

MODELS = """
[providers]
a = { label = "A" }
b = { label = "B" }

[schemas.told]
open = true
"""

ROW = """
[[models]]
name = "HOST/gpt-5.4-mini"
label = "Text"
kind = "text"
provider = "HOST"
schema = "told"
order = 1
MORE

[models.price]
rates = { input_token = 750000, cached_token = 75000, output_token = 4500000 }
most = { output_token = 20000 }
"""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong at the first host, where the server is killed if it is, and what must
    come of it: the end, its code, and how often each host ran it."""

    name: str
    faults: tuple[str, ...] = ("http-503@1",)
    point: str | None = None
    nth: int = 1
    end: str = "completed"
    code: str | None = None
    runs: tuple[int, int] = (0, 1)
    fields: dict[str, Any] = {}


def stays(name: str, *faults: str, runs: int = 0, code: str = "outcome_unknown") -> Case:
    """A fault that is not verified, or not the host's: nobody else is asked."""
    return Case(name=name, faults=faults, end="failed", code=code, runs=(runs, 0))


def killed(point: str, nth: int = 1, **more: Any) -> Case:
    """The first host is ill, and the server dies there."""
    return Case(name=f"killed {point} {nth}", point=point, nth=nth, **more)


UNKNOWN: dict[str, Any] = {"end": "failed", "code": "outcome_unknown"}

CASES = [
    Case(name="nothing goes wrong", faults=(), runs=(1, 0)),
    Case(name="ill"),
    Case(name="our key", faults=("unauthorized",)),
    Case(name="no credit", faults=("no-credit",)),
    Case(name="it ran, was paid, and failed", faults=("fail@1",), runs=(1, 1)),
    Case(name="a seed of the owner's", fields={"seed": 11}),
    stays("lost answer", "lost-answer", runs=1),
    stays("lost request", "lost-request"),
    stays("500", "http-500"),
    stays("504, and it began", "http-504", runs=1),
    stays("refused content", "moderated", code="content_refused"),
    Case(name="throttled", faults=("throttle=30@1",)),
]

KILLS = [
    killed("before-commit:retry", runs=(0, 0), **UNKNOWN),
    killed("after-commit:retry"),
    killed("after-commit:claim", 2, runs=(0, 0), **UNKNOWN),
    killed("after-start", **UNKNOWN),
    killed("after-commit:handle"),
    killed("after-commit:text", 2),
]


@contextmanager
def twins(folder: Path, **settings: object) -> Iterator[tuple[Child, Emulated, Emulated]]:
    """A server and both hosts."""
    file = folder / "models.toml"
    rows = [ROW.replace("HOST", name) for name in "ab"]
    rows[0] = rows[0].replace("MORE", 'equals = ["b/gpt-5.4-mini"]')
    file.write_text(MODELS + "".join(rows).replace("MORE", ""))
    where: dict[str, object] = {"models_file": file, "retry_base_seconds": 0.1} | settings
    with (
        emulated(folder / "a", "openai", pace=0.01) as one,
        emulated(folder / "b", "openai", pace=0.01) as other,
    ):
        for name, emulator in (("a", one), ("b", other)):
            named = {"type": "openai", "url": f"{emulator.url}/v1", "key": KEY, "api": "responses"}
            where |= {f"providers__{name}__{field}": said for field, said in named.items()}
        with child_process(folder / "data", "http://127.0.0.1:9", **where) as child:
            yield child, one, other


async def create(url: str, case: Case, id: str) -> None:
    """Ask the first host for one result."""
    body = {"kind": "text", "prompt": "a lamp", "model": "a/gpt-5.4-mini", "id": id}
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
        answer = await http.post("/api/tasks", json=body | {"max_cost": 10} | case.fields)
        assert answer.status_code == 202, answer.text


async def usage(url: str) -> int:
    """What the books say, in millionths of a dollar."""
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
        total: int = (await http.get("/api/usage")).json()["data"]["total_micros"]
        return total


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_what_takes_a_task_to_its_equal(tmp_path: Path) -> None:
    """A verified fault of the host, and nothing else; each of them runs it once at most."""
    with twins(tmp_path, breaker_faults=64) as (child, one, other):
        for number, case in enumerate(CASES):
            id, spent = f"twin{number}", await usage(child.url)
            before = (len(one.runs()), len(other.runs()), one.cost() + other.cost())
            one.disarm()
            one.arm(*case.faults)
            async with following([StreamFollower(child.url, id)]) as (follower,):
                await create(child.url, case, id)
                with anyio.fail_after(60):
                    await follower.until_so(lambda: follower.over)
            ran = (len(one.settled()) - before[0], len(other.settled()) - before[1])
            assert ran == case.runs, case.name
            cost = one.cost() + other.cost() - before[2]
            await _check_books(case, child.url, cost, spent, follower.events)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", KILLS, ids=lambda case: case.name)
async def test_a_kill_on_the_way_over(case: Case, tmp_path: Path) -> None:
    """What was on disk goes on at the equal, once; of what was not known before the kill
    nobody is asked again."""
    assert case.point is not None
    with twins(tmp_path) as (child, one, other):
        one.arm(*case.faults)
        child.points.arm(case.point, case.nth)
        async with following([StreamFollower(child.url, "twin0")]) as (follower,):
            await create(child.url, case, "twin0")
            assert await child.points.reached() == case.point
            await anyio.to_thread.run_sync(child.kill)
            await anyio.to_thread.run_sync(child.start)
            with anyio.fail_after(60):
                await follower.until_so(lambda: follower.over)
            follower.whole()
        assert (len(one.runs()), len(other.runs())) == case.runs
        cost = one.cost() + other.cost()
        await _check_books(case, child.url, cost, 0, follower.events)


async def _check_books(
    case: Case, url: str, cost: int, spent_before: int, events: list[dict[str, Any]]
) -> None:
    """What is charged is what both count, and everybody says the same of who rendered."""
    last, spent = events[-1], await usage(url) - spent_before
    assert (last["type"], last.get("error_data", {}).get("code")) == (case.end, case.code), last
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
        shown = (await http.get(f"/api/tasks/{last['task_id']}")).json()["data"]
    if case.code == "outcome_unknown":
        assert events[-1]["charge"]["verdict"] == "unknown"
        return
    assert spent == cost == events[-1]["charge"]["amount_micros"]
    if case.end == "completed":
        who = "b" if case.runs[1] else "a"
        started = [event["provider"] for event in events if event["type"] == "started"]
        assert set(started[:1]) == {"a"} and started[-1] == who
        assert shown["provider"] == events[-1]["result_data"]["provider"] == who
        assert shown["model"] == f"{who}/gpt-5.4-mini"
        assert bool(spent)
