"""Our server for `bench_latency.py`: everything as it ships, but for its provider.

    python -m benchmarks.latency_ours <provider's address> <folder> stream|inside

`stream` follows each prediction over HTTP, line by line, as an adapter of a hosted provider
does. `inside` is told once how fast to go and reports from within the process: what the
stream costs is the difference. Prints `listening on <address>`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import msgspec
from starlette.applications import Starlette

from safelight.app import create_app
from safelight.providers.base import Done, Gone, Moved, Outcome, Prediction, Provider, Report
from safelight.serve import serve
from safelight.settings import Settings


class Line(msgspec.Struct):
    """A line of the stream. `sent` is the provider's clock, carried through as a word."""

    progress: float
    step: int
    steps: int
    sent: str


class Pace(msgspec.Struct):
    """What a provider from inside is told: events a second over all jobs, and how long."""

    rate: float
    seconds: float


_line = msgspec.json.Decoder(Line).decode


class Stream:
    """A provider whose predictions are streams of JSON lines over HTTP."""

    name = "local"
    resumable = False
    billed = False

    def __init__(self, url: str) -> None:
        self._url = url

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """One client for all streams."""
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=self._url, timeout=None, limits=limits) as http:
            self._http = http
            yield

    async def start(self, prediction: Prediction) -> str:
        """The job is named by its prompt."""
        return f"job-{prediction.prompt}"

    async def look_up(self, prediction: Prediction) -> Gone:
        """Nothing is ever in doubt here."""
        return Gone("it never began")

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Report a line at a time, until the stream ends."""
        async with self._http.stream("GET", f"/jobs/{prediction.prompt}") as answer:
            async for text in answer.aiter_lines():
                line = _line(text)
                await report(Moved(line.progress, line.step, line.steps, line.sent))
        return Done()

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Nobody asks."""


class Inside(Stream):
    """The same predictions, made in this process at the pace that the generator names."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen for paces beside the jobs."""
        self._jobs: list[asyncio.Queue[Moved]] = []
        async with super().open():
            listening = asyncio.create_task(self._listen())
            yield
            listening.cancel()

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Report what the pace brings."""
        queue: asyncio.Queue[Moved] = asyncio.Queue()
        self._jobs.append(queue)
        while True:
            await report(await queue.get())

    async def _listen(self) -> None:
        async with self._http.stream("GET", "/pace") as answer:
            async for text in answer.aiter_lines():
                await self._play(msgspec.json.decode(text, type=Pace))

    async def _play(self, pace: Pace) -> None:
        began, made = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < pace.seconds:
            while made < passed * pace.rate:
                sent = str(time.monotonic_ns())
                self._jobs[made % len(self._jobs)].put_nowait(Moved(0.5, made, None, sent))
                made += 1
            await asyncio.sleep(0.001)


def main(url: str, folder: str, kind: str) -> None:
    """Serve until a signal."""
    provider: Provider = Inside(url) if kind == "inside" else Stream(url)

    def build(settings: Settings) -> Starlette:
        return create_app(settings, {"local": provider})

    settings = Settings(data_dir=folder, port=0, local_concurrency=64, log_level="warning")
    serve(settings, lambda line: print(line, flush=True), build)


if __name__ == "__main__":
    main(*sys.argv[1:4])
