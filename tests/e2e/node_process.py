"""A script of ours in a Node process: started, told what to do, and listened to.

Both ways a line is one JSON value. Waits are bounded and block; in an async test run them
in a thread. What the script does, and what it tells, is its caller's business.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PATIENCE = 30.0


class Node:
    """The client process: what it told, in order, and what it is told to do."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self._lines: queue.Queue[str] = queue.Queue()
        self.told: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._lines.put(line)

    def do(self, **command: Any) -> None:
        """Hand over one command."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(command) + "\n")
        self._child.stdin.flush()

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next thing told that is wanted; raises queue.Empty when it does not come."""
        while True:
            line = json.loads(self._lines.get(timeout=PATIENCE))
            self.told.append(line)
            if wanted(line):
                return dict(line)

    def until_event(self, type: str) -> dict[str, Any]:
        """The next task event of a type."""
        line = self.until(lambda t: t.get("event", {}).get("type") == type)
        return dict(line["event"])

    @property
    def events(self) -> list[dict[str, Any]]:
        """The task events told so far."""
        return [t["event"] for t in self.told if "event" in t]


@contextmanager
def node_process(script: str, *arguments: str) -> Iterator[Node]:
    """A script of this folder in Node, killed at exit."""
    child = subprocess.Popen(
        ["node", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=HERE,
    )
    try:
        yield Node(child)
    finally:
        child.kill()
        child.wait(10)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
