"""The one table of codes: what can go wrong, and what a client may do about it.

Owns the names, their HTTP status, WebSocket close code, the deployed app's own
spelling and whether trying again can help. Every door answers from this table;
`docs/wire.md` is checked against it. Knows nothing of requests or tasks.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Retry = Literal["no", "changed", "later"]
"""`no`: the same request will fail again. `changed`: after the request is mended.
`later`: the same request may succeed after a pause."""


class Code(msgspec.Struct, frozen=True):
    """One row. `http` and `close` are None where a door never shows the code."""

    name: str
    meaning: str
    retry: Retry
    http: int | None = None
    close: int | None = None
    app: str | None = None


_ROWS = (
    Code(
        "invalid",
        "A field is missing, unknown or out of range.",
        "changed",
        400,
        None,
        "VALIDATION_ERROR",
    ),
    Code("unknown_model", "No model of that name.", "changed", 400, None, "VALIDATION_ERROR"),
    Code("unknown_backend", "No backend of that name.", "changed", 400, None, "VALIDATION_ERROR"),
    Code(
        "provider_not_configured",
        "The model's provider has no credentials here.",
        "changed",
        400,
        None,
        "VALIDATION_ERROR",
    ),
    Code(
        "backend_not_configured",
        "The task's backend is no longer in the settings.",
        "changed",
        400,
        None,
        "VALIDATION_ERROR",
    ),
    Code(
        "unauthorized", "No token, or one that is not known.", "changed", 401, None, "UNAUTHORIZED"
    ),
    Code(
        "payment_required",
        "The model costs money: say max_cost, or have a budget that covers it.",
        "changed",
        402,
        None,
        "PAYMENT_REQUIRED",
    ),
    Code("forbidden", "The token or the origin does not allow this.", "no", 403, None, "FORBIDDEN"),
    Code(
        "vip_required",
        "The model is for owners who agree to its price: say max_cost, or have a budget.",
        "changed",
        403,
        None,
        "VIP_REQUIRED",
    ),
    Code(
        "not_found", "No such task, artifact or path for this owner.", "no", 404, None, "NOT_FOUND"
    ),
    Code(
        "method_not_allowed",
        "The path exists, the method does not.",
        "no",
        405,
        None,
        "METHOD_NOT_ALLOWED",
    ),
    Code(
        "id_conflict",
        "The id belongs to a task made by another request.",
        "changed",
        409,
        None,
        "CONFLICT",
    ),
    Code(
        "still_running", "The task has not ended; cancel it first.", "later", 409, None, "CONFLICT"
    ),
    Code(
        "gone",
        "The task was deleted or has expired; its id and keys stay taken.",
        "no",
        410,
        None,
        "GONE",
    ),
    Code(
        "too_large",
        "The body or frame is larger than allowed.",
        "changed",
        413,
        1009,
        "VALIDATION_ERROR",
    ),
    Code(
        "range_not_satisfiable",
        "The byte range lies outside the artifact.",
        "changed",
        416,
        None,
        None,
    ),
    Code(
        "key_reused",
        "The key belongs to another request or task.",
        "changed",
        422,
        None,
        "VALIDATION_ERROR",
    ),
    Code("too_many", "A limit of this owner is reached.", "later", 429, None, "RATE_LIMITED"),
    Code(
        "internal", "A defect of the server; it was logged.", "later", 500, 1011, "INTERNAL_ERROR"
    ),
    Code(
        "unavailable",
        "The store cannot write now; nothing was accepted.",
        "later",
        503,
        None,
        "UNAVAILABLE",
    ),
    Code(
        "shutting_down",
        "The server is going down; come back in a moment.",
        "later",
        503,
        1012,
        "UNAVAILABLE",
    ),
    Code(
        "backend_unreachable",
        "The backend does not answer now; nothing was accepted.",
        "later",
        503,
        None,
        "UNAVAILABLE",
    ),
    Code(
        "provider_unreachable",
        "The provider does not answer now; nothing was accepted.",
        "later",
        503,
        None,
        "UNAVAILABLE",
    ),
    Code(
        "storage_full", "The disk is full; nothing was accepted.", "later", 507, None, "UNAVAILABLE"
    ),
    Code(
        "bad_frame",
        "The frame is no Phoenix frame, so it has no ref to answer.",
        "changed",
        None,
        1011,
    ),
    Code(
        "slow_reader",
        "The reader fell too far behind; it comes back with its cursor.",
        "later",
        None,
        1013,
    ),
    Code("idle", "Nothing was heard for too long, not even a heartbeat.", "later", None, 1001),
    Code("unmatched_topic", "The topic is not joined, or no topic has that form.", "changed"),
    Code("unknown_event", "The channel knows no event of that name.", "changed"),
    Code("too_many_channels", "The socket has joined as many topics as it may.", "later"),
    Code(
        "missing_prompt", "The prompt is missing or empty.", "changed", 400, None, "missing_prompt"
    ),
    Code(
        "enqueue_failed", "The task could not be accepted.", "later", None, None, "enqueue_failed"
    ),
    Code(
        "task_creation_failed",
        "The request was refused.",
        "changed",
        None,
        None,
        "task_creation_failed",
    ),
    Code(
        "generation_failed",
        "The text could not be generated.",
        "changed",
        422,
        None,
        "generation_failed",
    ),
    Code("provider_failed", "The provider ended the prediction with an error.", "later"),
    Code(
        "provider_refused",
        "The provider does not take requests of this server: its key or its credit.",
        "no",
        424,
        None,
        "UNAVAILABLE",
    ),
    Code("content_refused", "The provider refuses to make this; change the prompt.", "changed"),
    Code("throttled", "The provider takes no more requests for now.", "later"),
    Code("artifact_unavailable", "A file that the provider made could not be fetched.", "later"),
    Code("invalid_input", "The provider refused an input.", "changed"),
    Code(
        "seed_conflict",
        "The provider refuses this seed; choose another one or leave it open.",
        "changed",
    ),
    Code("model_not_found", "The provider has no such model, or none for our key.", "changed"),
    Code("missing_node", "The graph has a node that the backend has not installed.", "changed"),
    Code("node_failed", "A node of the graph failed.", "changed"),
    Code("out_of_memory", "The backend ran out of memory; ask for a smaller size.", "changed"),
    Code("timeout", "The prediction, or the task as a whole, passed its deadline.", "later"),
    Code(
        "cost_limit",
        "Another attempt could cost more than was agreed to, or than the budget has left.",
        "changed",
    ),
    Code("lost", "The prediction was lost with its process, more often than is allowed.", "later"),
    Code(
        "outcome_unknown",
        "It cannot be learnt whether the provider ran it; it may have been billed.",
        "no",
    ),
)

CODES: dict[str, Code] = {row.name: row for row in _ROWS}
"""Every code by name."""


def code(name: str) -> Code:
    """The row of a code. Raises KeyError for a name that is not in the table."""
    return CODES[name]


class Refused(Exception):
    """A request that is refused with a typed reason, the same at every door.

    `details` lists `{field, found, expected}` (found cut to 80 characters) or
    what the code needs; `extra` goes into the answer as it is (`task_id` of the
    task that a key belongs to, say).
    """

    def __init__(
        self,
        name: str,
        message: str,
        details: list[dict[str, object]] | None = None,
        **extra: object,
    ) -> None:
        super().__init__(message)
        self.code = CODES[name]
        self.message = message
        self.details = details or []
        self.extra = extra
