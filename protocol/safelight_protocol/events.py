"""The events of a task: one typed schema for every door.

An event is a numbered, durable fact; `seq` runs 1, 2, 3 … per task without a
hole. The union is closed for the server that writes it. A client meets types
that were added later and keeps them (see `client.py`). The rules of each type
stand in the table of docs/wire.md; the moves that write them in `lifecycle.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

Kind = Literal["image", "video", "text"]
Status = Literal["queued", "processing", "completed", "failed", "canceled"]

SAFE_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exact (RFC 8259, section 6)."""


@lru_cache(maxsize=8)
def timestamp(now: int) -> str:
    """`now` in milliseconds since 1970 as ISO 8601, UTC, with Z. Events of one millisecond
    share it."""
    seconds, milliseconds = divmod(now, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    """A second's share of a timestamp: what happens in one second has it in common."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


def wire_seed(seed: int) -> int | str:
    """A seed as JSON carries it: a number up to 2**53-1, a decimal string above."""
    return seed if seed <= SAFE_INTEGER else str(seed)


class Eta(msgspec.Struct, frozen=True):
    """Seconds until the end, as a range. They count from `at`, ISO 8601, if that is there:
    the moment at which they were reckoned."""

    low: float
    high: float
    at: str | UnsetType = UNSET


class ErrorData(msgspec.Struct, frozen=True):
    """Why an attempt or a task failed. `error` repeats `message` for the deployed app."""

    error: str
    code: str
    message: str
    retryable: bool


def error_data(code: str, message: str, *, retryable: bool) -> ErrorData:
    """An ErrorData with `error` filled in."""
    return ErrorData(error=message, code=code, message=message, retryable=retryable)


class Charge(msgspec.Struct, frozen=True):
    """What a task cost, all its attempts together. `amount_micros` is in millionths of
    `currency`, never a float; with `unknown` it is what is known of it, and it comes to
    `at_most_micros` where even that can be said. `reason` says why; `usage` is what was used
    by unit, in decimal, where the provider told it."""

    verdict: Literal["free", "charged", "estimated", "unknown"]
    amount_micros: int = 0
    currency: str = "USD"
    reason: str = ""
    usage: dict[str, str] | UnsetType = UNSET
    at_most_micros: int | UnsetType = UNSET

    @property
    def ceiling(self) -> int:
        """What it comes to at the most, as far as that is known."""
        return self.amount_micros if self.at_most_micros is UNSET else self.at_most_micros


class Artifact(msgspec.Struct, frozen=True):
    """A result file that we hold. `id` is a random capability; `bytes` is the size.
    `thumbnail_url` leads to a small picture of it, mostly 512 pixels at the longer side, or to
    the picture itself where none can be made; null where there is none."""

    id: str
    url: str
    kind: Kind
    media_type: str
    width: int | None
    height: int | None
    bytes: int
    sha256: str
    attempt: int
    thumbnail_url: str | None = None


class Timings(msgspec.Struct, frozen=True):
    """Milliseconds from creation to the last claim, and from there to the end."""

    queued_ms: int
    running_ms: int


class ResultData(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a completed task, in the words that the deployed app reads."""

    image_url: str | UnsetType = UNSET
    video_url: str | UnsetType = UNSET
    content: str | UnsetType = UNSET
    model: str
    provider: str
    backend: str | None
    backend_url: str | UnsetType = UNSET
    prediction_id: str | None
    generation_id: str | UnsetType = UNSET
    seed: int | str
    artifacts: tuple[Artifact, ...]
    created_at: str
    completed_at: str
    timings: Timings


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="type"):
    """What every event carries.

    `progress` is 0 to 1 and never falls within an attempt. `canceling` is there
    (and true) once a cancel was asked. `prediction_id` comes with the first event
    after the provider's handle was saved. `substituted_for` names the model that
    was asked for when another one stands in.
    """

    task_id: str
    seq: int
    status: Status
    progress: float
    timestamp: str
    attempt: int
    canceling: bool | UnsetType = UNSET
    prediction_id: str | UnsetType = UNSET
    substituted_for: str | UnsetType = UNSET


class Queued(Event, frozen=True, kw_only=True, tag="queued"):
    """The task waits. `reason` is a plain sentence."""

    reason: str
    eta: Eta | None


class Started(Event, frozen=True, kw_only=True, tag="started"):
    """An attempt was claimed: where it runs, a backend by name and address. `seed` is there
    if it is not the first one: another was drawn, since the provider refused that and the
    caller had left it open."""

    model: str
    provider: str
    backend: str | None
    backend_url: str | UnsetType = UNSET
    seed: int | str | UnsetType = UNSET


class Progress(Event, frozen=True, kw_only=True, tag="progress"):
    """The attempt moved on. `step` of `steps` where the provider counts them."""

    step: int | None
    steps: int | None
    message: str | None
    eta: Eta | None


class Text(Event, frozen=True, kw_only=True, tag="text"):
    """More text of this attempt."""

    delta: str


class ArtifactMade(Event, frozen=True, kw_only=True, tag="artifact"):
    """A file is on our disk. The fields are those of `Artifact`."""

    id: str
    url: str
    kind: Kind
    media_type: str
    width: int | None
    height: int | None
    bytes: int
    sha256: str
    thumbnail_url: str | None = None


class Retrying(Event, frozen=True, kw_only=True, tag="retrying"):
    """The attempt `attempt` failed; `next_attempt` begins at `retry_at`."""

    error: ErrorData
    retry_at: str
    next_attempt: int


class Canceling(Event, frozen=True, kw_only=True, tag="canceling"):
    """A cancel was asked while the attempt ran; the provider was told."""

    by: str


class Completed(Event, frozen=True, kw_only=True, tag="completed"):
    """The end, with the result."""

    result_data: ResultData
    charge: Charge


class Failed(Event, frozen=True, kw_only=True, tag="failed"):
    """The end, without a result."""

    error_data: ErrorData
    charge: Charge


class Canceled(Event, frozen=True, kw_only=True, tag="canceled"):
    """The end, by cancel. `confirmed` says whether the provider stopped for certain. `by`
    says who asked where no `canceling` did, since nothing had to be stopped. `saved_micros`
    is what was not spent of what the attempt could have cost, where it is priced and both are
    known."""

    confirmed: bool
    charge: Charge
    by: str | UnsetType = UNSET
    saved_micros: int | UnsetType = UNSET


TaskEvent = (
    Queued
    | Started
    | Progress
    | Text
    | ArtifactMade
    | Retrying
    | Canceling
    | Completed
    | Failed
    | Canceled
)

TERMINAL: frozenset[str] = frozenset({"completed", "failed", "canceled"})
"""The types (and statuses) that end a task."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[TaskEvent] = msgspec.json.Decoder(TaskEvent)


def encode_event(event: TaskEvent) -> bytes:
    """The event as compact UTF-8 JSON: the bytes that are stored, told and replayed."""
    return _encoder.encode(event)


def decode_event(data: bytes | msgspec.Raw) -> TaskEvent:
    """An event of this version. Raises msgspec.ValidationError for an unknown type."""
    return _decoder.decode(data)
