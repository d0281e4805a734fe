"""Notices while the disk is full, and at the moment at which a server goes: none is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx2
import pytest

from safelight.store import Postponed, SecretKept, Sent
from tests.doubles.full import Room, full
from tests.doubles.process import server_process
from tests.doubles.receiver import Answer, receiving
from tests.doubles.served import PATIENCE, served
from tests.doubles.turns import until

IMAGE = {"script": [{"do": "image"}]}
BODY = {"kind": "image", "prompt": "x", "model": "scripted/image", "params": IMAGE}

UNWRITTEN: dict[str, tuple[type[Any], Answer]] = {
    "taken": (Sent, (204, {})),
    "not taken": (Postponed, (410, {})),
}


@pytest.mark.parametrize("name", UNWRITTEN)
async def test_what_cannot_be_written_is_written_later(tmp_path: Path, name: str) -> None:
    """A full disk behind an answer: the receiver is not asked again, and once there is room
    what it answered is written."""
    item, answer = UNWRITTEN[name]
    room = Room()
    opened = full(lambda one: isinstance(one, item), room)
    async with (
        receiving() as receiver,
        served(tmp_path, webhook_allow_private=True, opened=opened) as house,
    ):
        receiver.answers = [answer]
        await house.create(params=IMAGE, webhook=receiver.url())
        await until(lambda: room.refused >= 2)
        assert len(receiver.calls) == 1
        room.is_there = True
        figure = "webhooks_sent" if name == "taken" else "webhooks_dead"
        await until(lambda: house.context.statistics()[figure] == 1)
        page = await house.http.get("/api/deliveries", params={"state": "waiting"})
        assert page.json()["data"]["deliveries"] == []
        assert len(receiver.calls) == 1


async def test_no_secret_can_be_kept_so_nothing_is_sent(tmp_path: Path) -> None:
    """A first secret that is not on disk would be another one after a restart: the notice
    waits for it."""
    room = Room()
    opened = full(lambda one: isinstance(one, SecretKept), room)
    async with (
        receiving() as receiver,
        served(tmp_path, webhook_allow_private=True, opened=opened) as house,
    ):
        await house.create(params=IMAGE, webhook=receiver.url())
        await until(lambda: room.refused >= 2)
        assert receiver.calls == []
        room.is_there = True
        await receiver.wait(1)


async def test_a_server_that_goes_between_the_answer_and_the_disk_sends_again(
    tmp_path: Path,
) -> None:
    """It stops at once, whatever its disk suffers; the next one sends the notice under the
    same id, and then no more."""
    room = Room()
    opened = full(lambda one: isinstance(one, Sent), room)
    async with receiving() as receiver:
        async with asyncio.timeout(PATIENCE):
            async with served(tmp_path, webhook_allow_private=True, opened=opened) as house:
                await house.create(params=IMAGE, webhook=receiver.url())
                await until(lambda: room.refused >= 1)
        async with served(tmp_path, webhook_allow_private=True) as house:
            first, second = await receiver.wait(2)
            await until(lambda: house.context.statistics()["webhooks_sent"] == 1)
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        async with served(tmp_path, webhook_allow_private=True) as house:
            page = await house.http.get("/api/deliveries", params={"state": "waiting"})
            assert page.json()["data"]["deliveries"] == []


@pytest.mark.slow
async def test_a_receiver_that_hangs_does_not_hold_a_server(tmp_path: Path) -> None:
    """SIGTERM during a try: the process ends in good order long before the try would, and the
    next one tells the receiver."""
    settings = {"scripted": True, "webhook_allow_private": True, "webhook_seconds": 600}
    async with receiving() as receiver:
        receiver.answers = [None]
        with server_process(tmp_path / "data", **settings) as server:
            async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as client:
                body = BODY | {"webhook": receiver.url()}
                assert (await client.post("/api/tasks", json=body)).status_code == 202
            await receiver.wait(1)
            assert await anyio.to_thread.run_sync(server.stop) == 0
            await anyio.to_thread.run_sync(server.start)
            first, second = await receiver.wait(2)
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
