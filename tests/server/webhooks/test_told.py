"""What a receiver gets: signed, once, with a cursor to go on from; and what an owner sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from safelight_protocol.events import timestamp
from tests.doubles.receiver import receiving
from tests.doubles.served import Served, served
from tests.doubles.turns import until

IMAGE = [{"do": "image"}]


async def _create(house: Served, hook: Any, script: Any = IMAGE, **more: Any) -> dict[str, Any]:
    return await house.create(params={"script": script}, webhook=hook, **more)


async def _secret(house: Served, **headers: str) -> str:
    answer = await house.http.get("/api/webhook-secret", headers=headers)
    return str(answer.json()["data"]["secret"])


async def test_the_end_of_a_task_is_told_once_and_signed(tmp_path: Path) -> None:
    """The receiver gets one call, which an independent verifier takes, and whose cursor is
    that of the end at any door."""
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        task = await _create(house, receiver.url())
        (call,) = await receiver.wait()
        told = Webhook(await _secret(house)).verify(call.body, call.headers)
        events = await house.events(task["task_id"])
        assert told["type"] == "task.completed"
        assert told["timestamp"] == events[-1]["timestamp"]
        data = told["data"]
        assert {name: data[name] for name in events[-1]} == events[-1]
        assert data["url"] == f"/api/tasks/{task['task_id']}"
        path = f"/api/tasks/{task['task_id']}/events"
        after = await house.http.get(path, params={"after": data["cursor"], "wait": 0})
        assert after.json()["data"]["events"] == []
        assert call.headers["webhook-id"].endswith(f"_{events[-1]['seq']}")
        assert call.headers["host"] == f"127.0.0.1:{receiver.port}"
        await until(lambda: house.context.statistics()["webhooks_sent"] == 1)
        assert len(receiver.calls) == 1


async def test_more_events_are_told_on_request(tmp_path: Path) -> None:
    """Whoever names events is told these, each under an id of its own."""
    hook = {"events": ["artifact", "started", "completed"]}
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        await _create(house, hook | {"url": receiver.url()})
        calls = await receiver.wait(3)
        told = {call.json()["type"]: call.headers["webhook-id"] for call in calls}
        assert set(told) == {"task.started", "task.artifact", "task.completed"}
        assert len(set(told.values())) == 3


@pytest.mark.parametrize(("script", "type"), [([{"do": "never"}], "failed")])
async def test_a_failure_is_told_too(tmp_path: Path, script: Any, type: str) -> None:
    """An end that is no success is one all the same."""
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        await _create(house, receiver.url(), script)
        (call,) = await receiver.wait()
        assert call.json()["type"] == f"task.{type}"
        assert call.json()["data"]["error_data"]["code"]


async def test_a_cancel_is_told_too(tmp_path: Path) -> None:
    """Whoever names no events hears of every end, also of one that was asked for."""
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        script = [{"do": "wait", "gate": "never"}]
        task = await _create(house, {"url": receiver.url()}, script)
        await house.post(f"/api/tasks/{task['task_id']}/cancel")
        (call,) = await receiver.wait()
        assert call.json()["type"] == "task.canceled"


async def test_a_long_text_is_cut_and_says_so(tmp_path: Path) -> None:
    """A notice stays small: what does not fit is to be fetched."""
    script = [{"do": "text", "delta": "word " * 20_000}]
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        await house.create(
            kind="text", model="scripted/text", params={"script": script}, webhook=receiver.url()
        )
        (call,) = await receiver.wait()
        assert len(call.body) <= 20_000
        assert call.json()["data"]["truncated"] is True
        assert call.json()["data"]["result_data"]["content"].startswith("word word")


async def test_a_changed_secret_signs_beside_the_one_before(tmp_path: Path) -> None:
    """For a day, whose end is told, both verify; a stranger's secret never does."""
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        old = await _secret(house)
        before = house.context.clock()
        changed = (await house.post("/api/webhook-secret")).json()["data"]
        assert changed["previous"] == old
        ends = [timestamp(at + 86_400_000) for at in (before, house.context.clock())]
        assert ends[0] <= changed["previous_until"] <= ends[1]
        assert changed["secret"] != old
        await _create(house, receiver.url())
        (call,) = await receiver.wait()
        for secret in (old, changed["secret"]):
            Webhook(secret).verify(call.body, call.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook("whsec_" + "A" * 43 + "=").verify(call.body, call.headers)


async def test_whoever_attaches_adds_no_webhook(tmp_path: Path) -> None:
    """A task tells whoever it was made for; another webhook is refused aloud."""
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        script = [{"do": "wait", "gate": "go"}, {"do": "image"}]
        body = {"id": "one", "params": {"script": script}}
        await house.create(**body, webhook=receiver.url())
        again = await house.create(**body, webhook=receiver.url())
        other = await house.create(**body, webhook="https://example.com/x")
        assert not [one for one in again["warnings"] if "webhook" in one]
        assert [one for one in other["warnings"] if "webhook: ignored" in one]
        house.scripted.gate("go").set()
        await receiver.wait()


async def test_no_webhook_costs_nothing(tmp_path: Path) -> None:
    """A task without one has no row among the deliveries."""
    async with served(tmp_path) as house:
        task = await house.create(params={"script": IMAGE})
        await house.events(task["task_id"])
        for state in ("dead", "waiting"):
            page = await house.http.get("/api/deliveries", params={"state": state})
            assert page.json()["data"] == {"deliveries": [], "next": None}


REFUSED: dict[str, Any] = {
    "scheme": "ftp://example.com/x",
    "credentials": "https://user:secret@example.com/x",
    "fragment": "https://example.com/x#y",
    "relative": "/hook",
    "long": "https://example.com/" + "x" * 2000,
    "number": 7,
    "no url": {"events": ["completed"]},
    "unknown field": {"url": "https://example.com", "secret": "x"},
    "no events": {"url": "https://example.com", "events": []},
    "unknown event": {"url": "https://example.com", "events": ["progress"]},
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_webhook_is_refused(tmp_path: Path, name: str) -> None:
    """The create is refused by the name of the field, and nothing is made."""
    async with served(tmp_path) as house:
        body = {"kind": "image", "prompt": "x", "webhook": REFUSED[name]}
        answer = await house.post("/api/tasks", body)
        assert answer.status_code == 400, answer.text
        details = answer.json()["error"]["details"]
        assert [one["field"] for one in details] == ["webhook"]
