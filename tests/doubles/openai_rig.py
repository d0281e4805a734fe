"""A real Safelight beside an emulated OpenAI, in this process or in one that can be killed.

There are three ways to ask: text by the Responses API (`sol`), text by chat completions (at
a second provider, `chat`), and pictures. The waits of the adapter are short. Unrealistic:
both are on one machine, so nothing is ever far or slow by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread

from safelight.providers.openai import OpenAI, Timings
from safelight.settings import ProviderSettings
from tests.doubles.child import Child, child_process
from tests.doubles.emulated import KEY, Emulated, emulated
from tests.doubles.served import Served, served

QUICK = Timings(answer=5.0, silence=0.5, whole=2.0, poll=0.02, poll_most=0.1, stuck=0.3)

MODELS = """
[providers]
chat = { label = "Chat" }

[schemas.told]
open = true

[[models]]
name = "openai/gpt-5.4-mini"
label = "Text"
kind = "text"
provider = "openai"
schema = "told"
order = 1

[models.price]
rates = { input_token = 750000, cached_token = 75000, output_token = 4500000 }
most = { output_token = 20000 }

[[models]]
name = "chat/gpt-5.4-mini"
label = "Chat"
kind = "text"
provider = "chat"
schema = "told"
order = 2

[models.price]
rates = { input_token = 750000, cached_token = 75000, output_token = 4500000 }
most = { output_token = 20000 }

[[models]]
name = "openai/gpt-image-2.6-flare"
label = "Pictures"
kind = "image"
provider = "openai"
schema = "told"
order = 1

[models.price]
rates = { input_token = 2000000, input_image_token = 2500000, output_image_token = 8000000 }
most = { output_image_token = 20000 }
"""
"""Rows for models that the emulator has, at its prices."""

TEXT, CHAT, IMAGE = "openai/gpt-5.4-mini", "chat/gpt-5.4-mini", "openai/gpt-image-2.6-flare"
SMALL = {"width": 256, "height": 256}


def body_of(model: str, **fields: Any) -> dict[str, Any]:
    """A create for one result of a model."""
    kind, params = ("image", SMALL) if model == IMAGE else ("text", {})
    body = {"kind": kind, "prompt": "a lamp", "model": model, "max_cost": 10, "params": params}
    return body | fields


class Rig:
    """A server and the emulator."""

    def __init__(self, house: Served, emulator: Emulated) -> None:
        self.house = house
        self.emulator = emulator

    async def create(self, model: str, **fields: Any) -> str:
        """Ask for one result of a model; the task's id."""
        answer = await self.house.post("/api/tasks", body_of(model, **fields))
        assert answer.status_code == 202, answer.text
        id: str = answer.json()["data"]["task_id"]
        return id

    async def arm(self, *faults: str) -> None:
        """Let something go wrong at the emulator."""
        await anyio.to_thread.run_sync(self.emulator.arm, *faults)

    async def spent(self) -> int:
        """What the books say, in millionths of a dollar."""
        answer = await self.house.http.get("/api/usage")
        total: int = answer.json()["data"]["total_micros"]
        return total


def models_file(folder: Path) -> str:
    """The rows as a file."""
    path = folder / "models.toml"
    path.write_text(MODELS)
    return str(path)


def settings_of(emulator: Emulated) -> dict[str, ProviderSettings]:
    """Two providers at one emulator, which differ in how text is asked for; keyless where it
    lets everybody in."""
    url, key = f"{emulator.url}/v1", emulator.key or None
    return {
        "openai": ProviderSettings(url=url, key=key, api="responses"),
        "chat": ProviderSettings(type="openai", url=url, key=key, api="chat"),
    }


@asynccontextmanager
async def rigged(
    folder: Path,
    *,
    pace: float = 0.002,
    key: str = KEY,
    chaos: float = 0.0,
    seed: int = 0,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """Both, up, in this process; with `chaos` something goes wrong by chance."""
    with emulated(folder, "openai", pace=pace, key=key, chaos=chaos, seed=seed) as emulator:
        configured = settings_of(emulator)
        providers = {
            name: OpenAI(one, name=name, timings=QUICK) for name, one in configured.items()
        }
        beside = {"beside": providers, "models_file": models_file(folder)}
        async with served(folder / "data", **beside, **settings) as house:
            yield Rig(house, emulator)


@contextmanager
def killable(
    folder: Path, *, pace: float = 0.05, key: str = KEY
) -> Iterator[tuple[Child, Emulated]]:
    """Both, up, each as a process of its own; the server stops at points."""
    with emulated(folder, "openai", pace=pace, key=key) as emulator:
        where: dict[str, object] = {"models_file": models_file(folder)}
        for name, one in settings_of(emulator).items():
            for field in ("type", "url", "key", "api"):
                if getattr(one, field) is not None:
                    where[f"providers__{name}__{field}"] = getattr(one, field)
        where["retry_base_seconds"] = 0.1
        with child_process(folder / "data", "http://127.0.0.1:9", **where) as child:
            yield child, emulator
