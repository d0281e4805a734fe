"""A real Safelight beside an emulated SuperDuperAI, with the models and prices that are shipped.

The adapter waits less long than it does elsewhere; what goes wrong is armed at the emulator,
which is a process of its own and keeps its own count.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from safelight.providers.superduperai import SuperDuperAI, Timings
from safelight.settings import ProviderSettings
from tests.doubles.emulated import Emulated, emulated
from tests.doubles.served import Served, served

HASTY = Timings(poll=0.05, poll_most=0.2, reopen=0.02, reopen_most=0.1, settle=0.1)

FREE = "superduperai/comfyui/flux"
PAID = "superduperai/azure-openai/gpt-image-1"
FILM = "superduperai/google-cloud/veo2-text2video"
MOVED = "superduperai/comfyui/ltx"


class Rig:
    """The server and the emulator."""

    def __init__(self, house: Served, emulator: Emulated) -> None:
        self.house = house
        self.emulator = emulator

    async def arm(self, *faults: str) -> None:
        """Let something go wrong at the emulator."""
        if faults:
            await run_sync(self.emulator.arm, *faults)

    async def create(self, model: str = PAID, **fields: Any) -> str:
        """Ask for a result, again as long as the provider's list cannot be read; the task's
        id."""
        body = asked(model, **fields)
        while (answer := await self.house.post("/api/tasks", body)).status_code == 503:
            assert answer.json()["code"] == "provider_unreachable", answer.text
        assert answer.status_code == 202, answer.text
        id: str = answer.json()["data"]["task_id"]
        return id

    async def spent(self) -> int:
        """What the books say, in millionths of a dollar."""
        total: int = (await self.house.http.get("/api/usage")).json()["data"]["total_micros"]
        return total


def asked(model: str = PAID, **fields: Any) -> dict[str, Any]:
    """The body of a create, with consent to its price."""
    video = model in (FILM, MOVED)
    params = {} if video else {"width": 64, "height": 64}
    body = {"kind": "video" if video else "image", "prompt": "a lamp", "model": model}
    return body | {"params": params, "max_cost": 50} | fields


@asynccontextmanager
async def rigged(
    folder: Path,
    *,
    pace: float = 0.01,
    chaos: float = 0.0,
    seed: int = 0,
    request_seconds: float = 5.0,
    concurrency: int = 4,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """Both, up; `chaos` is the share of occasions on which something goes wrong there."""
    with emulated(folder, "superduperai", pace=pace, chaos=chaos, seed=seed) as emulator:
        provider = ProviderSettings(
            url=emulator.url,
            key=emulator.key,
            request_seconds=request_seconds,
            concurrency=concurrency,
        )
        adapter = SuperDuperAI(provider, timings=HASTY)
        async with served(
            folder / "data",
            providers={"superduperai": provider},
            beside={"superduperai": adapter},
            **settings,
        ) as house:
            yield Rig(house, emulator)
