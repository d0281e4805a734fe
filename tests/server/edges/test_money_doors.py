"""Money at every door: nobody spends without having agreed, and who attaches never fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.scripted import Scripted
from tests.doubles.priced import DONE, EACH, end_of, shop, usage
from tests.doubles.served import Served

IMAGE = {"kind": "image", "prompt": "a monk", "model": "scripted/image"}
APP = {"input_data": {"type": "image", "prompt": "a monk", "model": "scripted/image"}}
TEXT = {"prompt": "a monk", "model": "scripted/text", "max_tokens": 10}

Answered = tuple[str, Any]
"""The code of a refusal (or `ok`), and the quote in it."""


async def rest(house: Served, body: Any, path: str = "/api/tasks") -> Answered:
    """A POST."""
    answer = await house.post(path, body)
    told = answer.json()
    assert answer.status_code == {"payment_required": 402, "vip_required": 403}.get(
        told.get("code", ""), answer.status_code
    )
    return told.get("code", "ok"), told.get("quote")


async def native(house: Served, more: dict[str, Any]) -> Answered:
    """The native body."""
    return await rest(house, IMAGE | more)


async def app(house: Served, more: dict[str, Any]) -> Answered:
    """The deployed app's body."""
    return await rest(house, {"input_data": APP["input_data"] | more})


async def batch(house: Served, more: dict[str, Any]) -> Answered:
    """A list of one."""
    answer = await house.post("/api/tasks:batch", {"tasks": [IMAGE | more]})
    row = answer.json()["data"]["results"][0]
    problem = row.get("problem", {})
    return problem.get("code", "ok"), problem.get("quote")


async def view(house: Served, more: dict[str, Any]) -> Answered:
    """The door of one kind."""
    body = {name: value for name, value in IMAGE.items() if name != "kind"}
    return await rest(house, body | more, "/api/run-image-model")


async def llm(house: Served, more: dict[str, Any]) -> Answered:
    """The text door."""
    return await rest(house, TEXT | more, "/api/llm/generate")


async def join(house: Served, more: dict[str, Any]) -> Answered:
    """A join of the task's channel."""
    async with house.connect() as phone:
        reply = await phone.join("task:by-join", {"create": IMAGE | more})
    return reply["response"].get("code", "ok"), reply["response"].get("quote")


async def push(house: Served, more: dict[str, Any]) -> Answered:
    """A push on a conversation's channel."""
    async with house.connect() as phone:
        await phone.join("task:swift_1", {})
        payload = {"prompt": "a monk", "model": "scripted/image"} | more
        reply = await phone.push("task:swift_1", "image_generate", payload, "7")
    return reply["response"].get("code", "ok"), reply["response"].get("quote")


