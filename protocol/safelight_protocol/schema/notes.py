"""What a field of a certain name is, wherever it stands on the wire.

Owns descriptions and limits that the types cannot say. A name with two meanings
(`id`, `kind`, `type`) has no row. Used for every struct by `components.py`.
"""

from __future__ import annotations

from typing import Any

_TIME = {"format": "date-time"}
_REFERENCE = {"format": "uri-reference"}
_COUNT = {"minimum": 1}

NOTES: dict[str, dict[str, Any]] = {
    "task_id": {"description": "The id of the task, as its channel and its address spell it."},
    "seq": {
        "minimum": 0,
        "description": "Number of an event in its task's log: 1, 2, 3 … without a hole.",
    },
    "progress": {
        "minimum": 0,
        "maximum": 1,
        "description": "0 to 1; never falls within an attempt, and is 0 while unknown.",
    },
    "timestamp": {**_TIME, "description": "When it was written; UTC, with Z."},
    "attempt": {**_COUNT, "description": "Which prediction of the task this is about."},
    "canceling": {"description": "True once a cancel was asked."},
    "canceled_by": {"description": "Who asked for the end; null if nobody did."},
    "confirmed": {
        "description": "Whether it stopped for certain at the provider; null until that is settled."
    },
    "by": {"description": "Who asked for the end."},
    "prediction_id": {"description": "The provider's own id of the prediction."},
    "substituted_for": {"description": "The model that was asked for when another stands in."},
    "model": {"description": "The model that runs."},
    "backend": {"description": "Where the provider runs it; null where it has no backends."},
    "backend_url": {
        "description": "The address of that backend when the attempt was claimed; it runs"
        " there or nowhere. Null, or not there, without a backend."
    },
    "eta": {"description": "Seconds until the end, as a range; null if not known."},
    "step": {"description": "The step that was reached; null where none are counted."},
    "steps": {"description": "How many steps there are; null where none are counted."},
    "delta": {"description": "Text to append to that of the same attempt."},
    "url": {**_REFERENCE, "description": "Where to get it; relative to this server or absolute."},
    "image_url": {**_REFERENCE, "description": "The first picture."},
    "video_url": {**_REFERENCE, "description": "The first clip."},
    "content": {"description": "The whole text."},
    "media_type": {"description": "Media type, image/png say."},
    "width": {**_COUNT, "description": "Pixels; null where it is not known."},
    "height": {**_COUNT, "description": "Pixels; null where it is not known."},
    "bytes": {"minimum": 0, "description": "Size in bytes."},
    "sha256": {"pattern": "^[0-9a-f]{64}$", "description": "SHA-256 of the bytes, in hex."},
    "retry_at": {**_TIME, "description": "When the next attempt begins; UTC."},
    "next_attempt": {**_COUNT, "description": "The number of the attempt that follows."},
    "seed": {
        "description": "What the prediction starts from: a number up to 2^53-1, above that"
        " a decimal string. 0 where a whole graph was sent, which has its own."
    },
    "amount_micros": {"minimum": 0, "description": "Millionths of `currency`."},
    "low": {"minimum": 0, "description": "Seconds, at least."},
    "high": {"minimum": 0, "description": "Seconds, at most."},
    "queued_ms": {"description": "Milliseconds from creation to the last claim."},
    "running_ms": {"description": "Milliseconds from the last claim to the end."},
    "retryable": {"description": "Whether the same request may succeed later."},
    "created_at": {**_TIME, "description": "When the task was accepted; UTC."},
    "updated_at": {**_TIME, "description": "When its last event was written; UTC."},
    "completed_at": {**_TIME, "description": "When it ended; UTC."},
    "cursor": {
        "pattern": "^[0-9a-f]+-[0-9]+$",
        "description": "`<log>-<seq>`; give it back as `after` or Last-Event-ID, at any door.",
    },
    "ahead": {
        "minimum": 0,
        "description": "Of a task that waits: how many have their turn before it, as of now.",
    },
    "log": {"description": "The id of the history that seqs and positions belong to."},
    "gap": {"description": "True when events were missed; then the snapshot is the new start."},
    "position": {
        "minimum": 0,
        "description": "Number of a change among all tasks; give it back as `after`.",
    },
    "created": {"description": "Whether this very request made the task."},
    "attached": {"description": "Whether the request was a task that existed."},
    "request_id": {"description": "The request_id of the push that is answered."},
}
