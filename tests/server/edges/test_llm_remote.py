"""The text doors of the deployed app, answered by models of others: real adapters and SDKs,
emulated providers. Nothing in what the app sends says what it may cost; a budget does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight.configured import providers_of
from safelight.settings import ProviderSettings, Settings
from tests.doubles.emulated import Emulated, emulated
from tests.doubles.schemas import unfit
from tests.doubles.served import PATIENCE, Served, served

pytestmark = pytest.mark.slow

ROW = """
[[models]]
name = "{name}"
label = "{name}"
description = "Emulated."
kind = "text"
provider = "{provider}"
schema = "{schema}"
order = 1
[models.price]
rates = {{ input_token = {paid_in}, cached_token = {paid_in}, output_token = {paid_out} }}
as_of = "2026-11-20"
"""

NAMED = {
    "openai": ("gpt-4.1", "gpt-4.1", "openai_text", 2_000_000, 8_000_000),
    "anthropic": (
        "claude-sonnet-4-20250514",
        "claude-sonnet-5-5",
        "anthropic_text",
        3_000_000,
        15_000_000,
    ),
    "gemini": (
        "gemini-2.5-flash-lite",
        "gemini-2.5-flash-lite",
        "gemini_text",
        100_000,
        400_000,
    ),
}
"""By provider: what the app calls a model, which one that is today, what it takes, and what
a million tokens cost in and out."""


@asynccontextmanager
async def rig(folder: Path, name: str, **settings: Any) -> AsyncIterator[tuple[Emulated, Served]]:
    """One emulated provider and a server that has it, its model priced, and a budget."""
    _, model, schema, paid_in, paid_out = NAMED[name]
    listed = folder / "models.toml"
    row = {"name": model, "provider": name, "schema": schema}
    listed.write_text(ROW.format(**row, paid_in=paid_in, paid_out=paid_out))
    with ExitStack() as stack:
        emulator = stack.enter_context(emulated(folder, name, pace=0.005))
        url = emulator.url + ("/v1" if name == "openai" else "")
        one = ProviderSettings(url=url, key=emulator.key)
        made = providers_of(Settings(data_dir=str(folder), providers={name: one}), {})
        given = {"budget_per_day": 5.0, "models_file": str(listed)} | settings
        async with served(folder / "data", beside={name: made[name]}, **given) as house:
            yield emulator, house


@pytest.mark.parametrize("name", NAMED)
async def test_the_app_generates_a_text(name: str, tmp_path: Path) -> None:
    """By the name that the app has for it, with options that it sends: one run, its words as
    the answer, and its cost on the ledger."""
    asked, runs, *_ = NAMED[name]
    body = {
        "prompt": "a haiku about fog",
        "model": asked,
        "options": {"temperature": 0.7, "max_tokens": 200},
    }
    async with rig(tmp_path, name) as (emulator, house):
        answer = await house.post("/api/llm/generate", body)
        money = (await house.http.get("/api/usage")).json()["data"]
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert unfit("TextData", data) == []
    assert data["content"] and data["model"] == runs
    assert data["substituted_for"] == (None if asked == runs else asked)
    (run,) = emulator.runs()
    assert run["model"] == runs
    assert money["total_micros"] == run["cost_micros"] > 0


@pytest.mark.parametrize("name", NAMED)
async def test_the_app_generates_a_text_on_its_socket(name: str, tmp_path: Path) -> None:
    """`llm_generate` on a conversation is answered by `llm_response` with the words, under the
    name that the app knows."""
    ask = {"prompt": "a haiku about fog", "model": NAMED[name][0], "request_id": "r1"}
    async with rig(tmp_path, name) as (emulator, house), house.connect() as phone:
        await phone.join("task:llm_1")
        await phone.push("task:llm_1", "llm_generate", ask, join_ref="7")
        frame = await phone.until(lambda f: f[3] == "llm_response")
    body = frame[4]
    assert body["success"] is True and body["request_id"] == "r1", body
    assert body["model"] == NAMED[name][0] and body["content"]
    assert [run["model"] for run in emulator.runs()] == [NAMED[name][1]]


@pytest.mark.parametrize("name", NAMED)
async def test_two_who_ask_the_same_pay_once(name: str, tmp_path: Path) -> None:
    """The same request, sent again before its answer came, is the same run."""
    body = {"prompt": "a haiku about fog", "model": NAMED[name][0]}
    async with rig(tmp_path, name) as (emulator, house), asyncio.timeout(PATIENCE):
        ways = [house.post("/api/llm/generate", body, idempotency_key="k") for _ in range(5)]
        answers = await asyncio.gather(*ways)
    texts = {answer.json()["data"]["content"] for answer in answers}
    assert len(texts) == 1 and None not in texts
    assert len(emulator.runs()) == 1


@pytest.mark.parametrize("name", NAMED)
async def test_a_refusal_is_told_in_the_apps_words(name: str, tmp_path: Path) -> None:
    """A key that is refused is `generation_failed`, and no word of the vendor's or of our key
    is in the answer."""
    body = {"prompt": "a haiku about fog", "model": NAMED[name][0]}
    async with rig(tmp_path, name) as (emulator, house):
        emulator.arm("unauthorized")
        answer = await house.post("/api/llm/generate", body)
    assert answer.status_code == 422
    assert unfit("AppProblem", answer.json()) == []
    assert answer.json()["error"]["code"] == "generation_failed"
    assert answer.json()["error_data"]["code"] == "provider_refused"
    assert "key" not in answer.json()["error_data"]["message"]
    assert emulator.key not in answer.text and emulator.runs() == []


async def test_what_can_be_named_is_listed(tmp_path: Path) -> None:
    """Models of the provider that is there are offered, by what a person chooses by, and none
    of a provider that is not."""
    async with rig(tmp_path, "anthropic") as (_, house):
        data = (await house.http.get("/api/llm/models")).json()["data"]
        shown = (await house.http.get("/api/models/claude-sonnet-5-5/schema")).json()
    assert unfit("OffersData", data) == []
    names = [model["name"] for model in data["models"]]
    assert "claude-sonnet-5-5" in names and "claude-opus-5-5" in names
    assert "claude-sonnet-4-20250514" not in names
    assert not [name for name in names if name.startswith(("gpt", "gemini"))]
    document = shown.get("data", shown)
    assert document["additionalProperties"] is False
    assert {"system", "max_tokens"} <= document["properties"].keys()


async def test_without_consent_nothing_is_asked_for(tmp_path: Path) -> None:
    """Where there is no budget, an app that says nothing of money is told what it would cost,
    and no provider hears of it."""
    body = {"prompt": "a haiku about fog", "model": "claude-sonnet-5-5"}
    async with rig(tmp_path, "anthropic", budget_per_day=None) as (emulator, house):
        answer = await house.post("/api/llm/generate", body)
    assert answer.status_code == 402, answer.text
    assert emulator.asked("POST", "/v1") == 0