Door = Callable[[Served, dict[str, Any]], Awaitable[Answered]]
DOORS: dict[str, Door] = {
    "native": native,
    "app": app,
    "batch": batch,
    "view": view,
    "llm": llm,
    "join": join,
    "push": push,
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
async def test_no_door_spends_in_silence(tmp_path: Path, door: Door) -> None:
    """Without an agreement it is refused with the price, and the provider is asked nothing."""
    async with shop(tmp_path) as house:
        code, quote = await door(house, {})
        assert code == "payment_required" and quote["high_micros"] > 0
        assert quote["price"]["rates"]
        assert house.scripted.started == []
        assert (await usage(house))["entries"] == []


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
async def test_every_door_takes_max_cost(tmp_path: Path, door: Door) -> None:
    """Who says what it may cost is let in, and is charged no more than that."""
    async with shop(tmp_path) as house:
        code, _ = await door(house, {"max_cost": 0.01})
        assert code == "ok"


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
async def test_a_budget_is_agreement_enough_at_every_door(tmp_path: Path, door: Door) -> None:
    """An app that knows nothing of prices works where its owner has a budget."""
    async with shop(tmp_path, budgets={"local": 0.5}) as house:
        code, _ = await door(house, {})
        assert code == "ok"


async def test_a_vip_model_is_refused_by_name(tmp_path: Path) -> None:
    """403 with the price without an agreement, 402 with one that is too small."""
    async with shop(tmp_path) as house:
        vip = {"model": "scripted/vip"}
        assert (await native(house, vip))[0] == "vip_required"
        assert (await native(house, vip | {"max_cost": 1.5}))[0] == "payment_required"
        assert (await native(house, vip | {"max_cost": 2}))[0] == "ok"


async def test_the_app_reads_the_refusal_in_its_words(tmp_path: Path) -> None:
    """Its own codes, and the message under the name of the field."""
    async with shop(tmp_path) as house:
        answer = await house.post("/api/tasks", APP)
    error = answer.json()["error"]
    assert error["code"] == "PAYMENT_REQUIRED"
    assert error["details"]["max_cost"] == ["found nothing, expected 0.003 or more"]


@pytest.mark.parametrize("free", ["scripted/free"])
async def test_what_costs_nothing_asks_nothing(tmp_path: Path, free: str) -> None:
    """A free model needs no agreement, and leaves no line."""
    async with shop(tmp_path, Scripted()) as house:
        data = await house.create(model=free)
        end = await end_of(house, data["task_id"])
        assert end["charge"]["verdict"] == "free"
        assert (await usage(house))["entries"] == []


async def test_attaching_never_asks_for_money(tmp_path: Path) -> None:
    """By id, by key and by likeness the same request finds its task without an agreement."""
    async with shop(tmp_path) as house:
        hang = {"params": {"script": [{"do": "hang"}]}}
        first = IMAGE | hang | {"id": "mine", "request_id": "k"}
        assert (await rest(house, first | {"max_cost": 0.003}))[0] == "ok"
        for again in ({"id": "mine"}, {"request_id": "k"}, {}):
            answer = await house.post("/api/tasks", IMAGE | hang | again)
            assert (answer.status_code, answer.json()["data"]["task_id"]) == (200, "mine")
        assert len(house.scripted.started) == 1


async def test_a_quote_says_what_a_create_would(tmp_path: Path) -> None:
    """The bounds, the basis, what is missing, and the budget; and it makes nothing."""
    async with shop(tmp_path, budget_per_day=1.0) as house:
        answer = await house.post("/api/quotes", IMAGE | {"n": 3, "id": "x", "request_id": "k"})
        quote = answer.json()["data"]
        assert (quote["low_micros"], quote["high_micros"]) == (3 * EACH, 3 * EACH)
        assert quote["basis"].startswith("3 images at $0.003") and quote["currency"] == "USD"
        assert quote["consent"] == {
            "needed": True,
            "given": True,
            "vip": False,
            "why": "the budget covers it",
        }
        assert quote["budget"]["left_micros"] == 1_000_000
        assert (await house.http.get("/api/tasks/x")).status_code == 404
        assert (await usage(house))["entries"] == []


async def test_a_quote_of_what_is_there_is_nothing(tmp_path: Path) -> None:
    """A request that would attach costs nothing, and names its task; no key is bound."""
    async with shop(tmp_path) as house:
        await house.create(id="x", max_cost=0.003)
        body = {"kind": "image", "prompt": "a test", "model": "scripted/image"}
        quote = (await house.post("/api/quotes", body | {"id": "x"})).json()["data"]
        assert (quote["high_micros"], quote["task_id"]) == (0, "x")
        assert quote["consent"]["needed"] is False


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "a model that there is not": ({"model": "scripted/none"}, 400, "unknown_model"),
    "a parameter": ({"n": 99}, 400, "invalid"),
    "an input that is not there": ({"inputs": [{"upload": "u"}]}, 400, "invalid"),
    "an id of another request": ({"id": "taken"}, 409, "id_conflict"),
    "a max_cost that is no amount": ({"max_cost": -1}, 400, "invalid"),
    "a max_cost too fine": ({"max_cost": 0.0000001}, 400, "invalid"),
}


