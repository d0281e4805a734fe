"""The same application on ASGI servers of others: the same wire, by ordinary sends.

Each server is a real process with its own HTTP and WebSocket code; clients are real too.
What a server itself does otherwise is listed, with the reason, and nothing else may be.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio.to_thread import run_sync

from safelight import conformance
from safelight.client import Event, Watch, connect
from safelight.conformance import CHECKS
from safelight_protocol.snapshot import Snapshot
from tests.doubles.deaf import deaf
from tests.doubles.other_servers import SERVERS, Elsewhere, OtherServer, elsewhere, other_server
from tests.doubles.poller import Poller
from tests.doubles.served import PATIENCE
from tests.e2e.phoenix_node import node_client

SLOW_SECONDS = 1.0
DELTA = 60_000
DELTAS = 16
TALL_ORDERS = 8
"""Tasks of one client that takes nothing: together more than the kernel holds for it."""

DIFFERENT = {
    "granian": {
        # It hangs up over a body that the application did not read, so the answer may be lost.
        "rest.too_large",
        # It refuses frames above 16 MiB by itself, before we see them, and gives no code.
        "frames.too_large_a_frame",
    },
    "uvicorn": set[str](),
}


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OtherServer]:
    """One process for this file's tests of one server."""
    folder = tmp_path_factory.mktemp(request.param) / "data"
    limits: dict[str, Any] = {"slow_reader_seconds": SLOW_SECONDS, "longpoll_seconds": 2}
    with other_server(request.param, folder, **limits) as running:
        yield running


@pytest.fixture
async def house(server: OtherServer) -> AsyncIterator[Elsewhere]:
    """The way to it."""
    async with elsewhere(server) as way:
        yield way


def gated(gate: str, *after: dict[str, Any], kind: str = "text") -> dict[str, Any]:
    """What makes a task that begins, waits for its gate, and then does the rest."""
    steps = [{"do": "progress", "to": 0.5}, {"do": "wait", "gate": gate}, *after]
    model = f"scripted/{kind}"
    return {"kind": kind, "prompt": "x", "model": model, "params": {"script": steps}}


def seqs(told: list[dict[str, Any]]) -> list[int]:
    """The seqs that these events bring, folded ones included."""
    return [n for e in told for n in range(e.get("from_seq", e["seq"]), e["seq"] + 1)]


async def test_a_join_creates_and_all_doors_tell_the_same(house: Elsewhere) -> None:
    """Two sockets, the stream and a long-poll session get one sequence, to its end; pings
    and heartbeats are answered meanwhile, and nobody was offered a line."""
    text = [{"do": "text", "delta": f"{n} "} for n in range(300)]
    poller = Poller(house.http)
    async with house.connect() as one, house.connect() as two:
        reply = await one.join("task:all", {"create": gated("all", *text)})
        await two.join("task:all", {"after": 0})
        assert (await one.push("phoenix", "heartbeat", {}))["status"] == "ok"
        pong = await two.push("task:all", "ping", {"a": [1, 2]}, join_ref="7")
        await poller.open()
        await poller.join("task:all", {"after": 0})
        await house.open_gate("all")
        ends = (each.until_event("completed") for each in (one, two, poller))
        await asyncio.gather(*ends)  # who does not poll meanwhile is taken for gone
    rest = await house.events("all")
    assert (reply["response"]["created"], pong["response"]) == (True, {"a": [1, 2]})
    told = [two.told("task:all"), poller.told("task:all"), rest]
    assert [seqs(events) for events in told] == [list(range(1, rest[-1]["seq"] + 1))] * 3
    assert one.told("task:all")[-1] == two.told("task:all")[-1] == rest[-1]
    assert (await house.told())["lines"] == 0


