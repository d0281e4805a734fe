"""Checks of following over HTTP: server-sent events and long-poll, cursors and gaps."""

from __future__ import annotations

from typing import Any

import msgspec

from .checking import Nonconforming, check, expect, expect_that
from .endpoint import TERMINAL, Endpoint

SECTION = "Cursors"


class Record(msgspec.Struct, frozen=True):
    """One server-sent event."""

    id: str
    name: str
    data: Any


async def _records(
    endpoint: Endpoint, id: str, last: str | None = None, stop_after: int | None = None
) -> list[Record]:
    headers = {} if last is None else {"Last-Event-ID": last}
    records: list[Record] = []
    fields: dict[str, str] = {}
    async with endpoint.http.stream("GET", f"/api/tasks/{id}/events", headers=headers) as stream:
        expect(stream.status_code, 200, "status of the stream")
        kind = stream.headers["content-type"].partition(";")[0]
        expect(kind, "text/event-stream", "content-type")
        async for text in stream.aiter_lines():
            name, _, value = text.partition(": ")
            if text == "" and "data" in fields:
                data = msgspec.json.decode(fields["data"])
                records.append(Record(fields["id"], fields["event"], data))
                if len(records) == stop_after:
                    return records
            fields = {} if text == "" else fields | {name: value}
    return records


def expect_whole(events: list[Any], start: int = 1) -> None:
    """Fail unless the seqs are dense from `start`, one event is terminal and it is the last.

    Within an attempt progress must not fall.
    """
    seqs = [event["seq"] for event in events]
    expect(seqs, list(range(start, start + len(seqs))), "the seqs")
    ends = [event["type"] for event in events if event["type"] in TERMINAL]
    expect(len(ends), 1, f"terminal events of {[event['type'] for event in events]}")
    expect(events[-1]["type"], ends[0], "the last event")
    reached: dict[int, float] = {}
    for event in events:
        before = reached.get(event["attempt"], 0.0)
        if event["progress"] < before:
            raise Nonconforming(f"progress fell to {event['progress']} at seq {event['seq']}")
        reached[event["attempt"]] = event["progress"]


@check(SECTION)
async def whole_story(endpoint: Endpoint) -> None:
    """A stream tells every event from 1 on, in order, to the one that ends the task."""
    made = await endpoint.create()
    records = await _records(endpoint, made["task_id"])
    expect({record.name for record in records}, {"progress"}, "names")
    expect_whole([record.data for record in records])
    log = made["log"]
    ids = [f"{log}-{record.data['seq']}" for record in records]
    expect([record.id for record in records], ids, "the ids are cursors")


@check(SECTION)
async def event_fields(endpoint: Endpoint) -> None:
    """Every event has task_id, seq, type, status, progress, timestamp and attempt."""
    made = await endpoint.create()
    for record in await _records(endpoint, made["task_id"]):
        event = record.data
        wanted = {"task_id", "seq", "type", "status", "progress", "timestamp", "attempt"}
        expect_that(wanted <= event.keys(), "the event has its fields", event)
        expect(event["task_id"], made["task_id"], "task_id")
        expect_that(0 <= event["progress"] <= 1, "progress is 0 to 1", event["progress"])
        expect_that(event["timestamp"].endswith("Z"), "times are UTC", event["timestamp"])
        known = ("queued", "processing", *TERMINAL)
        expect_that(event["status"] in known, "the status is known", event["status"])


@check(SECTION)
async def resumed_stream(endpoint: Endpoint) -> None:
    """A stream that was cut goes on after Last-Event-ID, with no gap and no repeat."""
    made = await endpoint.create()
    first = await _records(endpoint, made["task_id"], stop_after=2)
    rest = await _records(endpoint, made["task_id"], last=first[-1].id)
    expect_whole([record.data for record in first + rest])


@check(SECTION)
async def nothing_after_the_end(endpoint: Endpoint) -> None:
    """Coming back with the id of the last event gets 204, so that EventSource stays away."""
    made = await endpoint.create()
    records = await _records(endpoint, made["task_id"])
    answer = await endpoint.get(
        f"/api/tasks/{made['task_id']}/events", last_event_id=records[-1].id
    )
    expect(answer.status_code, 204, "status")


