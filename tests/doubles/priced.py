"""A house whose scripted models have prices, and a provider that keeps its own count.

What a run costs is what the script says; the test compares that count with the ledger. The
prices are the test's own, so nothing here follows what is shipped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from safelight.providers.scripted import Scripted
from tests.doubles.served import Served, served

EACH = 3000
"""What one picture costs, in millionths of a dollar."""

MODELS = """
[[models]]
name = "scripted/image"
label = "A picture, by the piece"
kind = "image"
provider = "scripted"
schema = "scripted"
order = 90
[models.price]
rates = { image = 3000 }
as_of = "2026-11-01"
from = "the test"

[[models]]
name = "scripted/text"
label = "A text, by its tokens"
kind = "text"
provider = "scripted"
schema = "scripted"
order = 90
[models.price]
rates = { input_token = 2000000, output_token = 8000000 }

[[models]]
name = "scripted/video"
label = "A clip that nobody knows the price of"
kind = "video"
provider = "scripted"
schema = "scripted"
order = 90

[[models]]
name = "scripted/vip"
label = "For those who agree"
kind = "image"
provider = "scripted"
schema = "scripted"
order = 91
vip = true
[models.price]
rates = { image = 2000000 }

[[models]]
name = "scripted/free"
label = "For nothing"
kind = "image"
provider = "scripted"
schema = "scripted"
order = 92
price_micros = 0
"""

DONE: list[dict[str, Any]] = [{"do": "image"}, {"do": "done", "used": {"image": 1}}]
"""One picture, whose provider says so."""


def models_file(directory: Path) -> str:
    """The file of the models above."""
    path = directory / "priced.toml"
    path.write_text(MODELS)
    return str(path)


@asynccontextmanager
async def shop(
    directory: Path, provider: Scripted | None = None, **more: Any
) -> AsyncIterator[Served]:
    """A server with these models; its provider bills each run unless it is another."""
    provider = provider or Scripted(billed=True, each=EACH)
    settings: dict[str, Any] = {"models_file": models_file(directory)} | more
    async with served(directory / "data", scripted_provider=provider, **settings) as house:
        yield house


async def usage(house: Served, query: str = "entries=1") -> dict[str, Any]:
    """What GET /api/usage says."""
    answer = await house.http.get(f"/api/usage?{query}")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def end_of(house: Served, id: str) -> dict[str, Any]:
    """The event that ends a task."""
    return (await house.events(id))[-1]


async def entries(house: Served) -> list[tuple[str, int]]:
    """The lines of the ledger, the oldest first: what they are, and their amounts."""
    told = await usage(house, "entries=1&limit=200")
    return [(line["entry"], line["amount_micros"]) for line in reversed(told["entries"])]


def bills(provider: Scripted) -> int:
    """What the provider's own count comes to."""
    return sum(provider.bills.values())
