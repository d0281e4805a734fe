"""Backends on loopback: each a small HTTP server with health, lists and predictions.

A `Workshop` is the server; it can be silent, be ill, go away and come back at the same
address, and it remembers what it was asked to run. `WorkshopBackend` and
`WorkshopProvider` are the two ends in the product's place that speak to it, as an honest
adapter would: one provider for all of them, led by the backend that a prediction names.
Unrealistic: what runs goes on while the server is away, and it has no queue of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import httpx2

from safelight.backends import Health, Unreachable, Wanted
from safelight.providers.base import Gone, Outcome, Prediction, Report, Unclear
from safelight.settings import BackendSettings
from safelight_protocol.codes import Refused
from tests.doubles.http_exchange import Asking, Exchange, serve_http
from tests.doubles.remote import Remote, Run
from tests.doubles.remote_provider import RemoteProvider

Mood = Literal["well", "silent", "ill"]


class Workshop(Remote):
    """One server. `mood` is how it answers questions about itself; `script` is what every
    run there does, None for a picture at once."""

    def __init__(self) -> None:
        super().__init__()
        self.mood: Mood = "well"
        self.script: list[dict[str, Any]] | None = None
        self.checkpoints = ["dream.safetensors", "ink.safetensors"]
        self.questions = 0
        self._port = 0
        self._doors = AsyncExitStack()

    async def open(self) -> None:
        """Be there, at the address of before."""
        self.url = await self._doors.enter_async_context(serve_http(self.handle, self._port))
        self._port = int(self.url.rpartition(":")[2])

    async def close(self) -> None:
        """Be gone: connections are refused."""
        await self._doors.aclose()

    @property
    def ran(self) -> list[str]:
        """The tasks that were begun here, by uid."""
        return [run.uid for run in self.runs.values()]

    async def handle(self, asking: Asking, exchange: Exchange) -> None:
        """Answer one request."""
        if asking.target not in ("/health", "/checkpoints"):
            return await super().handle(asking, exchange)
        self.questions += 1
        if self.mood == "silent":
            return await exchange.wait_until_gone()
        if self.mood == "ill":
            return exchange.answer(500, {"error": "a bad day"})
        if asking.target == "/health":
            return exchange.answer(200, {"version": "1.2", "running": 1, "pending": 3})
        exchange.answer(200, self.checkpoints)

    def _run(self, body: dict[str, Any]) -> Run:
        return super()._run(body | {"script": self.script})


class WorkshopBackend:
    """The backend at a workshop's address."""

    type = "comfyui"

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.label = name.capitalize()
        self.url = url

    async def health(self) -> Health:
        """As it says itself."""
        told = await self._ask("/health")
        return Health(
            status="up",
            version=told["version"],
            queue_running=told["running"],
            queue_pending=told["pending"],
            devices=({"name": "cpu", "type": "cpu"},),
        )

    async def checkpoints(self) -> list[str]:
        """As it says itself."""
        return [str(name) for name in await self._ask("/checkpoints")]

    async def check(self, wanted: Wanted) -> None:
        """Whether it has the checkpoint."""
        name, has = wanted.params.get("checkpoint"), await self.checkpoints()
        if name is not None and name not in has:
            expected = f"one of {', '.join(has)}"
            field = "params.checkpoint"
            told = {"field": field, "found": name, "expected": expected}
            raise Refused("invalid", f"{field}: found {name}, expected {expected}", [dict(told)])

    async def _ask(self, path: str) -> Any:
        try:
            async with httpx2.AsyncClient(
                base_url=self.url, timeout=30, trust_env=False, verify=False
            ) as http:
                answer = await http.get(path)
        except httpx2.HTTPError as trouble:
            raise Unreachable(f"no answer ({type(trouble).__name__})") from None
        if answer.status_code != 200:
            raise Unreachable(f"it answered {answer.status_code}")
        return answer.json()


class WorkshopProvider:
    """One provider for several workshops; `asked` has each request's backend and place."""

    def __init__(
        self,
        backends: Mapping[str, WorkshopBackend],
        *,
        billed: bool = False,
        resumable: bool = True,
    ) -> None:
        self.name = "comfyui"
        self.billed = billed
        self.resumable = resumable
        self.asked: list[tuple[str, str | None]] = []
        self._urls = {name: backend.url for name, backend in backends.items()}
        self._routes = {
            name: RemoteProvider(url, name="comfyui", billed=billed)
            for name, url in self._urls.items()
        }

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hold the connections to all of them."""
        async with AsyncExitStack() as stack:
            for route in self._routes.values():
                await stack.enter_async_context(route.open())
            yield

    async def start(self, prediction: Prediction) -> str:
        """On the backend that it names."""
        return await self._route(prediction).start(prediction)

    async def look_up(self, prediction: Prediction) -> str | Gone | Unclear:
        """On the backend that it names."""
        return await self._route(prediction).look_up(prediction)

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """On the backend that it names."""
        return await self._route(prediction).follow(prediction, handle, report)

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """On the backend that it names."""
        await self._route(prediction).cancel(prediction, handle)

    def _route(self, prediction: Prediction) -> RemoteProvider:
        name = prediction.backend or ""
        self.asked.append((name, prediction.place))
        assert prediction.place == self._urls[name], "it is led to where it was claimed for"
        return self._routes[name]


@asynccontextmanager
async def workshops(*names: str) -> AsyncIterator[dict[str, Workshop]]:
    """Workshops that are open, by name; they are closed with the block."""
    made = {name: Workshop() for name in names}
    try:
        for one in made.values():
            await one.open()
        yield made
    finally:
        for one in made.values():
            await one.close()
            for run in one.runs.values():
                if run.playing is not None:
                    run.playing.cancel()


def given(made: Mapping[str, Workshop], **kept: bool) -> dict[str, Any]:
    """What `served` is told so that the server has these as its backends; `kept` is what
    the provider says of itself."""
    backends = {name: WorkshopBackend(name, one.url) for name, one in made.items()}
    return {
        "named": backends,
        "beside": {"comfyui": WorkshopProvider(backends, **kept)},
        "backends": {name: BackendSettings(url=one.url) for name, one in made.items()},
    }
