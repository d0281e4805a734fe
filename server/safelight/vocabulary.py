"""Every log event and every figure of the server has a name, and all names stand here.

Log lines are named events with listed fields, so that an operator can search for them and
nothing slips in that must stay private: no row has a place for a prompt, a token or a
result. Both tables are printed in docs/operations.md. What is done with them is in
telemetry.py.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["debug", "info", "warning", "error"]


class LogEvent(msgspec.Struct, frozen=True):
    """One row: how loud it is, what it means, and the fields it may carry."""

    level: Level
    meaning: str
    fields: tuple[str, ...] = ()


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
    "breaker.opened": LogEvent(
        "warning",
        "A model at a host takes nobody for a while: `faults` in a row, or `throttled`.",
        ("host", "model", "cause", "faults", "until"),
    ),
    "breaker.trial": LogEvent("info", "It is tried with one task at a time.", ("host", "model")),
    "breaker.closed": LogEvent("info", "It takes tasks as before.", ("host", "model")),
    "task.gone_over": LogEvent(
        "info",
        "A task goes to an equal host, after a verified fault of its own.",
        ("uid", "host", "model"),
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
    "charge.corrected": LogEvent(
        "info",
        "An unknown charge was learnt later, or is given up: then it stays `unknown`.",
        ("uid", "attempt", "verdict", "amount_micros"),
    ),
    "reckoning.trouble": LogEvent(
        "warning", "Unknown charges could not be looked at; it is tried again.", ("error",)
    ),
    "reckoning.defect": LogEvent("error", "Asking about unknown charges met a bug.", ("exc",)),
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
    "webhook.sent": LogEvent("debug", "A receiver has a notice.", ("id", "owner", "tries")),
    "webhook.failed": LogEvent(
        "info", "A notice was not taken; it is tried again.", ("id", "owner", "tries", "error")
    ),
    "webhook.dead": LogEvent(
        "warning",
        "A notice is given up; its owner may revive it.",
        ("id", "owner", "tries", "error"),
    ),
    "webhook.defect": LogEvent(
        "error", "A notice met a bug; it is tried again.", ("id", "owner", "exc")
    ),
    "webhook.refused": LogEvent(
        "warning", "A call of a provider's was not signed as it should be.", ("provider", "error")
    ),
    "provider.status": LogEvent(
        "warning",
        "A provider tells a status that we do not know; it is waited out.",
        ("uid", "attempt", "provider", "status"),
    ),
    "provider.up": LogEvent("info", "A provider answers, and takes our key.", ("provider", "url")),
    "provider.refused": LogEvent(
        "error",
        "A provider does not take our requests: look at its key (401, 403) or its credit (402).",
        ("provider", "url", "error"),
    ),
    "provider.unreachable": LogEvent(
        "warning",
        "A provider cannot be asked, or what answers there is none; it is asked again.",
        ("provider", "url", "error"),
    ),
    "provider.defect": LogEvent("error", "A bug beside predictions.", ("provider", "exc")),
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
        ("events", "logs", "tasks", "files", "expired", "deliveries"),
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
    "held_micros": "What is held for them, in millionths of a US dollar.",
    "late": "Reports that came when they could change nothing any more.",
    "waiting": "Tasks that wait for a place, or for their next attempt.",
    "running": "Places at providers that are taken.",
    "breakers_open": "Models at hosts that take nobody for a while.",
    "breakers_opened": "How often that has begun since the start.",
    "failovers": "Tasks that went over to an equal host.",
    "models_learnt": "Models at hosts whose attempts have a limit that was learnt.",
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
    "providers_up": "Providers that answered, and took our key, when they were last heard of.",
    "providers_refused": "Providers that did not take our requests.",
    "providers_unreachable": "Providers that could not be asked.",
    "provider_flips": "How often one of these states began since the start.",
    "fetches": "Files of providers that are being fetched.",
    "fetched": "Files that were fetched since the start.",
    "fetch_faults": "Tries at it that failed.",
    "fetches_refused": "Files that were given up.",
    "fetch_requests": "Requests that were made for them, redirects included.",
    "swept_events": "Events that retention removed since the start.",
    "swept_logs": "Logs that it shortened to their last event.",
    "webhooks_sent": "Webhooks that their receivers have.",
    "webhooks_failed": "Tries at webhooks that failed.",
    "webhooks_dead": "Webhooks that were given up.",
    "swept_tasks": "Tasks that expired.",
    "swept_expired": "Files that expired, artifacts and uploads.",
    "swept_files": "Files that no task named.",
    "swept_deliveries": "Webhooks that had been given up long ago.",
    "sweep_step_ms_max": "The longest step of a sweep.",
}
