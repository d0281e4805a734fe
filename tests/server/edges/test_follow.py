"""Following over HTTP: server-sent events, long-poll, cursors."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from safelight.edges.follow import MAX_ANSWER_BYTES
from safelight.providers.base import Delta, Done, Outcome, Prediction, Report
from safelight.providers.scripted import Scripted
from safelight.reporting import MAX_DELTA
from tests.doubles.deaf import line_to
from tests.doubles.served import Served, served

STEPS = {"script": [{"do": "progress", "to": i / 10} for i in range(1, 8)]}
GATED = {"script": [{"do": "progress", "to": 0.5}, {"do": "wait", "gate": "end"}]}


async def test_a_cut_stream_resumes_without_a_gap(house: Served) -> None:
    """After a cut, Last-Event-ID brings exactly the events that are missing."""
    id = (await house.create(params=STEPS))["task_id"]
    first: list[dict[str, Any]] = []
    cursor = ""
    async with house.http.stream("GET", f"/api/tasks/{id}/events") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("id: "):
                cursor = line[4:]
            if line.startswith("data: "):
                first.append(json.loads(line[6:]))
            if len(first) == 3:
                break
    rest = await _stream(house, id, cursor)
    seqs = [e["seq"] for e in first + rest]
    assert seqs == list(range(1, len(seqs) + 1))
    assert rest[-1]["type"] == "completed"


async def test_the_cursor_of_the_end_gets_204(house: Served) -> None:
    """A reconnect at the end is told to stop: EventSource would come back for ever."""
    id = (await house.create())["task_id"]
    end = (await house.events(id))[-1]["seq"]
    log = (await house.http.get(f"/api/tasks/{id}")).json()["data"]["log"]
    answer = await house.http.get(
        f"/api/tasks/{id}/events", headers={"Last-Event-ID": f"{log}-{end}"}
    )
    assert answer.status_code == 204


async def test_foreign_and_future_cursors_are_told_that_there_is_a_gap(house: Served) -> None:
    """A cursor of another log, of no log, or beyond the end gets the snapshot and `gap`."""
    id = (await house.create())["task_id"]
    await house.events(id)
    log = house.context.log.id
    for cursor in ("000000000000-2", "2", f"{log}-99"):
        answer = await house.http.get(f"/api/tasks/{id}/events?wait=0&after={cursor}")
        data = answer.json()["data"]
        assert (data["gap"], data["task"]["status"], data["events"]) == (True, "completed", [])
        async with house.http.stream(
            "GET", f"/api/tasks/{id}/events", headers={"Last-Event-ID": cursor}
        ) as stream:
            text = "".join([line + "\n" async for line in stream.aiter_lines()])
        assert "event: gap" in text
    for after in (f"{log}-2", 0):
        answer = await house.http.get(f"/api/tasks/{id}/events?wait=0&after={after}")
        assert answer.json()["data"]["gap"] is False


async def test_a_cursor_that_is_none_is_refused(house: Served) -> None:
    """A malformed cursor is answered 400 naming `after`."""
    id = (await house.create())["task_id"]
    answer = await house.http.get(f"/api/tasks/{id}/events?wait=0&after=soon")
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == "after"


async def test_long_poll_waits_for_what_comes_next(house: Served) -> None:
    """A poll at the newest event is held until the next one, and tells the end."""
    id = (await house.create(params=GATED))["task_id"]
    log, seq = house.context.log.id, 0
    seen: list[int] = []
    ended = False
    while not ended:
        address = f"/api/tasks/{id}/events?wait=10&after={seq}&log={log}"
        if len(seen) == 3:
            house.scripted.gate("end").set()
        data = (await house.http.get(address)).json()["data"]
        seen += [e["seq"] for e in data["events"]]
        seq, ended = seen[-1], data["ended"]
    assert seen == list(range(1, len(seen) + 1))
    assert data["cursor"] == f"{log}-{seq}"


async def test_a_cursor_of_the_run_before_is_good(tmp_path: Path) -> None:
    """After a restart an old cursor brings the events after it, though the log is new."""
    async with served(tmp_path) as house:
        id = (await house.create(params=STEPS))["task_id"]
        told = await house.events(id)
        old = house.context.log.id
    async with served(tmp_path) as house:
        assert house.context.log.id != old
        assert [e["seq"] for e in await _stream(house, id, f"{old}-3")] == [
            e["seq"] for e in told[3:]
        ]


async def _stream(house: Served, id: str, cursor: str) -> list[dict[str, Any]]:
    headers = {"Last-Event-ID": cursor}
    async with house.http.stream("GET", f"/api/tasks/{id}/events", headers=headers) as stream:
        return [json.loads(line[6:]) async for line in stream.aiter_lines() if line[:5] == "data:"]


async def test_whoever_waits_is_let_go_when_the_server_goes_down(house: Served) -> None:
    """A drain ends streams, long-polls and waits at once, with what there is."""
    id = (await house.create(params={"script": [{"do": "hang"}]}))["task_id"]
    body = {"kind": "image", "prompt": "b", "model": "scripted/image", "params": GATED}
    address, log = f"/api/tasks/{id}/events?wait=60&after=", house.context.log.id
    await house.http.get(f"{address}{log}-1")
    polling = asyncio.create_task(house.http.get(f"{address}{log}-2"))
    waiting = asyncio.create_task(house.post("/api/tasks", body, prefer="wait=60"))
    streaming = asyncio.create_task(house.events(id))
    while house.context.subscriptions.statistics()["followers"] < 3:  # noqa: ASYNC110
        await asyncio.sleep(0)
    house.context.drain()
    await house.context.guests.see_out(0.0, asyncio.sleep)
    async with asyncio.timeout(10):
        poll, wait, stream = await asyncio.gather(polling, waiting, streaming)
    assert poll.json()["data"]["ended"] is False
    assert wait.status_code == 202
    assert [e["type"] for e in stream] == ["queued", "started"]
    assert (await house.http.get("/readyz")).status_code == 503


class _Wordy(Scripted):
    """Writes so much that its events are as large as events become."""

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        await report(Delta("\u4e2d" * MAX_DELTA * 20))
        return Done()


async def test_one_answer_is_bounded_in_bytes(tmp_path: Path) -> None:
    """A long-poll of a long text is told in several answers, each from the last one's cursor;
    only an event that is larger all by itself comes in a larger one."""
    async with served(tmp_path, scripted_provider=_Wordy()) as house:
        await house.create(id="x", kind="text", model="scripted/text")
        await house.events("x")
        cursor, seqs, ended, answers = "0", [], False, 0
        while not ended:
            answer = await house.http.get(f"/api/tasks/x/events?wait=0&after={cursor}")
            data = answer.json()["data"]
            small = len(answer.content) < MAX_ANSWER_BYTES + 64 * 1024
            assert (small and data["events"]) or len(data["events"]) == 1
            seqs += [event["seq"] for event in data["events"]]
            cursor, ended, answers = data["cursor"], data["ended"], answers + 1
    assert seqs == list(range(1, len(seqs) + 1)) and answers > 1


async def test_the_head_of_a_running_stream_is_answered_at_once(tmp_path: Path) -> None:
    """HEAD tells how a stream would begin and ends; the next request finds its line free."""
    async with served(tmp_path) as house:
        await house.create(id="x", params=GATED)
        async with asyncio.timeout(10), line_to(house.url) as line:
            await line.write(b"HEAD /api/tasks/x/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            head = await line.read()
            assert b"200 OK" in head and b"text/event-stream" in head
            await line.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert (await line.read()).startswith(b"HTTP/1.1 200")
        house.scripted.gate("end").set()
