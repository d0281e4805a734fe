"""The log of an emulator: what was asked, what was run, and what it would have cost.

One JSON line each, written at once, so that a process that is killed has told all. This is
how a test counts what a provider really did, without asking anything of what it tests:
`begun` and `ended` carry the run's id; `request` and `answer` tell every call that came.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any


class RunLog:
    """Keeps the runs of this process, and appends to `path` if there is one. `at` is the time
    in seconds of the epoch by the true clock; amounts are millionths of a US dollar."""

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._file = path.open("a", encoding="utf-8") if path else None
        self._clock = clock
        self._runs: dict[str, dict[str, Any]] = {}
        self._paths: Counter[str] = Counter()
        self._news = asyncio.Event()

    def event(self, event: str, run: str | None = None, **more: object) -> None:
        """A line of any kind."""
        if event == "request":
            self._paths[str(more["path"])] += 1
        self._write(self._clock(), event, run, more)

    def begun(self, run: str, model: str, **marks: object) -> None:
        """A run has begun; `marks` is what tells tests which one it is. Raises ValueError for
        an id that was used before."""
        if run in self._runs:
            raise ValueError(f"run {run} began before")
        at = self._clock()
        self._runs[run] = {
            "run": run,
            "model": model,
            "begun_at": at,
            "outcome": None,
            "cost_micros": None,
            "marks": marks,
        }
        self._write(at, "begun", run, {"model": model, "marks": marks})

    def ended(self, run: str, outcome: str, cost_micros: int, **more: object) -> None:
        """A run has ended: succeeded, failed, canceled or aborted, and costs this much. Raises
        ValueError for a run that ended before, KeyError for one that never began."""
        kept = self._runs[run]
        if kept["outcome"] is not None:
            raise ValueError(f"run {run} ended before")
        kept |= {"outcome": outcome, "cost_micros": cost_micros}
        self.event("ended", run, outcome=outcome, cost_micros=cost_micros, **more)

    def ran(self, run: str, model: str, cost_micros: int, outcome: str, **marks: object) -> None:
        """A run has begun and ended, both in one."""
        self.begun(run, model, **marks)
        self.ended(run, outcome, cost_micros)

    def runs(self) -> list[dict[str, Any]]:
        """All runs of this process, oldest first; outcome and cost are null while they last."""
        return list(self._runs.values())

    async def wait_settled(self) -> None:
        """Until every run of this process has ended."""
        await self._wait(lambda: all(run["outcome"] is not None for run in self._runs.values()))

    async def wait_begun(self, count: int) -> None:
        """Until so many runs of this process have begun."""
        await self._wait(lambda: len(self._runs) >= count)

    async def wait_asked(self, path: str) -> int:
        """Until a request has come to a path that begins so; how many have."""

        def count() -> int:
            return sum(n for known, n in self._paths.items() if known.startswith(path))

        await self._wait(lambda: count() > 0)
        return count()

    def close(self) -> None:
        """Nothing is written any more."""
        if self._file is not None:
            self._file.close()

    async def _wait(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._news.wait()

    def _write(self, at: float, event: str, run: str | None, more: dict[str, Any]) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
        if self._file is None or self._file.closed:
            return
        line = {"at": round(at, 6), "event": event, **({"run": run} if run else {}), **more}
        self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        self._file.flush()
