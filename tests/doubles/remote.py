"""A small provider of predictions on loopback HTTP, for a server that gets killed.

It lives in the test's own loop, so what it was asked survives every kill of the server:
`asked` lists each start request and what was answered, in order. As in real life it has no
idempotency: a start that is sent twice runs twice. Runs go on whether anybody follows them
or not, and are paced by gates that the test opens.

    POST /predictions {uid, attempt, kind, script}     start
    GET  /predictions?marker=<uid>/<attempt>           look up
    GET  /predictions/<handle>?after=<n>               what it did after step n (long-poll)
    POST /predictions/<handle>/cancel                  ask for its end

Scripts are those of `safelight.providers.scripted`; besides, `found` announces a `file`, by
the fields of `Found`. Unrealistic: it forgets nothing, and a
run can be looked up the instant it was accepted.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
import time
import zlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.doubles.http_exchange import Asking, Exchange, serve_http

Fault = Literal["none", "lost", "dropped", "429", "500", "hang"]
"""What becomes of a start: `lost` runs and drops the connection, `dropped` drops it and does
not run, `429` and `500` refuse, `hang` runs and never answers."""

RUNS: frozenset[Fault] = frozenset(("none", "lost", "hang"))
POLL_SECONDS = 5.0
"""How long a follower waits for a next step before it is answered with none."""


class Asked(NamedTuple):
    """One start request: what was answered, and the run it made, if any."""

    at: float
    uid: str
    attempt: int
    answered: Fault
    handle: str | None


class Run:
    """One prediction: its steps so far and, once it ended, its outcome."""

    def __init__(self, handle: str, body: dict[str, Any]) -> None:
        self.handle = handle
        self.uid: str = body["uid"]
        self.attempt: int = body["attempt"]
        self.kind: str = body["kind"]
        self.script: list[dict[str, Any]] | None = body.get("script")
        self.steps: list[dict[str, Any]] = []
        self.outcome: dict[str, Any] | None = None
        self.cancels = 0
        self.changed = asyncio.Event()
        self.playing: asyncio.Task[None] | None = None

    def tell(self, **step: Any) -> None:
        """One more step that followers see."""
        self.steps.append(step)
        self.changed.set()

    def end(self, verdict: str, **more: Any) -> None:
        """Its one outcome; a later one is ignored."""
        if self.outcome is None:
            self.outcome = {"is": verdict} | more
            self.changed.set()


class Remote:
    """The provider. `faults` are what the next starts meet, one each; `choose` decides once
    the list is empty (a campaign hands in its own). `retry_after` goes with a 429."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.runs: dict[str, Run] = {}
        self.looked_up: list[tuple[str, str | None]] = []
        self.canceled: list[str] = []
        self.faults: deque[Fault] = deque()
        self.choose: Callable[[str, int], Fault] = lambda uid, attempt: "none"
        self.retry_after = 0.0
        self.deaf_to_look_ups = False
        self.arrived = asyncio.Event()
        self._gates: dict[str, asyncio.Event] = {}

    def gate(self, name: str) -> asyncio.Event:
        """The gate of that name; `set` opens it for good, for every run."""
        return self._gates.setdefault(name, asyncio.Event())

    def started(self) -> Counter[tuple[str, int]]:
        """How many runs there were of each (uid, attempt): more than 1 is a double run."""
        return Counter((run.uid, run.attempt) for run in self.runs.values())

    async def wait_for_start(self, count: int = 1) -> None:
        """Return once that many starts were asked for."""
        while len(self.asked) < count:
            self.arrived.clear()
            await self.arrived.wait()

    async def handle(self, asking: Asking, exchange: Exchange) -> None:
        """Answer one request."""
        split = urlsplit(asking.target)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        match asking.method, split.path.strip("/").split("/")[1:]:
            case "POST", []:
                await self._start(json.loads(asking.body), exchange)
            case "GET", []:
                self._look_up(query["marker"], exchange)
            case "GET", [handle] if handle in self.runs:
                await self._follow(self.runs[handle], int(query["after"]), exchange)
            case "POST", [handle, "cancel"] if handle in self.runs:
                self._cancel(self.runs[handle], exchange)
            case _:
                exchange.answer(404, {"error": "there is no such prediction"})

    async def _start(self, body: dict[str, Any], exchange: Exchange) -> None:
        fault = self._fault(body["uid"], body["attempt"])
        run = self._run(body) if fault in RUNS else None
        handle = None if run is None else run.handle
        self.asked.append(Asked(time.time(), body["uid"], body["attempt"], fault, handle))
        self.arrived.set()
        match fault:
            case "none":
                exchange.answer(201, {"handle": handle})
            case "lost" | "dropped":
                exchange.drop()
            case "hang":
                await exchange.wait_until_gone()
            case _:
                exchange.answer(int(fault), {}, {"Retry-After": str(self.retry_after)})

    def _fault(self, uid: str, attempt: int) -> Fault:
        return self.faults.popleft() if self.faults else self.choose(uid, attempt)

    def _run(self, body: dict[str, Any]) -> Run:
        run = Run(f"remote-{len(self.runs) + 1}", body)
        self.runs[run.handle] = run
        run.playing = asyncio.create_task(self._play(run))
        return run

    def _look_up(self, marker: str, exchange: Exchange) -> None:
        if self.deaf_to_look_ups:
            return exchange.answer(500, {})
        uid, _, attempt = marker.partition("/")
        found = [r.handle for r in self.runs.values() if (r.uid, str(r.attempt)) == (uid, attempt)]
        self.looked_up.append((marker, found[0] if found else None))
        if found:
            return exchange.answer(200, {"handle": found[0]})
        return exchange.answer(404, {"error": "no prediction carries this marker"})

    async def _follow(self, run: Run, after: int, exchange: Exchange) -> None:
        if len(run.steps) <= after and run.outcome is None:
            run.changed.clear()
            try:
                await asyncio.wait_for(run.changed.wait(), POLL_SECONDS)
            except TimeoutError:
                pass
        exchange.answer(200, {"steps": run.steps[after:], "outcome": run.outcome})

    def _cancel(self, run: Run, exchange: Exchange) -> None:
        run.cancels += 1
        self.canceled.append(run.handle)
        if run.playing is not None:
            run.playing.cancel()
        run.end("canceled")
        exchange.answer(200, {})

    async def _play(self, run: Run) -> None:
        for step in _script(run):
            if step.get("attempt") in (None, run.attempt):
                await self._act(step, run)
                if run.outcome is not None:
                    return
        run.end("done")

    async def _act(self, step: dict[str, Any], run: Run) -> None:
        match step["do"]:
            case "progress":
                run.tell(moved=[step.get("to"), step.get("step"), step.get("steps")])
            case "text":
                run.tell(delta=step.get("delta", ""))
            case "image" | "video" as kind:
                made = picture(f"{run.uid}/{run.attempt}/{len(run.steps)}")
                run.tell(made=[kind, "image/png", base64.b64encode(made).decode()])
            case "found":
                run.tell(found={"kind": "image"} | step["file"])
            case "sleep":
                await asyncio.sleep(step["seconds"])
            case "wait":
                await self.gate(step["gate"]).wait()
            case "hang":
                await asyncio.Event().wait()
            case "fault" | "never" | "lost" | "unclear" as verdict:
                run.end(verdict, **{k: step[k] for k in ("code", "after_seconds") if k in step})
            case unknown:
                raise AssertionError(f"no script can {unknown}")


@asynccontextmanager
async def remote() -> AsyncIterator[Remote]:
    """The provider, as long as the block lasts; its runs end with it."""
    house = Remote()
    async with serve_http(house.handle) as url:
        house.url = url
        try:
            yield house
        finally:
            playing = [run.playing for run in house.runs.values() if run.playing is not None]
            for task in playing:
                task.cancel()
            await asyncio.gather(*playing, return_exceptions=True)


def picture(seed: str) -> bytes:
    """A small PNG whose bytes are different for each seed."""
    colour = hashlib.sha256(seed.encode()).digest()
    rows = b"".join(b"\x00" + colour[row * 12 : row * 12 + 12] for row in range(2))
    head = struct.pack(">IIBBBBB", 4, 2, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check


def _script(run: Run) -> list[dict[str, Any]]:
    if run.script is not None:
        return run.script
    if run.kind == "text":
        return [{"do": "text", "delta": "a few words"}]
    return [{"do": "progress", "to": 0.5}, {"do": run.kind}]
