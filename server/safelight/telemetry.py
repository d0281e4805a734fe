"""Every log line and every counter has a name, and all names stand in this file.

Owns the two tables, the logging set-up and the counters. Log lines are named events
with listed fields, so that an operator can search for them and nothing slips in
that must stay private: no row has a place for a prompt, a token or a result.
Knows nothing of what it is told about. The table is printed in docs/operations.md.
"""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from .logbook import Logbook

Level = Literal["debug", "info", "warning", "error"]


class LogEvent(msgspec.Struct, frozen=True):
    """One row: how loud it is, what it means, and the fields it may carry."""

    level: Level
    meaning: str
    fields: tuple[str, ...] = ()


class Unlisted(Exception):
    """A log event, field or counter that has no row here."""


EVENTS: dict[str, LogEvent] = {
    "server.started": LogEvent(
        "info", "The parts are up and tasks are recovered.", ("version", "data_dir", "log")
    ),
    "server.room": LogEvent("debug", "How much may be open at a time.", ("files", "connections")),
    "server.full": LogEvent(
        "warning",
        "Whoever comes is cut off: there are as many connections as may be. Told once a minute.",
        ("connections",),
    ),
    "server.listening": LogEvent("info", "The doors are open.", ("url",)),
    "server.stopping": LogEvent("info", "No new work; followers are sent away."),
    "server.stopped": LogEvent("info", "Everything is closed."),
    "server.recovered": LogEvent(
        "info", "Unfinished tasks of the last run were picked up.", ("tasks",)
    ),
    "task.created": LogEvent("info", "A task was accepted.", ("uid", "id", "owner", "kind")),
    "task.attached": LogEvent(
        "info", "A request was an existing task.", ("uid", "id", "owner", "status")
    ),
    "task.ended": LogEvent("info", "A task has its end.", ("uid", "id", "status")),
    "task.deleted": LogEvent("info", "A task was deleted.", ("uid", "id", "owner")),
    "prediction.started": LogEvent(
        "info", "An attempt began.", ("uid", "attempt", "provider", "model")
    ),
    "prediction.fault": LogEvent(
        "warning",
        "An attempt failed.",
        ("uid", "attempt", "provider", "code"),
    ),
    "prediction.doubted": LogEvent(
        "warning",
        "It is not known what became of an attempt; its provider is asked.",
        ("uid", "attempt", "provider"),
    ),
    "prediction.settled": LogEvent(
        "info",
        "A doubt is over: `found`, `gone`, or `unknown` at its deadline.",
        ("uid", "attempt", "provider", "verdict", "tries"),
    ),
    "task.overdue": LogEvent("warning", "A task took longer than it may, and was ended.", ("uid",)),
    "task.defect": LogEvent(
        "error",
        "A bug of ours in the care for one task, which ends as `internal`.",
        ("uid", "work", "reference", "exc"),
    ),
    "prediction.exhausted": LogEvent(
        "warning",
        "An attempt found no more open files, memory or processes.",
        ("uid", "attempt", "provider", "exc"),
    ),
    "prediction.defect": LogEvent(
        "error",
        "A provider's code failed; a bug.",
        ("uid", "attempt", "provider", "reference", "exc"),
    ),
    "backend.up": LogEvent("info", "A backend answers.", ("backend", "url", "version")),
    "backend.down": LogEvent(
        "warning", "A backend does not answer; what asks for it waits.", ("backend", "url", "error")
    ),
    "backend.silent": LogEvent(
        "warning",
        "A backend that was up did not answer in time; it may be busy.",
        ("backend", "url", "error"),
    ),
    "backend.connected": LogEvent("debug", "The socket to a backend is open.", ("backend",)),
    "backend.lost": LogEvent(
        "info",
        "The socket to a backend was lost, or not had; prompts there are looked up meanwhile.",
        ("backend", "error"),
    ),
    "backend.shared": LogEvent(
        "warning", "Another process seems to use our client id; a new one was drawn.", ("backend",)
    ),
    "prediction.traceback": LogEvent(
        "debug",
        "Where a backend's node failed, in the backend's own words.",
        ("uid", "attempt", "code", "trace"),
    ),
    "backend.defect": LogEvent(
        "error", "Our code for a backend failed; a bug.", ("backend", "exc")
    ),
    "backend.moved": LogEvent(
        "warning",
        "An attempt under way was begun at another address of its backend; it is not sent on.",
        ("uid", "attempt", "backend", "place", "url"),
    ),
    "fetch.failed": LogEvent(
        "warning",
        "A provider's file could not be fetched; it is tried again, up to `fetch_tries`.",
        ("uid", "attempt", "key", "tries", "error"),
    ),
    "upload.taken": LogEvent("info", "A file was uploaded.", ("owner", "bytes", "known")),
    "socket.refused": LogEvent("info", "A socket was refused.", ("reason",)),
    "socket.gone": LogEvent("debug", "A client went while we wrote.", ()),
    "socket.trouble": LogEvent("warning", "A channel could not be read.", ("code",)),
    "socket.defect": LogEvent("error", "A join or command met a bug.", ("exc",)),
    "socket.opened": LogEvent("debug", "A socket was accepted."),
    "socket.closed": LogEvent("debug", "A socket is closed.", ("code",)),
    "store.fenced": LogEvent(
        "warning", "The store had moved on; its state was taken.", ("uid", "seq")
    ),
    "store.trouble": LogEvent("error", "The store could not write.", ("error", "tries")),
    "store.ill": LogEvent(
        "error", "The disk failed a commit; the database is opened anew.", ("error",)
    ),
    "store.behind": LogEvent(
        "warning", "A checkpoint failed; its pages wait for the next one.", ("error",)
    ),
    "store.reopened": LogEvent("warning", "The database is open again after trouble."),
    "retention.swept": LogEvent(
        "info",
        "What was kept long enough has gone.",
        ("events", "logs", "tasks", "files", "expired"),
    ),
    "retention.trouble": LogEvent(
        "warning", "A sweep broke off; the next one goes on.", ("error",)
    ),
    "retention.defect": LogEvent(
        "error", "A bug of ours in a sweep; the next one tries again.", ("exc",)
    ),
    "work.unheard": LogEvent(
        "warning", "What goes on without the one who asked for it has failed.", ("exc",)
    ),
    "artifact.stored": LogEvent("debug", "A file is on disk.", ("bytes", "media_type", "known")),
    "artifact.trouble": LogEvent(
        "error", "A file could not be written or removed.", ("error", "tries")
    ),
    "artifact.removed": LogEvent("debug", "A file was removed.", ("media_type",)),
    "artifact.swept": LogEvent(
        "warning", "Half-written files of an earlier run were removed.", ("files",)
    ),
    "request.failed": LogEvent(
        "error", "A request met a bug; the answer names the reference.", ("reference", "exc")
    ),
    "library.message": LogEvent("warning", "A library said something.", ("logger", "text", "exc")),
    "telemetry.unlisted": LogEvent(
        "error", "Our code logs what is not in this table; a bug.", ("name", "unlisted")
    ),
}
"""Every log event by name. `exc` is an exception, printed with its traceback."""

