"""How a prediction lives: it waits, it works, it ends, and what it cost is written down.

A run ends once, and the log has one `begun` and one `ended` of it. Cancels and deadlines
cut its work off wherever it is; before it has started a deadline is `aborted` and free.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx2

from ..bench import Bench
from ..faults import Fault
from .hooks import Hooks
from .making import Failure
from .models import BY_NAME
from .prices import cost
from .schema import checked
from .store import TERMINAL, Prediction, Store

QUEUE_STEPS = 2.0
LATE_SECONDS = 2.0
WATCH_SECONDS = 0.05
MODERATED = "NSFW content detected. Try running it again, or try a different prompt. (E005)"
FAULTS = ("fail", "late", "abort", "moderated")


class Runs:
    """Begins predictions and ends them."""

    def __init__(self, bench: Bench, store: Store, hooks: Hooks) -> None:
        self._bench = bench
        self._store = store
        self._hooks = hooks

    def begin(self, prediction: Prediction) -> None:
        """From here on it lives by itself, and costs."""
        self._store.predictions[prediction.id] = prediction
        self._bench.log.begun(
            prediction.id,
            prediction.model,
            version=prediction.version,
            input=prediction.given,
            webhook=prediction.webhook,
        )
        prediction.work = self._bench.background(self._live(prediction))
        if prediction.deadline is not None:
            self._bench.background(self._watch(prediction, prediction.deadline))

    def cancel(self, prediction: Prediction) -> None:
        """Cut it off; nothing happens to one that has ended."""
        if prediction.work is not None and prediction.status not in TERMINAL:
            prediction.verdict = prediction.verdict or "canceled"
            prediction.work.cancel()

    async def _watch(self, prediction: Prediction, deadline: float) -> None:
        while prediction.status not in TERMINAL:
            left = deadline - self._bench.now()
            if left <= 0 and prediction.work is not None:
                prediction.verdict = "canceled" if prediction.started else "aborted"
                prediction.work.cancel()
            await self._bench.sleep(min(max(left, 0.0), WATCH_SECONDS) or WATCH_SECONDS)

    async def _live(self, prediction: Prediction) -> None:
        status, error = "succeeded", None
        began = None
        try:
            fault = self._bench.faults.one_of(*FAULTS, on="run", armed=("hang",))
            await self._wait_for_a_place(prediction, fault)
            began = time.perf_counter()
            await self._work(prediction, fault)
            prediction.filled.set()
            await self._bench.step()
        except Failure as trouble:
            status, error = "failed", str(trouble)
        except asyncio.CancelledError:
            if prediction.verdict is None:
                raise  # the server ends, and nobody is told
            status = prediction.verdict
        self._end(prediction, status, error, began)

    async def _wait_for_a_place(self, prediction: Prediction, fault: Fault | None) -> None:
        if self._bench.faults.strikes("hang", on="queue"):
            await asyncio.Event().wait()
        await self._bench.step(QUEUE_STEPS)
        if fault is not None and fault.name == "abort":
            prediction.verdict = "aborted"
            raise asyncio.CancelledError

    async def _work(self, prediction: Prediction, fault: Fault | None) -> None:
        prediction.started = self._bench.now()
        prediction.status = "processing"
        prediction.touch()
        self._hooks.tell(prediction, "start")
        work = _Work(prediction, self._bench, self._store, self._hooks)
        if fault is not None and fault.name == "hang":
            await asyncio.Event().wait()
        if fault is not None and fault.name == "late":
            await self._bench.sleep(fault.seconds(LATE_SECONDS))
        if fault is not None and fault.name in ("fail", "moderated"):
            await work.step(1, 2)
            raise Failure(MODERATED if fault.name == "moderated" else "the model was told to fail")
        await BY_NAME[prediction.model].make(work)

    def _end(
        self, prediction: Prediction, status: str, error: str | None, began: float | None
    ) -> None:
        prediction.completed = self._bench.now()
        prediction.error = error
        if began is not None:
            prediction.metrics["predict_time"] = round(time.perf_counter() - began, 6)
            prediction.metrics["total_time"] = round(prediction.completed - prediction.created, 6)
        spent = cost(prediction.model, prediction.metrics)
        prediction.status = status
        self._bench.log.ended(prediction.id, status, spent, metrics=prediction.metrics)
        prediction.filled.set()
        prediction.over.set()
        prediction.touch()
        self._hooks.tell(prediction, "completed")


class _Work:
    """One prediction's work, as its model sees it."""

    def __init__(self, prediction: Prediction, bench: Bench, store: Store, hooks: Hooks) -> None:
        fields = BY_NAME[prediction.model].fields
        self.input = checked(fields, prediction.given)
        given = self.input.get("seed")
        self.seed: int = bench.random.randrange(2**31) if given is None else given
        self._prediction = prediction
        self._bench = bench
        self._store = store
        self._hooks = hooks
        self._log(f"Using seed: {self.seed}\n")

    async def step(self, done: int, of: int) -> None:
        """A step is done; a line with a bar is logged."""
        await self._bench.step()
        share = done / of
        bar = "█" * int(share * 10) or "▏"
        self._log(f"{share:4.0%}|{bar:<10}| {done}/{of} [00:{done:02}<00:{of - done:02}]\n")

    async def rest(self, steps: float) -> None:
        """Take as long as that many steps, without a word."""
        await self._bench.step(steps)

    async def file(self, name: str, content: bytes, media_type: str) -> str:
        """Keep a file; returns its address."""
        path = self._store.keep(self._prediction, name, content, media_type)
        return self._bench.address + path

    async def give(self, output: Any) -> None:
        """What there is of the output so far, all of it."""
        self._prediction.output = output
        self._prediction.touch()
        self._hooks.tell(self._prediction, "output")

    async def fetch(self, address: str) -> bytes:
        """The bytes of an input file. Raises Failure."""
        if address.startswith("data:"):
            return _of_data_url(address)
        own = self._bench.address + "/v1/files/"
        if address.startswith(own):
            found = self._store.upload(address.removeprefix(own), self._bench.now())
            if found is None:
                raise Failure(f"404 Client Error: Not Found for url: {address}")
            return found.content
        try:
            async with httpx2.AsyncClient(trust_env=False, timeout=20.0) as client:
                answer = await client.get(address, follow_redirects=True)
                answer.raise_for_status()
                return answer.content
        except (httpx2.HTTPError, httpx2.InvalidURL) as trouble:
            raise Failure(f"{trouble} for url: {address}") from None

    def count(self, **metrics: float) -> None:
        """Figures for `metrics`, as they are now."""
        self._prediction.metrics |= metrics

    def _log(self, line: str) -> None:
        self._prediction.logs += line
        self._prediction.touch()
        self._hooks.tell(self._prediction, "logs")


def _of_data_url(address: str) -> bytes:
    head, _, body = address.partition(",")
    try:
        return (
            base64.b64decode(body, validate=True)
            if head.endswith(";base64")
            else (unquote_to_bytes(body))
        )
    except binascii.Error:
        raise Failure("binascii.Error: not base64") from None
