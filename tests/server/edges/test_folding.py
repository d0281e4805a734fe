"""Readers that lag get runs of progress as one frame; nobody else does, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import msgspec

from safelight.edges.lanes import LAG
from safelight_protocol.cursor import Reader, Verdict
from tests.doubles.served import Phone, Served

TOPIC = "task:t1"
WAIT = {"do": "wait", "gate": "end"}


def steps(first: int, last: int) -> list[dict[str, Any]]:
    """Progress reports that rise by a thousandth."""
    return [{"do": "progress", "to": n / 1000, "step": n} for n in range(first, last)]


async def replay(house: Served) -> Phone:
    """Join an ended task from its first event and read to its end."""
    async with house.connect() as phone:
        await phone.join(TOPIC, {"after": 0})
        await phone.until(lambda f: f[3] == "status")
        return phone


def spans(phone: Phone) -> list[tuple[int, int]]:
    """What each frame stands for, as first and last seq."""
    return [(e.get("from_seq", e["seq"]), e["seq"]) for e in phone.told(TOPIC)]


async def test_a_backlog_is_folded(house: Served) -> None:
    """With a whole batch waiting, runs of progress become one frame each, the content being
    the last one's; every other event is told, and every seq is in exactly one frame."""
    script = [*steps(1, 100), {"do": "text", "delta": "x"}, *steps(100, 150), {"do": "image"}]
    await house.create(id="t1", params={"script": script})
    events = await house.events("t1")
    phone = await replay(house)
    told = phone.told(TOPIC)
    assert len(told) < len(events) - LAG
    assert [n for first, last in spans(phone) for n in range(first, last + 1)] == [
        e["seq"] for e in events
    ]
    for event in told:
        whole = events[event["seq"] - 1]
        assert {k: v for k, v in event.items() if k != "from_seq"} == whole
        first = event.get("from_seq", event["seq"])
        assert {e["type"] for e in events[first - 1 : event["seq"] - 1]} <= {"progress"}
    kinds = [e["type"] for e in told if e["type"] != "progress"]
    assert kinds == [e["type"] for e in events if e["type"] != "progress"]


async def test_less_than_a_batch_is_told_in_full(house: Served) -> None:
    """One event fewer than a batch waiting is no lag: each is told as it was written."""
    await house.create(id="t1", params={"script": steps(1, LAG - 3)})
    events = await house.events("t1")
    assert len(events) == LAG - 1
    assert (await replay(house)).told(TOPIC) == events


async def test_folds_end_with_the_attempt(house: Served) -> None:
    """Progress of two attempts is never one frame."""
    script = [*steps(1, 60), {"do": "fault", "attempt": 1}, {"do": "image"}]
    await house.create(id="t1", params={"script": script})
    events = await house.events("t1")
    phone = await replay(house)
    assert any("from_seq" in e for e in phone.told(TOPIC))
    for event in phone.told(TOPIC):
        first = event.get("from_seq", event["seq"])
        assert {e["attempt"] for e in events[first - 1 : event["seq"]]} == {event["attempt"]}


async def test_the_providers_id_is_not_folded_away(house: Served) -> None:
    """Whoever reads folded frames knows at the end what everybody knows."""
    await house.create(id="t1", params={"script": [*steps(1, 200), {"do": "image"}]})
    events = await house.events("t1")
    phone = await replay(house)
    brought = [e["seq"] for e in events if e["type"] == "progress" and "prediction_id" in e]
    assert brought
    assert {e["seq"] for e in phone.told(TOPIC) if "prediction_id" in e} >= set(brought)


async def test_whoever_keeps_up_gets_every_event(house: Served) -> None:
    """A reader with less than a batch waiting is told each event as it is."""
    script = [*steps(1, 40), WAIT, *steps(40, 80), {"do": "image"}]
    async with house.connect() as phone:
        create = {"kind": "image", "prompt": "a test", "model": "scripted/image"}
        join = {"create": create | {"params": {"script": script}}, "after": 0}
        await phone.join(TOPIC, join)
        await phone.until(lambda f: f[3] == "progress" and f[4].get("step") == 39)
        house.scripted.gate("end").set()
        await phone.until_event("completed")
    assert phone.told(TOPIC) == await house.events("t1")


async def test_the_clients_reader_takes_folded_frames(house: Served) -> None:
    """Our own client sees neither a hole nor a repeat in them, wherever it comes back."""
    await house.create(id="t1", params={"script": [*steps(1, 150), {"do": "image"}]})
    await house.events("t1")
    phone = await replay(house)
    log = phone.received[0][4]["response"]["log"]
    last = phone.told(TOPIC)[-1]["seq"]
    for begin in (0, 1, 30, 100):
        reader = Reader(f"{log}-{begin}")
        fresh = [e for e in phone.told(TOPIC) if e["seq"] > begin]
        verdicts = [reader.judge(msgspec.Raw(json.dumps(e).encode())) for e in fresh]
        assert set(verdicts) == {Verdict.NEW}
        assert str(reader.cursor) == f"{log}-{last}"


async def test_server_sent_events_and_polls_never_fold(house: Served) -> None:
    """However far behind, they are told each event by its own number."""
    await house.create(id="t1", params={"script": [*steps(1, 300), {"do": "image"}]})
    events = await house.events("t1")
    polled: list[Any] = []
    after = "0"
    while len(polled) < len(events):
        answer: httpx2.Response = await house.http.get(f"/api/tasks/t1/events?after={after}&wait=0")
        data = answer.json()["data"]
        polled, after = polled + data["events"], data["cursor"]
    assert polled == events
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert not any("from_seq" in e for e in events)
