"""A real Safelight beside an emulated Replicate, joined both ways: requests and webhooks.

The waits of the adapter are short, so that what it does after seconds is seen in fractions
of one. Unrealistic: both are on one machine, so nothing is ever far or slow by itself.
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread

from safelight.providers.replicate import Replicate, Timings
from safelight.settings import ProviderSettings
from tests.doubles.emulated import Emulated, emulated
from tests.doubles.served import Served, served

QUICK = Timings(
    poll=0.02, poll_most=0.1, hooked=0.5, again=0.05, again_most=0.2, settle=0.3, secret=0.2
)

MODELS = """
[schemas.told]
open = true

[[models]]
name = "black-forest-labs/flux-schnell"
label = "Flux Schnell"
kind = "image"
provider = "replicate"
schema = "told"
order = 1
price = { rates = { image = 3000 }, as_of = "2026-11-21" }

[[models]]
name = "emulated/lantern"
label = "Lantern"
kind = "image"
provider = "replicate"
schema = "told"
order = 2
price = { rates = { second = 225 }, as_of = "2026-11-21" }

[[models]]
name = "wan-video/wan-2.2-i2v-fast"
label = "Wan"
kind = "video"
provider = "replicate"
schema = "told"
order = 1
price = { rates = { video = 50000 }, as_of = "2026-11-21" }

[[models]]
name = "minimax/video-01"
label = "Video 01"
kind = "video"
provider = "replicate"
schema = "told"
order = 2
price = { rates = { video_second = 80000 }, as_of = "2026-11-21" }

[[models]]
name = "meta/meta-llama-3-8b-instruct"
label = "Llama"
kind = "text"
provider = "replicate"
schema = "told"
order = 1
price = { rates = { input_token = 50000, output_token = 250000 }, as_of = "2026-11-21" }
"""
"""Rows for the models that the emulator has, at its prices."""

FLUX, LANTERN = "black-forest-labs/flux-schnell", "emulated/lantern"
WAN, VIDEO = "wan-video/wan-2.2-i2v-fast", "minimax/video-01"
LLAMA = "meta/meta-llama-3-8b-instruct"
KINDS = {FLUX: "image", LANTERN: "image", WAN: "video", VIDEO: "video", LLAMA: "text"}


class Rig:
    """A server, the emulator, and the adapter between them."""

    def __init__(self, house: Served, emulator: Emulated, provider: Replicate) -> None:
        self.house = house
        self.emulator = emulator
        self.provider = provider

    async def create(self, model: str, **fields: Any) -> dict[str, Any]:
        """Ask for one result of a model."""
        body = {"kind": KINDS[model], "prompt": "a lamp", "model": model, "max_cost": 10} | fields
        answer = await self.house.post("/api/tasks", body)
        assert answer.status_code in (200, 202), answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def until(self, id: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event of a task that is wanted."""
        async with self.house.http.stream("GET", f"/api/tasks/{id}/events") as stream:
            async for line in stream.aiter_lines():
                if line[:5] == "data:" and wanted(event := json.loads(line[6:])):
                    found: dict[str, Any] = event
                    return found
        raise AssertionError("no such event came")

    async def arm(self, *faults: str) -> None:
        """Let something go wrong at the emulator."""
        await anyio.to_thread.run_sync(self.emulator.arm, *faults)

    async def disarm(self) -> None:
        """Let nothing go wrong there any more."""
        await anyio.to_thread.run_sync(self.emulator.disarm)


def models_file(folder: Path) -> str:
    """The rows as a file."""
    path = folder / "models.toml"
    path.write_text(MODELS)
    return str(path)


@asynccontextmanager
async def rigged(
    folder: Path,
    *,
    webhooks: bool = True,
    pace: float = 0.01,
    timings: Timings = QUICK,
    key: str | None = None,
    request_seconds: float = 10.0,
    chaos: float = 0.0,
    seed: int = 0,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """Both, up; without `webhooks` the server has no address that it could be called at. A
    share `chaos` of all occasions goes wrong by chance."""
    listening = socket.create_server(("127.0.0.1", 0))
    public_url = f"http://127.0.0.1:{listening.getsockname()[1]}" if webhooks else None
    with emulated(folder, "replicate", pace=pace, chaos=chaos, seed=seed) as emulator:
        provider = Replicate(
            ProviderSettings(
                url=f"{emulator.url}/v1",
                key=key or emulator.key,
                request_seconds=request_seconds,
            ),
            public_url=public_url,
            timings=timings,
        )
        async with served(
            folder / "data",
            listening=listening,
            beside={"replicate": provider},
            models_file=models_file(folder),
            public_url=public_url,
            **settings,
        ) as house:
            yield Rig(house, emulator, provider)