@pytest.mark.parametrize(("more", "status", "code"), REFUSED.values(), ids=REFUSED)
async def test_a_quote_is_refused_like_the_create(
    tmp_path: Path, more: dict[str, Any], status: int, code: str
) -> None:
    """The same checks, told the same way."""
    async with shop(tmp_path) as house:
        await house.create(id="taken", prompt="another", max_cost=1)
        for path in ("/api/quotes", "/api/tasks"):
            answer = await house.post(path, IMAGE | {"max_cost": 1} | more)
            assert (answer.status_code, answer.json()["code"]) == (status, code), path


async def test_the_models_tell_their_prices(tmp_path: Path) -> None:
    """In dollars for one result where that can be said, and what it is made of."""
    async with shop(tmp_path) as house:
        answer = await house.http.get("/api/models")
    models = {model["name"]: model for model in answer.json()["data"]["models"]}
    assert models["scripted/image"]["price"] == 0.003
    assert models["scripted/image"]["pricing"] == {
        "rates": {"image": EACH},
        "as_of": "2026-11-01",
        "from": "the test",
    }
    assert models["scripted/text"]["price"] is None and models["scripted/text"]["pricing"]
    assert models["scripted/video"]["pricing"] is None
    assert models["scripted/free"]["price"] == 0 and models["scripted/vip"]["vip"]


async def test_what_was_spent(tmp_path: Path) -> None:
    """By day, by model and line by line, in pages; an owner sees none of another's."""
    tokens = {"a": "ann", "b": "bob"}
    async with shop(tmp_path, tokens=tokens) as house:
        ann = {"authorization": "Bearer a"}
        for n in range(3):
            body = IMAGE | {"id": f"t{n}", "max_cost": 1, "params": {"script": DONE}}
            await house.http.post("/api/tasks", json=body, headers=ann)
            async with house.http.stream("GET", f"/api/tasks/t{n}/events", headers=ann) as stream:
                await stream.aread()
        answer = await house.http.get("/api/usage?entries=1&limit=4", headers=ann)
        told = answer.json()["data"]
        assert told["total_micros"] == 3 * EACH and told["held_micros"] == 0
        (day,), (model,) = told["days"], told["models"]
        assert (day["amount_micros"], day["charges"]) == (3 * EACH, 3)
        assert (model["model"], model["amount_micros"]) == ("scripted/image", 3 * EACH)
        assert len(told["entries"]) == 4
        more = f"/api/usage?entries=1&limit=10&before={told['next']}"
        rest_of = (await house.http.get(more, headers=ann)).json()["data"]
        lines = told["entries"] + rest_of["entries"]
        assert len(lines) == 9 and rest_of["next"] is None
        assert sum(line["amount_micros"] for line in lines) == 3 * EACH
        bob = (await house.http.get("/api/usage", headers={"authorization": "Bearer b"})).json()
        assert bob["data"]["total_micros"] == 0 and bob["data"]["days"] == []


@pytest.mark.parametrize("query", ["to=0001-01-05", "from=0001-01-01&to=9999-12-31"])
async def test_the_ends_of_the_calendar(tmp_path: Path, query: str) -> None:
    """They are days like others; nothing was spent then."""
    async with shop(tmp_path) as house:
        assert (await usage(house, query))["days"] == []


@pytest.mark.parametrize(
    "query", ["from=yesterday", "to=2026-13-01", "from=2027-01-01&to=2026-01-01"]
)
async def test_a_day_that_is_none(tmp_path: Path, query: str) -> None:
    """It is refused by name."""
    async with shop(tmp_path) as house:
        answer = await house.http.get(f"/api/usage?{query}")
    assert answer.status_code == 400 and answer.json()["code"] == "invalid"
