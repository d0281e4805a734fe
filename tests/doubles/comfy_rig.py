"""An adapter on the ComfyUI double, and what it reports.

Waits are short where waiting decides nothing, and long where a test must not get there by
waiting. Every wait of a test is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from safelight.providers.base import Outcome, Prediction
from safelight.providers.comfyui import Comfy, ComfyBackend, Timings
from safelight.providers.comfyui.name import drawn
from safelight.providers.comfyui.provider import prompt_id_of
from safelight.settings import BackendSettings
from tests.doubles.comfy import ComfyDouble

PATIENCE = 10.0
QUICK = Timings(
    read=0.5,
    settle=0.01,
    poll=0.02,
    poll_most=0.05,
    silence=60.0,
    deaf=60.0,
    race=0.5,
    again=0.05,
    ready=2.0,
    reopen=0.01,
    reopen_most=0.05,
    close=0.2,
    recheck=0.05,
    lists=0.5,
)
"""Short where waiting decides nothing, long where a test must not get there by waiting."""

GRAPH: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64}, "_meta": {"title": "Blank"}},
    "3": {"class_type": "KSampler", "inputs": {"image": ["1", 0], "steps": 4, "seed": 1}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
}
FILE = {"images": [{"filename": "a.png", "subfolder": "s", "type": "output"}]}


class Heard:
    """Everything that was reported, in order."""

    def __init__(self) -> None:
        self.reports: list[Any] = []
        self.changed = asyncio.Event()

    async def __call__(self, report: Any) -> None:
        self.reports.append(report)
        self.changed.set()

    def of(self, kind: type) -> list[Any]:
        """The reports of one kind."""
        return [report for report in self.reports if isinstance(report, kind)]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something was reported."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Rig:
    """An adapter on a double: one prediction from start to end."""

    def __init__(self, double: ComfyDouble, provider: Comfy, backend: ComfyBackend) -> None:
        self.double = double
        self.provider = provider
        self.backend = backend
        self.heard = Heard()

    def prediction(self, **fields: Any) -> Prediction:
        """A prediction of a whole graph, unless fields say otherwise."""
        known: dict[str, Any] = {
            "uid": "u1",
            "attempt": 1,
            "kind": "image",
            "model": "comfyui/workflow",
            "prompt": "a fox",
            "params": {"workflow": GRAPH},
            "seed": 7,
            "n": 1,
            "backend": "one",
        }
        return Prediction(**known | fields)

    async def start(self, asked: Prediction | None = None) -> tuple[str, asyncio.Task[Outcome]]:
        """Start and follow; the handle, and the outcome to come."""
        asked = asked or self.prediction()
        handle = await asyncio.wait_for(self.provider.start(asked), PATIENCE)
        return handle, self.follow(asked, handle)

    async def backend_heard(self, frames: int) -> None:
        """Wait until so many frames were heard."""
        await turned(lambda: self.backend.router.frames >= frames)

    async def digest(self) -> None:
        """Wait until every frame so far was heard, and what follows from it was reported."""
        sent = sum(line.sent for line in self.double.sockets)
        jobs = self.backend.router.jobs
        await turned(
            lambda: (
                self.backend.router.frames >= sent and not any(job.news.is_set() for job in jobs)
            )
        )

    def follow(self, asked: Prediction, handle: str | None = None) -> asyncio.Task[Outcome]:
        """Follow it."""
        handle = handle or prompt_id_of(asked)
        return asyncio.create_task(self.provider.follow(asked, handle, self.heard))


async def turned(condition: Callable[[], bool]) -> None:
    """Wait for something inside that nobody is told of, turn by turn of the loop."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def end(following: asyncio.Task[Outcome]) -> Outcome:
    """The outcome, which must come."""
    return await asyncio.wait_for(following, PATIENCE)


Rigged = Callable[..., AbstractAsyncContextManager[Rig]]


@asynccontextmanager
async def rigged(
    double: ComfyDouble,
    timings: Timings = QUICK,
    *,
    path: str = "",
    known_as: Callable[[], str] = drawn,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """An adapter on a double, with these settings of its backend."""
    known = BackendSettings(url=double.url + path, timeout_seconds=0.5, **settings)
    backend = ComfyBackend("one", known, timings=timings, known_as=known_as)
    provider = Comfy({"one": backend})
    async with provider.open():
        yield Rig(double, provider, backend)
