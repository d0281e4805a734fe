"""Real clients and the real server with a bad network between them.

Whatever the network does, each client ends with every event once, in order, and with the
task's one end; and a create whose answer got lost is one task. Only the network is bad
here: nobody is killed, and the time-outs are arguments so that nothing takes long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from safelight.client import Times, connect
from tests.doubles.fault_proxy import Direction, FaultProxy, fault_proxy
from tests.doubles.followers import (
    ClientFollower,
    Follower,
    SocketFollower,
    StreamFollower,
    following,
)
from tests.doubles.served import Served, served

pytestmark = pytest.mark.slow

ID = "bad-network"
SHORT = 0.2
"""Seconds of silence after which a client here takes its connection for dead."""

TIMES = Times(open=1.0, request=1.0, heartbeat=SHORT, answer=1.0)
HALF: list[dict[str, Any]] = [
    {"do": "progress", "to": n / 40, "message": "a stroke"} for n in range(1, 21)
]
SCRIPT = [
    *HALF,
    {"do": "wait", "gate": "halfway"},
    *[step | {"to": step["to"] + 0.5} for step in HALF],
    {"do": "image"},
]


class House:
    """A server and the network before it."""

    def __init__(self, server: Served, proxy: FaultProxy) -> None:
        self.server = server
        self.proxy = proxy

    async def begin(self) -> None:
        """Make the task, past the network; it stops halfway until `go_on`."""
        await self.server.create(id=ID, params={"script": SCRIPT})

    def go_on(self) -> None:
        """Let the task run to its end."""
        self.server.scripted.gate("halfway").set()

    @asynccontextmanager
    async def watched(self, beat: float = SHORT) -> AsyncIterator[Sequence[Follower]]:
        """Three clients through the network; at the end they must have been told all."""
        url = self.proxy.url
        times = msgspec.structs.replace(TIMES, heartbeat=beat)
        async with connect(url, times=times) as client:
            followers = (
                SocketFollower(url, ID, beat=beat, opening=1.0),
                StreamFollower(url, ID, silence=2 * beat),
                ClientFollower(client, ID),
            )
            async with following(followers):
                yield followers
        truth = await self.server.events(ID)
        for follower in followers:
            follower.whole()
            assert follower.events[-1] == truth[-1]
        assert followers[1].events == truth, "server-sent events never fold"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A running task behind a good network, until a test makes it bad."""
    async with served(tmp_path) as server, fault_proxy(server.url) as proxy:
        yield House(server, proxy)


async def attached(followers: Sequence[Follower]) -> None:
    """Return once each of them knows the task."""
    for follower in followers:
        await follower.attached()


def late(proxy: FaultProxy) -> None:
    """Everything comes late, now more and now less."""
    proxy.latency, proxy.jitter = 0.005, 0.9


def dripping(proxy: FaultProxy) -> None:
    """Everything comes in pieces of seven bytes."""
    proxy.drip = 7


@pytest.mark.parametrize("fault", [late, dripping])
async def test_a_slow_network_is_only_slow(
    house: House, fault: Callable[[FaultProxy], None]
) -> None:
    """Late and dripping bytes change nothing but the time it takes."""
    await house.begin()
    fault(house.proxy)
    house.go_on()
    async with house.watched(beat=5.0) as followers:
        pass
    assert [follower.connections for follower in followers[:2]] == [1, 1]


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("after", [0, 1, 57, 400, 2_000])
async def test_a_cut_in_the_middle(house: House, direction: Direction, after: int) -> None:
    """A connection that is cut after any byte costs a reconnect, and no event."""
    await house.begin()
    house.proxy.cut(direction, after=after)
    async with house.watched() as followers:
        await attached(followers)
        house.go_on()


async def test_cut_again_and_again(house: House) -> None:
    """Links that live for some hundred bytes each leave no mark on what was told."""
    await house.begin()
    house.proxy.lifetimes.extend(range(400, 3_400, 100))
    async with house.watched() as followers:
        await attached(followers)
        house.go_on()
    assert house.proxy.accepted > 12


@pytest.mark.parametrize("silent", [("up",), ("down",), ("up", "down")], ids="+".join)
async def test_a_half_open_connection_is_noticed(house: House, silent: Sequence[Direction]) -> None:
    """A connection that has died without a word is given up by the client's own heartbeat,
    and what was told meanwhile comes on the next one."""
    await house.begin()
    async with house.watched() as followers:
        await attached(followers)
        for direction in silent:
            house.proxy.freeze(direction)
        house.go_on()
        if "down" in silent:
            await house.proxy.wait_for_links(6)


async def test_a_reset_of_everything(house: House) -> None:
    """All connections are reset at once, and all clients come back."""
    await house.begin()
    async with house.watched() as followers:
        await attached(followers)
        house.proxy.reset_all()
        house.go_on()
    assert house.proxy.accepted >= 6


async def test_a_server_that_cannot_be_reached_for_a_while(house: House) -> None:
    """Refused clients go on trying, and find everything once they are let in."""
    await house.begin()
    house.proxy.refuse = True
    async with house.watched() as followers:
        await house.proxy.wait_for_links(6)
        house.proxy.refuse = False
        await attached(followers)
        house.go_on()
    assert house.proxy.refused >= 6


async def test_a_silent_opening_is_given_up(house: House) -> None:
    """A connection on which nothing ever comes, not even the handshake, is no end."""
    await house.begin()
    house.proxy.holes = {"down"}
    async with house.watched() as followers:
        await house.proxy.wait_for_links(3)
        house.proxy.holes = set()
        await attached(followers)
        house.go_on()


BODY = {"kind": "image", "prompt": "one only", "model": "scripted/image"}


def cut_the_answer(proxy: FaultProxy) -> None:
    """The answer is cut after its first bytes."""
    proxy.cut("down", after=20)


def swallow_the_answer(proxy: FaultProxy) -> None:
    """The answer never comes, and nobody says so."""
    proxy.holes = {"down"}


@pytest.mark.parametrize("fault", [cut_the_answer, swallow_the_answer])
async def test_a_lost_answer_is_one_task(house: House, fault: Callable[[FaultProxy], None]) -> None:
    """The Python client repeats a create with its key: the same task, one prediction."""
    fault(house.proxy)
    async with connect(house.proxy.url, times=TIMES) as client:
        async with following([_Healer(house.proxy)]):
            made = await client.create(**BODY)
    assert [made.task_id] == await _task_ids(house)
    assert len(house.server.scripted.started) <= 1
    assert house.proxy.accepted >= 2


class _Healer(Follower):
    """Lets the answers through once the first connection is there."""

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__("", "")
        self._proxy = proxy

    async def run(self) -> None:
        await self._proxy.wait_for_links(1)
        self._proxy.holes = set()


async def test_a_repeat_by_hand_is_one_task(house: House) -> None:
    """A POST whose answer was lost, sent again with its key by a plain HTTP client, is
    answered with the task that the first one made."""
    async with httpx2.AsyncClient(base_url=house.proxy.url, trust_env=False) as http:
        headers = {"Idempotency-Key": "once"}
        house.proxy.cut("down", after=0)
        with pytest.raises(httpx2.HTTPError):
            await http.post("/api/tasks", json=BODY, headers=headers)
        again = await http.post("/api/tasks", json=BODY, headers=headers)
    assert again.status_code == 200
    assert [again.json()["data"]["task_id"]] == await _task_ids(house)


async def _task_ids(house: House) -> list[Any]:
    listed = (await house.server.http.get("/api/tasks")).json()
    return [task["task_id"] for task in listed["data"]["tasks"]]