async def test_a_client_comes_back_with_its_cursor(house: Elsewhere) -> None:
    """After a lost connection, a leave and a second join of one topic: each event once."""
    async with house.connect() as phone:
        reply = await phone.join("task:back", {"create": gated("back", {"do": "text"})})
        await phone.until_event("progress")
        cut = phone.told("task:back")[-1]["seq"]
        phone.connection.transport.abort()
    after = f"{reply['response']['log']}-{cut}"
    async with house.connect() as phone:
        await phone.join("task:back", {"after": after})
        await phone.push("task:back", "phx_leave", {}, join_ref="7")
        assert phone.told("task:back") == []
        await phone.join("task:back", {"after": after}, join_ref="8")
        await phone.join("task:back", {"after": after}, join_ref="9")
        await house.open_gate("back")
        await phone.until_event("completed")
    rest = await house.events("back")
    assert phone.told("task:back") == rest[cut:]
    closed = [f[0] for f in phone.received if f[3] == "phx_close"]
    assert closed == ["7", "8"]


async def test_previews_travel_as_binary_frames(house: Elsewhere) -> None:
    """`previews: binary` brings the header and the bytes in one frame."""
    create = gated("shown", {"do": "image"}, kind="image")
    create["params"]["script"].insert(0, {"do": "preview", "step": 3})
    async with house.connect() as phone:
        await phone.join("task:shown", {"create": create, "previews": "binary"})
        data = await phone.until(lambda f: isinstance(f, bytes))
        await house.open_gate("shown")
        await phone.until_event("completed")
    head = 3 + len("task:shown") + len("preview")
    length = int.from_bytes(data[head : head + 4], "big")
    assert json.loads(data[head + 4 : head + 4 + length])["step"] == 3
    assert data[head + 4 + length :].startswith(b"\x89PNG")


@pytest.mark.needs("node", "npm packages")
def test_phoenix_js_is_served(server: OtherServer) -> None:
    """The npm package joins with a create, sees previews and every event, pings, leaves."""
    create = gated("js", {"do": "image"}, kind="image")
    create["params"]["script"].insert(0, {"do": "preview", "step": 3})
    join = {"create": create, "previews": "binary"}
    with node_client(server.url, "1.8", "task:js", join) as node:
        joined = node.until(lambda told: "joined" in told)["joined"]
        shown = node.until(lambda told: "preview" in told)
        httpx2.post(f"{server.url}/test/js")
        node.until_event("completed")
        node.do(push=["ping", {"a": 1}])
        assert node.until(lambda told: "ok" in told)["ok"] == {"a": 1}
        node.do(leave=True)
        node.until(lambda told: told.get("left") is True)
    assert shown["preview"]["step"] == 3
    assert seqs(node.events) == list(range(joined["seq"] + 1, node.events[-1]["seq"] + 1))


async def test_rest_creates_and_cancels(house: Elsewhere) -> None:
    """POST makes a task once, whoever asks again gets the same, and cancel ends it."""
    body = gated("never") | {"id": "rest"}
    made = await house.post("/api/tasks", body, idempotency_key="k")
    again = await house.post("/api/tasks", body, idempotency_key="k")
    canceled = await house.post("/api/tasks/rest/cancel")
    assert (made.status_code, again.status_code) == (202, 200)
    assert canceled.status_code in (200, 202)
    assert (await house.events("rest"))[-1]["type"] == "canceled"
    shown = await house.http.get("/api/tasks/rest")
    assert shown.json()["data"]["status"] == "canceled"


async def test_who_takes_nothing_is_sent_away_and_loses_nothing(house: Elsewhere) -> None:
    """A client that reads nothing is handed no more than the network holds, told to come
    back if it can still be told, and gets the rest with its cursors, each event once."""
    names = [f"tall{n}" for n in range(TALL_ORDERS)]
    await house.open_gate("tall")
    for name in names:
        text = [{"do": "text", "delta": "x" * DELTA}] * DELTAS
        await house.create(**gated("tall", *text), id=name)
    whole = {name: await house.events(name) for name in names}
    place = len((await house.told())["handed"])
    async with deaf(house.url) as client:
        for name in names:
            await client.say("1", "1", f"task:{name}", "phx_join", {"after": 0})
        await _given_up(house, place)
        await client.hear_goodbye()
    taken = {n: [f[4] for f in client.frames if f[2:4] == [f"task:{n}", "progress"]] for n in names}
    log = next(f[4]["response"]["log"] for f in client.frames if f[3] == "phx_reply")
    handed = (await house.told())["handed"][place]
    assert handed < TALL_ORDERS * DELTAS * DELTA - DELTAS * DELTA
    assert client.close_code in (None, 1013)  # it may have begun to read too late for a word
    async with house.connect() as phone:
        for name in names:
            last = f"{log}-{taken[name][-1]['seq']}" if taken[name] else 0
            await phone.join(f"task:{name}", {"after": last})
            await phone.until(lambda f: f[3] == "status")
            taken[name] += phone.told(f"task:{name}")
    for name in names:  # the end has the whole text, which is cut for a frame
        assert taken[name][:-1] == whole[name][:-1]
        assert taken[name][-1]["seq"] == whole[name][-1]["seq"]