@check(SECTION)
async def foreign_cursor(endpoint: Endpoint) -> None:
    """A cursor of another log gets a snapshot and is told of a gap."""
    made = await endpoint.create()
    await endpoint.ended(made["task_id"])
    records = await _records(endpoint, made["task_id"], last="nosuchlog-1")
    expect(records[0].name, "gap", "the first event")
    expect(records[0].data["gap"], True, "gap")
    expect(records[0].data["task"]["task_id"], made["task_id"], "the snapshot's task")
    cursor = f"{made['log']}-{records[0].data['task']['seq']}"
    expect([records[0].id, records[0].data["cursor"]], [cursor] * 2, "the snapshot's cursor")
    data = await _poll(endpoint, made["task_id"], "after=nosuchlog-1")
    expect(data["gap"], True, "gap of the long-poll")
    expect(data["task"]["task_id"], made["task_id"], "the snapshot's task in the long-poll")
    expect(data["cursor"], cursor, "the snapshot's cursor in the long-poll")


@check(SECTION)
async def bare_seq(endpoint: Endpoint) -> None:
    """A bare seq above 0 without its log is a gap; with it, it is a cursor."""
    made = await endpoint.create()
    await endpoint.ended(made["task_id"])
    expect((await _poll(endpoint, made["task_id"], "after=1"))["gap"], True, "gap without log")
    data = await _poll(endpoint, made["task_id"], f"after=1&log={made['log']}")
    expect(data["gap"], False, "gap with log")
    expect(data["events"][0]["seq"], 2, "the next seq")


@check(SECTION)
async def cursor_from_the_future(endpoint: Endpoint) -> None:
    """A cursor past the newest event is a gap, not a promise to wait for it."""
    made = await endpoint.create()
    await endpoint.ended(made["task_id"])
    data = await _poll(endpoint, made["task_id"], f"after={made['log']}-99999")
    expect(data["gap"], True, "gap")


@check(SECTION)
async def wrong_cursor(endpoint: Endpoint) -> None:
    """What is no cursor is refused, and the field is named."""
    made = await endpoint.create()
    answer = await endpoint.get(f"/api/tasks/{made['task_id']}/events?after=yesterday&wait=0")
    expect(answer.status_code, 400, "status")


@check("REST")
async def long_poll(endpoint: Endpoint) -> None:
    """Long-poll tells the same events by the same cursors, and says when it has ended."""
    made = await endpoint.create()
    events: list[Any] = []
    cursor, ended = "0", False
    while not ended:
        data = await _poll(endpoint, made["task_id"], f"after={cursor}&wait=20")
        expect(data["gap"], False, "gap")
        events += data["events"]
        cursor, ended = data["cursor"], data["ended"]
    expect_whole(events)
    expect(cursor, f"{made['log']}-{events[-1]['seq']}", "the cursor")
    told = [record.data for record in await _records(endpoint, made["task_id"])]
    expect(told, events, "the stream's events against the long-poll's")


@check("REST")
async def the_result(endpoint: Endpoint) -> None:
    """A completed task has result_data, in its event and in its snapshot alike."""
    made = await endpoint.create()
    last = await endpoint.ended(made["task_id"])
    expect(last["type"], "completed", "the end")
    expect(last["progress"], 1.0, "progress")
    shown = (await endpoint.get(f"/api/tasks/{made['task_id']}")).json()["data"]
    expect(shown["result_data"], last["result_data"], "result_data")
    for artifact in last["result_data"]["artifacts"]:
        answer = await endpoint.get(artifact["url"])
        expect(len(answer.content), artifact["bytes"], "bytes of the artifact")


async def _poll(endpoint: Endpoint, id: str, query: str) -> Any:
    joined = query if "wait=" in query else f"{query}&wait=0"
    answer = await endpoint.get(f"/api/tasks/{id}/events?{joined}")
    expect(answer.status_code, 200, "status of the long-poll")
    return answer.json()["data"]
