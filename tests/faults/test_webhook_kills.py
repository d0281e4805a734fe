"""A server that is killed while it tells somebody of a task's end tells it again."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread
import httpx2
import pytest
from standardwebhooks.webhooks import Webhook

from tests.doubles.follows import holds
from tests.doubles.process import server_process
from tests.doubles.receiver import receiving

pytestmark = pytest.mark.slow

BODY = {"kind": "image", "prompt": "x", "model": "scripted/image"}


async def test_a_notice_outlives_the_process(tmp_path: Path) -> None:
    """SIGKILL while the receiver is silent: the next process sends the same id again, and
    both calls verify."""
    async with receiving() as receiver:
        receiver.answers = [None]
        settings = {"scripted": True, "webhook_allow_private": True}
        with server_process(tmp_path / "data", **settings) as server:
            body = BODY | {"params": {"script": [{"do": "image"}]}, "webhook": receiver.url()}
            async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as client:
                answer = await client.post("/api/tasks", json=body)
                assert answer.status_code == 202
                await receiver.wait(1)
                await anyio.to_thread.run_sync(server.kill)
                await anyio.to_thread.run_sync(server.start)
                first, second = await receiver.wait(2)
            async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as client:
                secret = (await client.get("/api/webhook-secret")).json()["data"]["secret"]
            await anyio.to_thread.run_sync(server.stop)
        holds(tmp_path / "data")
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.json()["data"]["seq"] == second.json()["data"]["seq"]
        for call in (first, second):
            assert Webhook(secret).verify(call.body, call.headers)["type"] == "task.completed"