async def _given_up(house: Elsewhere, place: int) -> None:
    """Wait until the client of that place was told something, and is told nothing more."""
    async with asyncio.timeout(PATIENCE):
        while True:
            handed = (await house.told())["handed"]
            healthz = (await house.http.get("/healthz")).json()
            followed = healthz["data"]["statistics"]["followers"]
            if len(handed) > place and handed[place] and not followed:
                return


async def test_it_conforms(server: OtherServer) -> None:
    """Every check of the wire passes, but for what the server itself does otherwise."""
    tasks = {"kind": "text", "model": "scripted/text"}
    slow = {"script": [{"do": "hang"}]}
    async with conformance.connect(server.url, tasks=tasks, slow=slow, patience=30) as endpoint:
        found = [verdict async for verdict in conformance.run(endpoint, CHECKS)]
    assert len(found) == len(CHECKS)
    failed = {v.check: v.found for v in found if v.outcome != "passed"}
    assert set(failed) <= DIFFERENT[server.name], failed


@pytest.mark.parametrize("name", SERVERS)
async def test_it_is_stopped_and_killed_and_nothing_is_lost(name: str, tmp_path: Path) -> None:
    """A stop closes sockets without 1000, ends streams in its time, and the process; after
    it, and after a kill, clients come back by themselves and see every event once."""
    seen: list[Event] = []
    limits: dict[str, Any] = {"retry_base_seconds": 0.001}
    with other_server(name, tmp_path / "data", **limits) as server:
        async with elsewhere(server) as house, connect(server.url) as client:
            await house.create(**gated("end", {"do": "text", "delta": "x"}), id="t1")
            watch = client.watch("t1", seen.append)
            first = await anext(watch)
            following = asyncio.create_task(_last(watch))
            async with house.connect() as phone, house.http.stream("GET", EVENTS) as stream:
                await phone.join("task:t1")
                assert stream.status_code == 200
                code = await run_sync(server.stop)
                await phone.connection.wait_closed()
            assert phone.connection.close_code in (1006, 1012)
            assert code in (0, -signal.SIGTERM)
            await run_sync(server.start)
            await _begun_again(house, 2)
            await run_sync(server.kill)
            await run_sync(server.start)
            await _begun_again(house, 3)
            await house.open_gate("end")
            async with asyncio.timeout(PATIENCE):
                last = await following
            rest = await house.events("t1")
    assert last.status == "completed"
    assert seen[0].seq <= first.seq + 1  # what came before it was shown is in it
    assert [event.seq for event in seen] == list(range(seen[0].seq, last.seq + 1))
    assert seqs(rest) == list(range(1, last.seq + 1))
    assert [e["type"] for e in rest if e["type"] in ("completed", "failed")] == ["completed"]


EVENTS = "/api/tasks/t1/events"


async def _last(watch: Watch) -> Snapshot:
    """The last of a watch's snapshots."""
    return [snapshot async for snapshot in watch][-1]


async def _begun_again(house: Elsewhere, attempt: int) -> None:
    """Wait until that attempt runs: one that waits for its turn is not lost by a kill."""
    async with asyncio.timeout(PATIENCE):
        while True:
            task = (await house.http.get("/api/tasks/t1")).json()["data"]
            if (task["attempt"], task["status"]) == (attempt, "processing"):
                return
