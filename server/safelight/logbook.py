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
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from typing import Any, Literal, TextIO

PLAIN = frozenset({str, int, float, bool, type(None)})

_needs_quotes = re.compile(r"[ \t=\r\n\"']").search
_json = json.JSONEncoder().encode

Render = Callable[[str, str, Mapping[str, Any], str], str]

Line = tuple[str, str, Mapping[str, Any], int]
"""Event, level, fields, and when: nanoseconds since 1970."""


class Logbook:
    """Writes to `out`. A line waits at most for the end of this turn of the loop; where no
    loop runs, or `urgent`, it is written at once."""

    def __init__(self, form: Literal["console", "json"], out: TextIO) -> None:
        self._render: Render = _as_json if form == "json" else _on_console
        self._out = out
        self._lines: list[Line] = []
        self._lock = Lock()

    def takes(self, fields: Mapping[str, Any]) -> bool:
        """Whether all fields are plain."""
        return PLAIN.issuperset(map(type, fields.values()))

    def add(self, event: str, level: str, fields: Mapping[str, Any], *, urgent: bool) -> None:
        """One line. It is put into words when it is written, together with those beside it."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        self._lines.append((event, level, fields, time.time_ns()))
        if urgent or loop is None:
            self.flush()
        elif len(self._lines) == 1:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits. Any thread may call it."""
        with self._lock, suppress(OSError):  # a full disk must not stop what it tells of
            lines, say = self._lines[:], self._render
            del self._lines[: len(lines)]
            if lines:
                said = [say(event, level, told, _when(at)) for event, level, told, at in lines]
                self._out.write("\n".join([*said, ""]))
                self._out.flush()


def _as_json(event: str, level: str, fields: Mapping[str, Any], now: str) -> str:
    return _json({**fields, "event": event, "level": level, "timestamp": now})


def _on_console(event: str, level: str, fields: Mapping[str, Any], now: str) -> str:
    form, names = _form(event, level, tuple(fields))
    values = [*map(fields.__getitem__, names)]
    try:
        simple = "".join(values).replace("-", "").isalnum()  # as names and words are
    except TypeError:  # some are no texts
        simple = False
    if not simple:
        values = [_shown(value) for value in values]
    return (now + form % (*values,)).rstrip(" ")


@lru_cache(maxsize=256)
def _form(event: str, level: str, names: tuple[str, ...]) -> tuple[str, list[str]]:
    """What all lines of an event with these fields have in common, and the fields in their
    order. Events and fields are those of a table."""
    told = "".join(f" {name}=%s" for name in sorted(names))
    return f" [{level:<9}] {event:<30}{told}", sorted(names)


def _when(at: int) -> str:
    seconds, left = divmod(at // 1000, 1_000_000)
    return f"{_second(seconds)}.{left:06d}Z" if left else f"{_second(seconds)}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


def _shown(value: Any) -> str:
    quoted = not isinstance(value, str) or _needs_quotes(value) is not None
    return repr(value) if quoted else value
