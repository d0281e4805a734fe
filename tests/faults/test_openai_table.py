"""Everything that may go wrong with OpenAI, as a table: what the client saw, how often the
provider was asked to run, and what the books say, which is what its own log says wherever
it told us.

The emulator is a process of its own, the server a real one on real sockets; in the rows on
kills it is a process too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import msgspec
import pytest

from tests.doubles.emulated import KEY, Emulated
from tests.doubles.followers import StreamFollower, following
from tests.doubles.openai_rig import CHAT, IMAGE, TEXT, body_of, killable, rigged
from tests.doubles.served import PATIENCE

pytestmark = pytest.mark.slow


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for and goes wrong, and what must come of it. `end` is the last event and
    `code` its error; `runs` are those of the emulator's log. `known`: what it cost was told,
    so the books are equal to its log; else they say that they do not know."""

    name: str
    model: str
    faults: tuple[str, ...] = ()
    fields: dict[str, Any] = {}
    end: str = "completed"
    code: str | None = None
    runs: int = 1
    attempts: int = 1
    known: bool = True


def lost(name: str, model: str, *faults: str, runs: int = 1) -> Row:
    """A row of an answer that nobody can be asked for: it is told so, and never repeated."""
    code = "outcome_unknown"
    return Row(
        name=name, model=model, faults=faults, end="failed", code=code, runs=runs, known=False
    )


def refused(name: str, model: str, fault: str, code: str) -> Row:
    """A row of a create that began nothing, and never will."""
    return Row(name=name, model=model, faults=(fault,), end="failed", code=code, runs=0)


def every(model: str, what: str) -> list[Row]:
    """The rows that are the same for whatever is asked for."""
    return [
        Row(name=f"{what}: create", model=model),
        Row(name=f"{what}: 429", model=model, faults=("throttle=0.05@1",), attempts=2),
        Row(
            name=f"{what}: 429 twice",
            model=model,
            faults=("throttle=0@1", "throttle=0@2"),
            attempts=3,
        ),
        Row(name=f"{what}: 503, overloaded", model=model, faults=("http-503@1",), attempts=2),
        Row(name=f"{what}: late", model=model, faults=("late=0.2",)),
        refused(f"{what}: wrong key", model, "unauthorized", "provider_refused"),
        refused(f"{what}: no credit", model, "no-credit", "provider_refused"),
        refused(f"{what}: not allowed", model, "moderated", "content_refused"),
        lost(f"{what}: lost answer", model, "lost-answer"),
        lost(f"{what}: lost request", model, "lost-request", runs=0),
        lost(f"{what}: 500", model, "http-500", runs=0),
        lost(f"{what}: 504, and it began", model, "http-504"),
    ]


