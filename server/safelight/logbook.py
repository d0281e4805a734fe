"""Lines of the log whose fields are all plain, written the short way.

A busy server says two lines for each task, and the general way to a line (a logger bound,
a chain of processors, a flush) costs as much as the rest of a create in Python. What is
written here reads exactly as it would from there (tests/server/test_logbook.py). Lines of
one turn of the event loop are one write. Knows no events; anything that is not plain, an
exception above all, goes the general way.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Literal, TextIO

PLAIN = frozenset({str, int, float, bool, type(None)})

_needs_quotes = re.compile(r"[ \t=\r\n\"']").search
_json = json.JSONEncoder().encode

Render = Callable[[str, str, Mapping[str, Any], str], str]


class Logbook:
    """Writes to `out`. A line waits at most for the end of this turn of the loop; where no
    loop runs, or `urgent`, it is written at once."""

    def __init__(self, form: Literal["console", "json"], out: TextIO) -> None:
        self._render: Render = _as_json if form == "json" else _on_console
        self._out = out
        self._lines: list[str] = []
        self._lock = Lock()

    def takes(self, fields: Mapping[str, Any]) -> bool:
        """Whether all fields are plain."""
        return all(type(value) in PLAIN for value in fields.values())

    def add(self, event: str, level: str, fields: Mapping[str, Any], *, urgent: bool) -> None:
        """One line."""
        now = datetime.now(UTC).isoformat().removesuffix("+00:00") + "Z"
        line = self._render(event, level, fields, now)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        self._lines.append(line)
        if urgent or loop is None:
            self.flush()
        elif len(self._lines) == 1:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits. Any thread may call it."""
        with self._lock, suppress(OSError):  # a full disk must not stop what it tells of
            lines = self._lines[:]
            del self._lines[: len(lines)]
            if lines:
                self._out.write("\n".join([*lines, ""]))
                self._out.flush()


def _as_json(event: str, level: str, fields: Mapping[str, Any], now: str) -> str:
    return _json({**fields, "event": event, "level": level, "timestamp": now})


def _on_console(event: str, level: str, fields: Mapping[str, Any], now: str) -> str:
    told = [f"{name}={_shown(fields[name])}" for name in sorted(fields)]
    return " ".join([f"{now} [{level:<9}] {event:<30}", *told]).rstrip(" ")


def _shown(value: Any) -> str:
    quoted = not isinstance(value, str) or _needs_quotes(value) is not None
    return repr(value) if quoted else value
