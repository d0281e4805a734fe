"""KernieGen as a child process: started, stopped, killed, started again on its port.

    with kerniegen(tmp_path / "kernie", step_seconds=0.01) as kernie:
        httpx2.get(kernie.url + "/queue")
        kernie.kill()
        kernie.start()

Options are those of `safelight kerniegen`, with underscores; a list is given once per
entry, as in `fault=["http-500@1"]`. Every wait is bounded. The calls block; in an async test
run them in a thread. What it really ran is in its log, over all its lives.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.doubles.process import STOP_SECONDS, ServerProcess, started


class Kernie(ServerProcess):
    """One folder and the process that serves it. `url` and `port` are there once it listens."""

    def __init__(self, data_dir: Path, **options: object) -> None:
        super().__init__(data_dir)
        self.log_file = data_dir.parent / f"{data_dir.name}.log"
        self._options = {"step_seconds": 0.0, "log": self.log_file} | options

    @property
    def port(self) -> int:
        """The port of its first start, and of every other one."""
        return self._port

    def command(self) -> list[str]:
        """What Python runs."""
        words = ["-m", "safelight", "kerniegen"]
        for name, value in self._options.items():
            for each in value if isinstance(value, (list, tuple)) else [value]:
                words += [f"--{name.replace('_', '-')}", str(each)]
        return words

    def log(self, event: str | None = None) -> list[dict[str, Any]]:
        """The lines of its log: `begun`, `request`, `start`, `end` and `socket`, or those of one
        kind."""
        text = self.log_file.read_text() if self.log_file.exists() else ""
        lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return [line for line in lines if event in (None, line["event"])]

    def runs(self) -> Counter[str]:
        """Prompt id to how often it was started, over all lives."""
        return Counter(line["prompt_id"] for line in self.log("start"))

    def submitted(self) -> list[str]:
        """The prompt ids of all POSTs of a prompt, in order, whatever was answered."""
        return [
            line["prompt_id"]
            for line in self.log("request")
            if line["method"] == "POST" and "prompt_id" in line
        ]

    def begun(self, path: str) -> int:
        """How many requests to this path have come, answered or not."""
        return sum(line["path"].startswith(path) for line in self.log("begun"))

    def wait_begun(self, path: str) -> None:
        """Wait until a request to this path has come in this life, answered or not."""
        asked = {"params": {"path": path}, "timeout": STOP_SECONDS, "verify": False}
        httpx2.get(self.url + "/kerniegen/requests", **asked).raise_for_status()

    def wait_back(self) -> None:
        """Wait until it listens again after a restart of its own accord."""
        self.wait_for_greeting()

    def arm(self, *faults: str) -> None:
        """Let something go wrong from now on: `arm("http-500@1")` is once, at the next POST."""
        httpx2.post(self.url + "/kerniegen/faults", json={"faults": faults}).raise_for_status()

    def disarm(self) -> None:
        """Let nothing go wrong any more."""
        httpx2.delete(self.url + "/kerniegen/faults").raise_for_status()


@contextmanager
def kerniegen(data_dir: Path, **options: object) -> Iterator[Kernie]:
    """A KernieGen that listens; ended at exit, with its errors printed if the test failed."""
    with started(Kernie(data_dir, **options)) as kernie:
        yield kernie
