"""A real server that runs models of an emulated provider, at the prices of that emulator.

The rates are written here by hand, as an operator would write them from a price list; the
emulator counts by its own. Whoever fails to use or to price one kind of token differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from safelight.providers.base import Provider
from tests.doubles.served import PATIENCE, Served, served

CLAUDE = """
[[models]]
name = "claude-haiku-5-5"
label = "Claude"
kind = "text"
provider = "anthropic"
schema = "anthropic_text"
order = 1
[models.price]
rates = { input_token = 1_000_000, cached_token = 100_000, output_token = 5_000_000 }
as_of = "2026-11-20"
"""

GEMINI = """
[[models]]
name = "gemini-3.8-flash"
label = "Gemini"
kind = "text"
provider = "gemini"
schema = "gemini_text"
order = 1
[models.price]
rates = { input_token = 300_000, cached_token = 30_000, output_token = 2_500_000 }
as_of = "2026-11-20"

[[models]]
name = "gemini-3.1-flash-image"
label = "Gemini, drawing"
kind = "image"
provider = "gemini"
schema = "gemini_image"
order = 1
max_n = 1
[models.price]
as_of = "2026-11-20"
[models.price.rates]
input_token = 500_000
cached_token = 50_000
output_token = 3_000_000
output_image_token = 60_000_000
"""

AGREED = {"max_cost": 1.0}
"""What a request says that agrees to a price: a dollar at most."""


@asynccontextmanager
async def streaming_house(
    folder: Path, provider: Provider, models: str, **settings: Any
) -> AsyncIterator[Served]:
    """The server, with these models beside its own."""
    listed = folder / "models.toml"
    listed.write_text(models)
    beside = {provider.name: provider}
    async with served(folder / "data", beside=beside, models_file=str(listed), **settings) as house:
        yield house


async def ended(house: Served, created: dict[str, Any]) -> dict[str, Any]:
    """The event that ends a task."""
    async with asyncio.timeout(PATIENCE):
        return (await house.events(created["task_id"]))[-1]


async def spent(house: Served) -> dict[str, Any]:
    """What GET /api/usage says, its lines included."""
    answer = await house.http.get("/api/usage?entries=1")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data