ROWS = [
    *every(TEXT, "responses"),
    *every(CHAT, "chat"),
    *every(IMAGE, "pictures"),
    Row(name="responses: cut", model=TEXT, faults=("cut@1",)),
    Row(name="responses: cut again and again", model=TEXT, faults=("cut@1", "cut@2", "cut@3")),
    Row(name="responses: hangs", model=TEXT, faults=("hang=stream@1",)),
    Row(name="responses: 500 of a question", model=TEXT, faults=("cut@1", "http-500=get@1")),
    Row(name="responses: 429 of a question", model=TEXT, faults=("cut@1", "throttle=get@1")),
    Row(
        name="responses: stays queued",
        model=TEXT,
        faults=("abort-queued@1", "cut=3@1"),
        runs=2,
        attempts=2,
    ),
    Row(name="responses: fails", model=TEXT, faults=("fail@1",), runs=2, attempts=2),
    Row(
        name="responses: filtered in the middle",
        model=TEXT,
        faults=("moderated=run",),
        end="failed",
        code="content_refused",
    ),
    Row(name="responses: as long as it may be", model=TEXT, fields={"params": {"max_tokens": 16}}),
    Row(name="responses: does not say what it used", model=TEXT, faults=("no-usage",), known=False),
    lost("chat: cut", CHAT, "cut"),
    lost("chat: hangs", CHAT, "hang=stream"),
    Row(
        name="chat: filtered in the middle",
        model=CHAT,
        faults=("moderated=run",),
        end="failed",
        code="content_refused",
    ),
    Row(name="chat: fails", model=CHAT, faults=("fail@1",), runs=2, attempts=2, known=False),
    lost("pictures: cut", IMAGE, "cut"),
    lost("pictures: hangs", IMAGE, "hang=stream"),
    Row(name="pictures: several", model=IMAGE, fields={"n": 3}),
    Row(name="pictures: a large one", model=IMAGE, faults=("huge=3",)),
    Row(name="pictures: fails", model=IMAGE, faults=("fail@1",), runs=2, attempts=2, known=False),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_row(row: Row, tmp_path: Path) -> None:
    """Each row ends as it should, runs as often as it should, and costs what was run."""
    async with rigged(tmp_path) as rig:
        await rig.arm(*row.faults)
        task = await rig.create(row.model, **row.fields)
        events = await rig.house.events(task)
        last = events[-1]
        assert (last["type"], last.get("error_data", {}).get("code")) == (row.end, row.code), last
        assert last["attempt"] == row.attempts
        assert len(rig.emulator.runs()) == row.runs
        if row.known:
            assert last["charge"]["verdict"] in ("charged", "free"), last
            assert await rig.spent() == rig.emulator.cost()
        else:
            assert last["charge"]["verdict"] == "unknown", last
            assert last["charge"]["reason"]
        if row.end == "completed":
            _check_result(last, events, row)


def _check_result(last: dict[str, Any], events: list[dict[str, Any]], row: Row) -> None:
    """Every character once, or every picture."""
    result = last["result_data"]
    if row.model == IMAGE:
        assert len(result["artifacts"]) == row.fields.get("n", 1)
        return
    pieces = [
        event["delta"]
        for event in events
        if event["type"] == "text" and event["attempt"] == last["attempt"]
    ]
    assert "".join(pieces) == result["content"]
    assert result["content"]


async def test_partial_pictures_are_previews_and_progress(tmp_path: Path) -> None:
    """Who watches sees the picture come about."""
    async with rigged(tmp_path, pace=0.1) as rig, rig.house.connect() as phone:
        reply = await phone.join("task:watched", {"create": body_of(IMAGE), "previews": "binary"})
        assert reply["status"] == "ok", reply
        await phone.until_event("completed")
        progress = [event["progress"] for event in phone.told("task:watched")]
        assert [frame for frame in phone.received if isinstance(frame, bytes)]
        assert progress == sorted(progress)
        assert len({one for one in progress if 0 < one < 1}) == 2


@pytest.mark.parametrize("model", [TEXT, CHAT, IMAGE])
async def test_a_cancel_in_the_middle(model: str, tmp_path: Path) -> None:
    """A response is stopped and tells what it used; an answer that is hung up on may go on to
    its end, and says that this is not known."""
    async with rigged(tmp_path, pace=0.1) as rig, rig.house.connect() as phone:
        await phone.join("task:stopped", {"create": body_of(model)})
        await phone.until_event("progress" if model == IMAGE else "text")
        answer = await rig.house.post("/api/tasks/stopped/cancel")
        assert answer.status_code in (200, 202), answer.text
        last = await phone.until_event("canceled")
        assert last["confirmed"] is True
        assert len(rig.emulator.runs()) == 1
        if model == TEXT:
            assert rig.emulator.runs()[0]["outcome"] == "canceled"
            assert await rig.spent() == rig.emulator.cost() > 0
        else:
            assert last["charge"]["verdict"] == "unknown"
            assert "stopped" in last["charge"]["reason"]


async def test_a_server_that_bills_nobody_is_asked_again(tmp_path: Path) -> None:
    """Without a key what is lost is begun anew, and its text is whole."""
    async with rigged(tmp_path, key="") as rig:
        await rig.arm("cut@1")
        events = await rig.house.events(await rig.create(CHAT))
        assert (events[-1]["type"], events[-1]["attempt"]) == ("completed", 2), events[-1]
        assert len(rig.emulator.runs()) == 2
        _check_result(events[-1], events, Row(name="", model=CHAT))


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is killed, and what it comes to after the restart."""

    name: str
    model: str
    point: str
    nth: int = 1
    end: str = "completed"
    code: str | None = None
    runs: int = 1
    attempts: int = 1
    key: str = KEY


UNKNOWN: dict[str, Any] = {"end": "failed", "code": "outcome_unknown"}

KILLS = [
    Kill(name="responses: in mid-stream", model=TEXT, point="after-commit:text", nth=2),
    Kill(name="responses: the handle on disk", model=TEXT, point="after-commit:handle"),
    Kill(name="responses: before the end is written", model=TEXT, point="before-commit:end"),
    Kill(name="responses: before the create", model=TEXT, point="before-start", runs=0, **UNKNOWN),
    Kill(name="responses: the create not heard", model=TEXT, point="after-start", **UNKNOWN),
    Kill(name="chat: in mid-stream", model=CHAT, point="after-commit:text", nth=2, **UNKNOWN),
    Kill(
        name="chat: the handle on disk", model=CHAT, point="after-commit:handle", runs=0, **UNKNOWN
    ),
    Kill(
        name="chat without a key: in mid-stream",
        model=CHAT,
        point="after-commit:text",
        nth=2,
        key="",
        runs=2,
        attempts=2,
    ),
    Kill(name="pictures: before the handle", model=IMAGE, point="after-start", attempts=2),
    Kill(name="pictures: in mid-stream", model=IMAGE, point="after-commit:progress", **UNKNOWN),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("row", KILLS, ids=[row.name for row in KILLS])
async def test_safelight_is_killed(row: Kill, tmp_path: Path) -> None:
    """After the restart a response goes on where it was, every character once; what was
    answered on the connection is told to be lost, at once, and not asked for again."""
    with killable(tmp_path, key=row.key) as (child, emulator):
        child.points.arm(row.point, row.nth)
        async with following([StreamFollower(child.url, "killed")]) as (follower,):
            async with httpx2.AsyncClient(base_url=child.url, trust_env=False) as http:
                body = body_of(row.model, id="killed")
                answer = await http.post("/api/tasks", json=body)
                assert answer.status_code == 202, answer.text
            assert await child.points.reached() == row.point
            await anyio.to_thread.run_sync(child.kill)
            await anyio.to_thread.run_sync(child.start)
            with anyio.fail_after(60):
                await follower.until_so(lambda: follower.over)
            follower.whole()
            last = follower.events[-1]
        await _check_killed(row, child.url, emulator, last)
        if row.end == "completed" and row.model != IMAGE:
            _check_result(last, follower.events, Row(name="", model=row.model))


async def _check_killed(row: Kill, url: str, emulator: Emulated, last: dict[str, Any]) -> None:
    assert (last["type"], last.get("error_data", {}).get("code")) == (row.end, row.code), last
    assert last["attempt"] == row.attempts
    assert len(emulator.runs()) == row.runs
    if row.end == "completed":
        async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as http:
            spent = (await http.get("/api/usage")).json()["data"]["total_micros"]
        # What an emulator without a key counts for a run that was lost, nobody is billed.
        assert spent == (emulator.cost() if row.key else emulator.runs()[-1]["cost_micros"]) > 0
    else:
        assert last["charge"]["verdict"] == "unknown"
