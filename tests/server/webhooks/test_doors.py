"""A webhook is asked for in the same words at every door, and where it cannot be, that is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.doubles.receiver import receiving
from tests.doubles.served import served
from tests.doubles.turns import until

SCRIPT = {"script": [{"do": "image"}]}
BODY: dict[str, Any] = {"kind": "image", "prompt": "x", "model": "scripted/image", "params": SCRIPT}


async def test_each_task_of_a_batch_tells_its_own_receiver(tmp_path: Path) -> None:
    """Two creates of one batch with two webhooks are two notices; a third has none."""
    async with (
        receiving() as one,
        receiving() as other,
        served(tmp_path, webhook_allow_private=True) as house,
    ):
        tasks = [BODY | {"webhook": one.url()}, BODY | {"webhook": other.url()}, BODY]
        answer = await house.post("/api/tasks:batch", {"tasks": tasks})
        made = [item["data"]["task_id"] for item in answer.json()["data"]["results"]]
        for receiver, task in ((one, made[0]), (other, made[1])):
            (call,) = await receiver.wait()
            assert call.json()["data"]["task_id"] == task
        await until(lambda: house.context.statistics()["webhooks_sent"] == 2)
        await house.events(made[2])
        assert len(one.calls) == len(other.calls) == 1


async def test_a_private_receiver_is_refused_in_a_batch_too(tmp_path: Path) -> None:
    """The guard of the create stands before every door, for the one task that it is about."""
    async with served(tmp_path) as house:
        tasks = [BODY | {"webhook": "http://[::ffff:7f00:1]/"}, BODY]
        answer = await house.post("/api/tasks:batch", {"tasks": tasks})
        refused, made = answer.json()["data"]["results"]
        assert refused["problem"]["error"]["details"][0]["field"] == "webhook"
        assert made["status"] == 202


async def test_a_create_on_a_socket_may_have_one(tmp_path: Path) -> None:
    """Joining a topic with a create in it is a create like others."""
    async with (
        receiving() as receiver,
        served(tmp_path, webhook_allow_private=True) as house,
        house.connect() as phone,
    ):
        payload = {"create": BODY | {"webhook": receiver.url()}}
        assert (await phone.join("task:hooked", payload))["status"] == "ok"
        (call,) = await receiver.wait()
        assert call.json()["type"] == "task.completed"


async def test_the_apps_form_has_none_and_says_so(tmp_path: Path) -> None:
    """There it is an unknown field like any other: left out, with a warning, within the data
    and beside it."""
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        data = {"type": "image", "prompt": "x", "model": "local/paint"}
        for body in (
            {"input_data": data | {"webhook": receiver.url()}},
            {"input_data": data, "webhook": receiver.url()},
        ):
            answer = (await house.post("/api/tasks", body)).json()
            assert [one for one in answer["data"]["warnings"] if "webhook" in str(one)]
            await house.events(answer["data"]["task_id"])
        page = await house.http.get("/api/deliveries", params={"state": "waiting"})
        assert page.json()["data"]["deliveries"] == []
        assert receiver.calls == []


async def test_a_quote_tells_nobody(tmp_path: Path) -> None:
    """Asking for a price with a webhook in the body makes neither task nor notice."""
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        answer = await house.post("/api/quotes", BODY | {"webhook": receiver.url()})
        assert answer.status_code == 200, answer.text
        page = await house.http.get("/api/tasks")
        assert page.json()["data"]["tasks"] == []
        assert receiver.calls == []


async def test_another_webhook_makes_no_other_request(tmp_path: Path) -> None:
    """By key, by likeness and by id the same request is the same task, whoever it tells."""
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        first = await house.create(params=SCRIPT, request_id="k", webhook=receiver.url())
        again = await house.create(params=SCRIPT, request_id="k", webhook="http://example.com/")
        bare = await house.create(params=SCRIPT, request_id="k")
        assert first["task_id"] == again["task_id"] == bare["task_id"]
        assert [one for one in again["warnings"] if "webhook: ignored" in str(one)]
        assert not [one for one in bare["warnings"] if "webhook" in str(one)]
        alike = await house.create(params=SCRIPT, reuse="completed", seed=1)
        same = await house.create(
            params=SCRIPT, reuse="completed", seed=1, webhook="http://example.com/"
        )
        assert alike["task_id"] == same["task_id"]
        assert [one for one in same["warnings"] if "webhook: ignored" in str(one)]
