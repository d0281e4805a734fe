"""An emulator of a paid provider as a child process: started, killed, started again.

    with emulated(tmp_path, "replicate", pace=0) as replicate:
        httpx2.get(replicate.url + "/v1/account", headers=replicate.headers)
        replicate.arm("lost-answer@1")
        assert len(replicate.runs()) == 0

Options are those of `safelight emulate`, with underscores; a list is given once per entry,
as in `fault=["http-500@1"]`. What it really ran is in its log, over all its lives. The calls
block; in an async test run them in a thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.doubles.process import STOP_SECONDS, ServerProcess, started

KEY = "emulated"


class Emulated(ServerProcess):
    """One emulator and its log. `url` is there once it listens, and stays when it is started
    again; `said` is what it said first."""

    def __init__(self, folder: Path, name: str, **options: object) -> None:
        super().__init__(folder / f"emulated-{name}")
        self.name = name
        self.log_path = folder / f"emulated-{name}.log"
        self._options = {"pace": 0.0, "key": KEY, "log": self.log_path} | options

    @property
    def key(self) -> str:
        """The key that it lets in."""
        return str(self._options["key"])

    @property
    def headers(self) -> dict[str, str]:
        """The key as most providers take it."""
        return {"authorization": f"Bearer {self.key}"}

    def command(self) -> list[str]:
        """What Python runs."""
        words = ["-m", "safelight", "emulate", self.name]
        for name, value in self._options.items():
            for each in value if isinstance(value, (list, tuple)) else [value]:
                words += [f"--{name.replace('_', '-')}", str(each)]
        return words

    def place(self) -> list[str]:
        """It keeps nothing but its log."""
        return []

    def log(self, event: str | None = None) -> list[dict[str, Any]]:
        """The lines of its log, or those of one kind: `request`, `answer`, `begun`, `ended`."""
        text = self.log_path.read_text() if self.log_path.exists() else ""
        lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return [line for line in lines if event in (None, line["event"])]

    def runs(self) -> list[dict[str, Any]]:
        """Every run that it began, over all lives, oldest first: run, model, begun_at, marks,
        outcome and cost_micros (both None while it runs, or when it was killed in it)."""
        runs: dict[str, dict[str, Any]] = {}
        for line in self.log():
            if line["event"] == "begun":
                known = {"run": line["run"], "model": line["model"], "begun_at": line["at"]}
                unknown = {"outcome": None, "cost_micros": None}
                runs[line["run"]] = known | unknown | {"marks": line["marks"]}
            elif line["event"] == "ended":
                told = {name: line[name] for name in ("outcome", "cost_micros")}
                runs[line["run"]] |= told
        return list(runs.values())

    def settled(self) -> list[dict[str, Any]]:
        """Every run, as soon as all of this life have ended; some go on when nobody listens, and
        those of a life before end no more. Raises AssertionError after a while."""
        try:
            self._wait("runs", settled=1)
        except httpx2.ReadTimeout:
            raise AssertionError(f"these never ended: {self.runs()}") from None
        return self.runs()

    def last_run(self) -> dict[str, Any]:
        """The one that it began last, as soon as all have ended."""
        return self.settled()[-1]

    def cost(self) -> int:
        """What all its runs cost so far, in millionths of a dollar by its own prices."""
        return sum(run["cost_micros"] or 0 for run in self.runs())

    def asked(self, method: str, path: str) -> int:
        """How many requests of this method have come to paths that begin so."""
        return sum(
            line["method"] == method and line["path"].startswith(path)
            for line in self.log("request")
        )

    def wait_begun(self, count: int = 1) -> None:
        """Wait until so many runs have begun in this life."""
        self._wait("runs", begun=count)

    def wait_asked(self, path: str) -> None:
        """Wait until a request to a path that begins so has come in this life."""
        self._wait("requests", path=path)

    def arm(self, *faults: str) -> None:
        """Let something go wrong from now on: `arm("lost-answer@1")` is once, at the next."""
        httpx2.post(self.url + "/emulator/faults", json={"faults": faults}).raise_for_status()

    def disarm(self) -> None:
        """Let nothing go wrong any more."""
        httpx2.delete(self.url + "/emulator/faults").raise_for_status()

    def forward(self, seconds: float) -> None:
        """Move its clock, for what a provider forgets after hours."""
        asked = {"forward": seconds}
        httpx2.post(self.url + "/emulator/clock", json=asked).raise_for_status()

    def take_only(self, key: str) -> None:
        """Let in who has this key from now on, and nobody else: all others are revoked."""
        httpx2.post(self.url + "/emulator/key", json={"key": key}).raise_for_status()

    def _wait(self, what: str, **query: str | int) -> None:
        """Ask the emulator what it answers when it is so."""
        more: dict[str, Any] = {"params": query, "timeout": STOP_SECONDS, "verify": False}
        httpx2.get(f"{self.url}/emulator/{what}", **more).raise_for_status()


@contextmanager
def emulated(folder: Path, name: str, **options: object) -> Iterator[Emulated]:
    """An emulator that listens; ended at exit, with its errors printed if the test failed."""
    with started(Emulated(folder, name, **options)) as emulator:
        yield emulator
