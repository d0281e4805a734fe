"""The embedded default: the brush, in worker processes, off the event loop.

One job at a time per worker; a worker is started when it is first needed and kept. A
cancel kills the worker, which is the one way to stop a painter at once, and costs the
next job a start. Nothing outlives this process: a worker ends when its standard input
closes. So a handle is good for nothing after a restart, and the attempt is simply made
again, which is free.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import anyio.abc

from ..brush.pipe import BrokenMessage, Header, Job, MessageReader, encode_message
from .base import (
    Again,
    Delta,
    Done,
    Ended,
    Gone,
    Made,
    Moved,
    Never,
    Outcome,
    Prediction,
    Report,
    Shown,
)

TAKEN = {
    "width": "width",
    "height": "height",
    "steps": "steps",
    "strength": "strength",
    "max_words": "max_words",
    "negative_prompt": "negative",
}
"""The parameters that the brush takes, and what it calls them."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""A worker keeps to one core: there are as many workers as the operator wants cores used."""

ENDED = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, BrokenMessage)
"""How a worker shows that nothing sensible comes from it any more."""


class Local:
    """`workers` processes at most; `pace_seconds` is the least time a step takes, so that
    people can watch."""

    name = "local"
    resumable = False
    billed = False

    def __init__(self, workers: int, pace_seconds: float = 0.0) -> None:
        self._places = anyio.Semaphore(workers)
        self._pace_seconds = pace_seconds
        self._idle: list[_Worker] = []
        self._busy: dict[str, _Worker] = {}
        self._followed: set[str] = set()
        self._canceled: set[str] = set()

    def open(self) -> AbstractAsyncContextManager[None]:
        """Ends every worker at exit."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                for worker in [*self._idle, *self._busy.values()]:
                    await worker.kill()

    async def start(self, prediction: Prediction) -> str:
        """The handle names the attempt; nothing runs before it is followed."""
        return f"local-{prediction.uid}-{prediction.attempt}"

    async def look_up(self, prediction: Prediction) -> Gone:
        """Nothing outlives this process, so what is asked for is not there."""
        return Gone("the painter ended with the server")

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Paint it on a free worker."""
        job = await self._job(prediction)
        self._followed.add(handle)
        try:
            async with self._places:
                return await self._paint(handle, job, report)
        finally:
            self._followed.discard(handle)
            self._canceled.discard(handle)

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Kill the worker that paints it."""
        if handle not in self._followed:
            return
        self._canceled.add(handle)
        worker = self._busy.get(handle)
        if worker is not None:
            await worker.kill()

    async def _paint(self, handle: str, job: bytes, report: Report) -> Outcome:
        worker = await self._worker()
        self._busy[handle] = worker
        try:
            # A cancel that came while the worker started found nobody to kill.
            outcome = Ended() if handle in self._canceled else await worker.run(job, report)
        finally:
            del self._busy[handle]
            await self._put_back(worker)
        stopped = handle in self._canceled and not isinstance(outcome, Done)
        return Ended() if stopped else outcome

    async def _worker(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            await worker.kill()
        return await _Worker.start()

    async def _put_back(self, worker: _Worker) -> None:
        if worker.at_rest and worker.alive:
            self._idle.append(worker)
            return
        with anyio.CancelScope(shield=True):
            await worker.kill()

    def pids(self) -> list[int]:
        """The process ids of the workers there are."""
        return [worker.pid for worker in (*self._idle, *self._busy.values())]

    async def _job(self, prediction: Prediction) -> bytes:
        params = prediction.params
        failing = prediction.model == "local/broken" or (
            prediction.model == "local/flaky" and prediction.attempt == 1
        )
        body = b""
        if prediction.inputs:
            body = await anyio.Path(prediction.inputs[0].path).read_bytes()
        known: dict[str, Any] = {
            field: params[name] for name, field in TAKEN.items() if name in params
        }
        job = Job(
            **known
            | {
                "job": f"{prediction.uid}-{prediction.attempt}",
                "kind": prediction.kind,
                "prompt": prediction.prompt,
                "seed": str(prediction.seed),
                "n": prediction.n,
                "pace_seconds": self._pace(prediction),
                "fail_at_step": 3 if failing else None,
            }
        )
        return encode_message(job, body)

    def _pace(self, prediction: Prediction) -> float:
        slow = prediction.model == "local/slow"
        return max(self._pace_seconds, 1.0) if slow else self._pace_seconds


class _Worker:
    """One child process. `at_rest` while it waits for a job."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process
        self._reader = MessageReader()
        self.at_rest = True

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs, as far as we have heard."""
        return self._process.returncode is None

    @classmethod
    async def start(cls) -> _Worker:
        command = [sys.executable, "-m", "safelight.brush.worker"]
        return cls(await anyio.open_process(command, stderr=None, env=os.environ | ONE_THREAD))

    async def run(self, job: bytes, report: Report) -> Outcome:
        """Hand over a job and report until it is done, has failed, or the process dies."""
        self.at_rest = False
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None, "both are pipes"
        try:
            await stdin.send(job)
            while True:
                for header, body in self._reader.feed(await stdout.receive()):
                    outcome = await _told(header, body, report)
                    if outcome is not None:
                        self.at_rest = True
                        return outcome
        except ENDED:
            return Gone("the worker process ended during the attempt")

    async def kill(self) -> None:
        """End the process now. Safe to repeat."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.aclose()


async def _told(header: Header, body: bytes, report: Report) -> Outcome | None:
    match header.type:
        case "progress":
            step, steps = header.step or 0, header.steps or 1
            await report(Moved(step / steps, step, steps, header.message))
        case "preview":
            await report(Shown(header.step or 0, header.media_type or "", body))
        case "text":
            await report(Delta(header.delta or ""))
        case "artifact":
            await report(Made(header.kind or "image", header.media_type or "", body))
        case "failed":
            message = header.message or "the brush failed"
            if header.code in ("invalid", "invalid_input"):
                return Never("invalid_input", message)
            return Again(header.code or "provider_failed", message)
        case "done":
            return Done()
    return None
