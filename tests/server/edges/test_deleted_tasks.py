"""Followers of a task that is deleted: none waits for what can never come.

What went wrong: a follower that lagged when its task was deleted found nothing more to
read and was told nothing, for as long as its socket lived.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from safelight.client import RequestRefused, connect
from tests.doubles.served import PATIENCE, Phone, served

ID = "task-1"
TOPIC = f"task:{ID}"


async def until_closed(phone: Phone) -> list[tuple[str, dict[str, Any]]]:
    """Event and payload of every frame of the topic, to the end of its channel."""
    await phone.until(lambda f: isinstance(f, list) and f[3] == "phx_close")
    return [(f[3], f[4]) for f in phone.received if isinstance(f, list) and f[2] == TOPIC]


@pytest.mark.parametrize("topic", [TOPIC, f"realtime:{TOPIC}"])
async def test_followers_are_told_and_let_go(topic: str, tmp_path: Path):
    """DELETE pushes `task_deleted` to who follows the task, then closes the channel."""
    async with served(tmp_path) as house, house.connect() as phone:
        await house.create(id=ID)
        await house.events(ID)
        await phone.join(topic, join_ref="3")
        await house.http.delete(f"/api/tasks/{ID}")
        end = await phone.until(lambda f: isinstance(f, list) and f[3] == "phx_close")
        told = [f for f in phone.received if f[2] == topic][-2]
    assert end == ["3", "3", topic, "phx_close", {}]
    assert told[0] == "3" and ID in str(told[4]) and "task_deleted" in str(told)


async def test_a_join_after_the_end_of_its_channel_is_refused(tmp_path: Path):
    """The topic is free again on that socket, and a join of it is `gone`."""
    async with served(tmp_path) as house, house.connect() as phone:
        await house.create(id=ID)
        await house.events(ID)
        await phone.join(TOPIC)
        await house.http.delete(f"/api/tasks/{ID}")
        await until_closed(phone)
        again = await phone.join(TOPIC, join_ref="9")
        alive = await phone.push("phoenix", "heartbeat", {})
    assert (again["status"], again["response"]["code"]) == ("error", "gone")
    assert alive["status"] == "ok"


async def test_a_follower_of_an_ended_task_is_left_alone(tmp_path: Path):
    """That a task has ended, or that another one is deleted, closes nothing."""
    async with served(tmp_path) as house, house.connect() as phone:
        await house.create(id=ID)
        await house.create(id="other", prompt="another")
        for id in (ID, "other"):
            await house.events(id)
        await phone.join(TOPIC)
        await house.http.delete("/api/tasks/other")
        answer = await phone.push(TOPIC, "ping", {"still": "here"}, "7")
    assert answer == {"status": "ok", "response": {"still": "here"}}


async def test_nothing_is_left_of_a_channel_that_ended(tmp_path: Path) -> None:
    """Its feed follows nothing any more, however many tasks one socket sees deleted."""
    async with served(tmp_path) as house, house.connect() as phone:
        for number in range(5):
            id = f"task-{number}"
            await house.create(id=id, prompt=id)
            await house.events(id)
            await phone.join(f"task:{id}", join_ref=id)
            await house.http.delete(f"/api/tasks/{id}")
            await phone.until(lambda f: f[3] == "phx_close")
        await phone.push("phoenix", "heartbeat", {})
        async with asyncio.timeout(PATIENCE):
            while house.context.statistics()["followers"]:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_the_python_client_says_gone(tmp_path: Path):
    """Whoever watches a task that is deleted before its end was seen gets `gone`."""
    async with served(tmp_path) as house:
        await house.create(id=ID, params={"script": [{"do": "wait", "gate": "g"}]})
        async with connect(house.url) as client:
            watch = client.watch(ID)
            assert (await anext(watch)).status in ("queued", "processing")
            house.scripted.gate("g").set()
            await house.events(ID)
            await house.http.delete(f"/api/tasks/{ID}")
            try:
                seen = [snapshot.status async for snapshot in watch]
            except RequestRefused as refused:
                seen = [refused.code]
    assert seen[-1] in ("completed", "gone")
