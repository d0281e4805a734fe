"""Log lines: how they are set up, and that each is one of the vocabulary.

Knows nothing of what it is told about; the names and what they mean are in vocabulary.py.
"""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from .logbook import Logbook
from .vocabulary import EVENTS, Level, LogEvent


class Unlisted(Exception):
    """A log event, field or counter that has no row here."""


_FIELDS = {name: frozenset(row.fields) for name, row in EVENTS.items()}

_LEVELS: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class _State:
    """How strict `log` is: before `configure` a name without a row is an error at once. Rows
    below `least` are not printed, and nothing is built for them. `book`, which is there from
    `configure` on, takes the lines whose fields are plain."""

    strict = True
    least = logging.NOTSET
    book: Logbook | None = None


def configure(
    level: Level,
    form: Literal["console", "json"],
    stream: TextIO | None = None,
    *,
    strict: bool = False,
) -> None:
    """Set up logging for the process; `stream` is standard error by default.

    Libraries' own messages join in from `warning` up. With `strict` an unlisted
    event or field raises; without, `telemetry.unlisted` is logged in its place.
    """
    _State.strict = strict
    _State.least = _LEVELS[level]
    out = stream or sys.stderr
    _State.book = None if form == "console" and out.isatty() else Logbook(form, out)
    structlog.configure(
        processors=[*_shared(), *_renderers(form, out)],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _adopt_libraries()


def reset() -> None:
    """As it was before `configure`: everything is printed, to standard output."""
    _State.strict, _State.least, _State.book = True, logging.NOTSET, None
    structlog.reset_defaults()


def log(event: str, /, **fields: Any) -> None:
    """Log one event of the table with fields of its row; fields may be left out."""
    row = EVENTS.get(event)
    if row is not None and not _State.strict and _LEVELS[row.level] < _State.least:
        return
    if row is None or not fields.keys() <= _FIELDS[event]:
        fields = _listed(event, row, fields)
    if row is not None:
        _print(event, row.level, fields)


def _listed(event: str, row: LogEvent | None, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that the row has a place for; that there are others is told, or raised."""
    unlisted = sorted(fields) if row is None else sorted(fields.keys() - _FIELDS[event])
    if _State.strict:
        raise Unlisted(f"{event}({', '.join(unlisted)}) has no such row in telemetry.EVENTS")
    log("telemetry.unlisted", name=event, unlisted=unlisted)
    return {name: value for name, value in fields.items() if name not in unlisted}


def _print(event: str, level: Level, fields: dict[str, Any]) -> None:
    book, number = _State.book, _LEVELS[level]
    if book is not None and book.takes(fields):
        if number >= _State.least:
            book.add(event, level, fields, urgent=number > logging.INFO)
        return
    if book is not None:
        book.flush()
    with suppress(OSError):  # a full disk under the log must not stop what it tells of
        getattr(structlog.get_logger(), level)(event, **fields)


def _shared() -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_exception,
    ]


def _renderers(form: str, out: TextIO) -> list[Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    colors = out.isatty()
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]


def _name_exception(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    """`exc`, an exception, becomes its type and traceback."""
    trouble = fields.pop("exc", None)
    if trouble is not None:
        fields["error"] = type(trouble).__name__
        fields["exc_info"] = trouble
    return fields


_SECRET = re.compile(r"((?:token|authorization)[=:]\s*(?:bearer\s+)?)[^\s&\"']+", re.IGNORECASE)


class _Adopted(logging.Handler):
    """Takes libraries' records. Some print request lines, so tokens are cut out."""

    def emit(self, record: logging.LogRecord) -> None:
        text = _SECRET.sub(r"\1*****", record.getMessage())
        exc = record.exc_info[1] if record.exc_info else None
        named = {"logger": record.name, "text": text} | ({} if exc is None else {"exc": exc})
        log("library.message", **named)


def _adopt_libraries() -> None:
    """One handler at the root; loggers with handlers of their own (uvicorn) lose them."""
    root = logging.getLogger()
    root.handlers = [_Adopted(logging.WARNING)]  # some loggers have a level of their own
    root.setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.WARNING)
