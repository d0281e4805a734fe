"""The truth about money, from hold to settlement: what the ledger says is what was asked for."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.scripted import Scripted
from safelight.store import open_store
from tests.doubles.priced import DONE, EACH, bills, end_of, entries, shop, usage
from tests.doubles.sulking import Sulky
from tests.doubles.turns import until

HANG: list[dict[str, Any]] = [{"do": "hang"}]


def paid(attempt: int | None = None) -> dict[str, Any]:
    """A fault of an attempt that was charged all the same."""
    return {"do": "fault", "attempt": attempt, "used": {"image": 1}}


async def test_a_hold_becomes_a_charge(tmp_path: Path) -> None:
    """It is taken with the task, and given back with its end."""
    async with shop(tmp_path, budget_per_day=0.01) as house:
        gate = [{"do": "wait", "gate": "g"}, *DONE]
        await house.create(id="x", params={"script": gate})
        told = await usage(house)
        assert (told["held_micros"], told["budget"]["left_micros"]) == (EACH, 10_000 - EACH)
        house.scripted.gate("g").set()
        end = await end_of(house, "x")
        told = await usage(house)
        assert await entries(house) == [("hold", EACH), ("charge", EACH), ("release", -EACH)]
        assert (told["held_micros"], told["total_micros"]) == (0, EACH)
        assert told["budget"]["spent_micros"] == EACH == bills(house.scripted)
    assert end["charge"] == {
        "verdict": "charged",
        "amount_micros": EACH,
        "currency": "USD",
        "reason": "1 image at $0.003",
        "usage": {"image": "1"},
    }


async def test_the_price_is_that_of_the_create(tmp_path: Path) -> None:
    """It goes with the task: what the registry says later changes nothing of it."""
    gate = [{"do": "progress", "to": 0.1}, {"do": "wait", "gate": "g"}, *DONE]
    provider = Scripted(billed=True, resumable=True, each=EACH)
    async with shop(tmp_path, provider) as house, house.connect() as phone:
        await house.create(id="x", params={"script": gate}, max_cost=0.003)
        await phone.join("task:x", {"after": 0})
        await phone.until_event("progress")
    provider.gate("g").set()
    dearer = (tmp_path / "priced.toml").read_text().replace("image = 3000", "image = 9000")
    (tmp_path / "dearer.toml").write_text(dearer)
    async with shop(tmp_path, provider, models_file=str(tmp_path / "dearer.toml")) as house:
        assert (await end_of(house, "x"))["charge"]["amount_micros"] == EACH


async def test_two_creates_race_for_the_last_cent(tmp_path: Path) -> None:
    """Of many at once as many are taken as the budget covers, and no more."""
    body = {"kind": "image", "model": "scripted/image", "params": {"script": HANG}}
    async with shop(tmp_path, budget_per_day=0.0091) as house:
        answers = await asyncio.gather(
            *(house.post("/api/tasks", body | {"prompt": f"p{n}"}) for n in range(8))
        )
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [202] * 3 + [402] * 5
        told = await usage(house)
        assert (told["held_micros"], told["budget"]["left_micros"]) == (3 * EACH, 100)


async def test_a_create_that_was_not_written_holds_nothing(tmp_path: Path) -> None:
    """One that is refused by a key behind its quote, or by the store, gives its hold back."""
    async with shop(tmp_path, budget_per_day=0.003) as house:
        body = {"kind": "image", "model": "scripted/image", "params": {"script": HANG}}
        both = [
            house.post("/api/tasks", body | {"prompt": prompt, "request_id": "k"})
            for prompt in ("one", "two")
        ]
        statuses = sorted(answer.status_code for answer in await asyncio.gather(*both))
        assert statuses == [202, 422]
        assert (await usage(house))["held_micros"] == EACH


async def test_a_disk_in_trouble_holds_nothing(tmp_path: Path) -> None:
    """A create whose commit fails gives its hold back, known to have failed or looked up."""
    sulky = Sulky()
    opened = partial(open_store, connect=sulky.connect)
    body = {"kind": "image", "model": "scripted/image", "params": {"script": HANG}}
    async with shop(tmp_path, budget_per_day=0.003, opened=opened) as house:
        for commit in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            sulky.before = lambda text, code=commit: code if text == "COMMIT" else None
            answer = await house.post("/api/tasks", body | {"prompt": f"p{commit}"})
            assert answer.status_code in (503, 507)
            sulky.content()
            assert (await usage(house))["held_micros"] == 0
        answer = await house.post("/api/tasks", body | {"prompt": "now"})
        assert answer.status_code == 202
        assert (await usage(house))["held_micros"] == EACH


async def test_a_commit_in_doubt_keeps_its_hold(tmp_path: Path) -> None:
    """The task is on disk though its commit failed: it is found, and so is what it holds."""
    sulky = Sulky()
    opened = partial(open_store, connect=sulky.connect)
    async with shop(tmp_path, budget_per_day=0.003, opened=opened) as house:
        sulky.after = lambda text: sqlite3.SQLITE_IOERR if text == "COMMIT" else None
        body = {"kind": "image", "prompt": "x", "model": "scripted/image"}
        asked = house.post("/api/tasks", body | {"params": {"script": HANG}})
        answering = asyncio.create_task(asked)
        await until(lambda: house.context.statistics()["reopened"])
        sulky.content()
        assert (await answering).status_code == 202
        assert (await usage(house))["held_micros"] == EACH
        assert await entries(house) == [("hold", EACH)]


async def test_holds_outlive_a_restart(tmp_path: Path) -> None:
    """What is held and spent is known from the ledger at the next start."""
    provider = Scripted(billed=True, resumable=True, each=EACH)
    async with shop(tmp_path, provider, budget_per_day=0.01) as house:
        await house.create(id="done", params={"script": DONE})
        await end_of(house, "done")
        waits = [{"do": "progress", "to": 0.1}, *HANG]
        await house.create(id="x", prompt="two", params={"script": waits})
        before = (await usage(house))["budget"]
    async with shop(tmp_path, provider, budget_per_day=0.01) as house:
        after = (await usage(house))["budget"]
        assert after == before
        assert (after["spent_micros"], after["held_micros"]) == (EACH, EACH)
        answer = await house.post(
            "/api/tasks", {"kind": "image", "prompt": "z", "model": "scripted/image", "n": 2}
        )
        assert answer.status_code == 402


@pytest.mark.parametrize(("max_cost", "runs"), [(0.003, 1), (0.006, 2), (0.008, 2), (1, 3)])
async def test_max_cost_caps_all_attempts(tmp_path: Path, max_cost: float, runs: int) -> None:
    """Another one begins only if it cannot lead beyond what was agreed to."""
    async with shop(tmp_path) as house:
        await house.create(id="x", params={"script": [paid()]}, max_cost=max_cost)
        end = await end_of(house, "x")
        assert len(house.scripted.started) == runs
        assert end["charge"]["amount_micros"] == runs * EACH == bills(house.scripted)
        assert (await usage(house))["total_micros"] == runs * EACH
    if runs < 3:
        assert end["error_data"]["code"] == "cost_limit"
        assert "of max_cost" in end["error_data"]["message"]


async def test_a_budget_ends_the_attempts_too(tmp_path: Path) -> None:
    """Two attempts are what the day has left for."""
    async with shop(tmp_path, budget_per_day=0.007) as house:
        await house.create(id="x", params={"script": [paid()]})
        end = await end_of(house, "x")
    assert (end["error_data"]["code"], len(house.scripted.started)) == ("cost_limit", 2)


async def test_each_attempt_has_its_charge(tmp_path: Path) -> None:
    """A fault that was paid and the run that succeeded are two lines of one task."""
    async with shop(tmp_path) as house:
        await house.create(id="x", params={"script": [paid(1), *DONE]}, max_cost=0.01)
        end = await end_of(house, "x")
        told = await usage(house)
        charges = [line for line in told["entries"] if line["entry"] == "charge"]
        assert [(line["attempt"], line["amount_micros"]) for line in charges] == [
            (2, EACH),
            (1, EACH),
        ]
        assert told["days"][0]["charges"] == 2
    assert end["charge"]["amount_micros"] == 2 * EACH
    assert end["charge"]["usage"] == {"image": "2"}


async def test_what_was_refused_outright_says_why_it_is_free(tmp_path: Path) -> None:
    """A cancel in the queue costs nothing, and tells what it saved."""
    async with shop(tmp_path) as house:
        for n in range(4):
            await house.create(prompt=f"p{n}", params={"script": HANG}, max_cost=0.003)
        await house.create(id="x", prompt="x", params={"script": HANG}, max_cost=0.003)
        await house.post("/api/tasks/x/cancel")
        end = await end_of(house, "x")
        snapshot = (await house.http.get("/api/tasks/x")).json()["data"]
    assert end["charge"]["verdict"] == "free" and "nothing was begun" in end["charge"]["reason"]
    assert end["saved_micros"] == EACH == snapshot["saved_micros"]


async def test_a_cancel_of_what_runs_does_not_claim_to_save(tmp_path: Path) -> None:
    """Its provider did not say what it cost: unknown, at most the bound, nothing saved."""
    async with shop(tmp_path) as house:
        await house.create(id="x", params={"script": HANG}, max_cost=0.003)
        async with house.connect() as phone:
            await phone.join("task:x", {"after": 0})
            await phone.until_event("started")
        await house.post("/api/tasks/x/cancel")
        end = await end_of(house, "x")
    assert end["charge"]["verdict"] == "unknown" and end["charge"]["at_most_micros"] == EACH
    assert "saved_micros" not in end


async def test_a_free_model_tells_nothing_of_savings(tmp_path: Path) -> None:
    """Its events are as they always were."""
    async with shop(tmp_path, Scripted()) as house:
        await house.create(id="x", model="scripted/free", params={"script": HANG})
        await house.post("/api/tasks/x/cancel")
        end = await end_of(house, "x")
    assert "saved_micros" not in end
    assert end["charge"] == {"verdict": "free", "amount_micros": 0, "currency": "USD", "reason": ""}


async def test_deleting_a_task_keeps_its_ledger(tmp_path: Path) -> None:
    """The task is gone, what it cost is not."""
    async with shop(tmp_path) as house:
        await house.create(id="x", params={"script": DONE}, max_cost=0.003)
        await end_of(house, "x")
        assert (await house.http.delete("/api/tasks/x")).status_code == 200
        told = await usage(house)
        assert told["total_micros"] == EACH and told["entries"][0]["task_id"] == "x"


async def test_no_price_costs_what_nobody_knows(tmp_path: Path) -> None:
    """A billed provider's model without a price is begun within a limit, and told as unknown."""
    async with shop(tmp_path) as house:
        await house.create(
            id="x",
            kind="video",
            model="scripted/video",
            max_cost=0.5,
            params={"script": [{"do": "video"}, {"do": "done", "used": {"video": 1}}]},
        )
        assert (await usage(house))["held_micros"] in (0, 500_000)
        end = await end_of(house, "x")
        told = await usage(house)
    assert end["charge"]["verdict"] == "unknown" and end["charge"]["usage"] == {"video": "1"}
    assert told["days"][0]["unknown"] == 1 and len(told["unknown"]) == 1


async def test_the_ledger_is_only_added_to(tmp_path: Path) -> None:
    """Its lines have numbers without a hole, and amounts that are whole numbers."""
    async with shop(tmp_path) as house:
        await house.create(id="x", params={"script": [paid(1), *DONE]}, max_cost=1)
        await end_of(house, "x")
    with closing(sqlite3.connect(tmp_path / "data" / "safelight.sqlite3")) as database:
        rows = database.execute("SELECT n, typeof(amount), typeof(counts) FROM ledger ORDER BY n")
        assert list(rows) == [(n, "integer", "integer") for n in range(1, 5)]