STATISTICS: dict[str, str] = {
    "live": "Tasks that have not ended.",
    "late": "Reports that came when they could change nothing any more.",
    "waiting": "Tasks that wait for a place, or for their next attempt.",
    "running": "Places at providers that are taken.",
    "predictions": "Attempts under way.",
    "in_doubt": "Attempts of which it is not known whether their provider has them.",
    "topics": "Topics that somebody follows.",
    "followers": "Followers of all topics.",
    "artifacts_stored": "Files stored since the start.",
    "artifact_bytes_stored": "Their bytes.",
    "artifacts_pinned": "Files that are about to be named by an event.",
    "thumbnails_drawing": "Thumbnails that are being made.",
    "groups": "Transactions since the start.",
    "members": "Writes in them.",
    "reopened": "How often the database was opened anew after trouble with the disk.",
    "checkpoints": "How often pages of the database's log were brought into its file.",
    "log_pages": "Pages that the log had at the last of them.",
    "loop_delay_ms_p50": "How late the event loop was in the last minute: median.",
    "loop_delay_ms_p99": "The same, 99th percentile.",
    "loop_delay_ms_max": "The same, maximum.",
    "lanes": "Groups of followers that are written to together.",
    "laned": "Followers in them: those that have everything.",
    "longpolls": "Sessions of the socket over long-poll.",
    "backends_up": "Backends that answered when they were last asked.",
    "backends_down": "Backends that did not.",
    "backend_flips": "How often a backend came up or went down since the start.",
    "fetches": "Files of providers that are being fetched.",
    "fetched": "Files that were fetched since the start.",
    "fetch_faults": "Tries at it that failed.",
    "fetches_refused": "Files that were given up.",
    "fetch_requests": "Requests that were made for them, redirects included.",
    "swept_events": "Events that retention removed since the start.",
    "swept_logs": "Logs that it shortened to their last event.",
    "swept_tasks": "Tasks that expired.",
    "swept_expired": "Files that expired, artifacts and uploads.",
    "swept_files": "Files that no task named.",
    "sweep_step_ms_max": "The longest step of a sweep.",
}
"""Every figure of GET /healthz, `data.statistics`."""

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
    root.handlers = [_Adopted()]
    root.setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.WARNING)
