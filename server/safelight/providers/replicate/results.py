"""What a prediction came to: its files, what it used, and the outcome that follows.

Files are told by their place in the output, which stays the same whoever asks and whenever;
one file alone and a list of one are the same. Pure: what is reported is returned.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec

from safelight_protocol.events import Charge, Kind
from safelight_protocol.prices import Usage, used

from ..base import Again, Done, Ended, Found, Made, Never, Outcome
from ..http import of_data_url, redacted
from .course import Course
from .wire import Snapshot

KINDS: tuple[Kind, ...] = get_args(Kind)

REFUSED = re.compile(
    r"nsfw|\bE005\b|flagged|sensitive|safety|moderat|content polic|prohibited", re.IGNORECASE
)
"""Words with which models refuse what they are to make."""

PASSING = re.compile(
    r"please (?:try|retry)|try again|retry your|interrupted|code: (?:PA|E1000|E9825)"
    r"|worker crashed|temporarily|overloaded|service is unavailable",
    re.IGNORECASE,
)
"""Words of failures that are no fault of the request."""

CALLED_OFF = Charge("free", reason="it was called off before it began")
NEVER_BEGAN = Charge("free", reason="Replicate gave it up before it began")
FAILED_BEFORE = Charge("free", reason="it failed before it began")

MOVING = ("image/webp", "image/gif", "image/avif")

TYPES = mimetypes.MimeTypes()
"""Made here: the first of them reads files of the system."""

COUNTED = {"image": "image", "video": "video"}

METRICS = {
    "image": ("image_count", "image_output_count"),
    "video": ("video_output_count",),
    "second": ("predict_time",),
    "input_token": ("input_token_count", "token_input_count"),
    "output_token": ("output_token_count", "token_output_count"),
    "video_second": ("video_output_duration_seconds",),
}
"""Where Replicate says how much of a unit was used."""

Credentials = Callable[[str], dict[str, str]]


def files_of(snapshot: Snapshot, kind: Kind, credentials: Credentials) -> list[Found | Made]:
    """The files of an output, in order."""
    return [_file(key, url, kind, credentials) for key, url in _addresses(snapshot.output)]


def usage_of(snapshot: Snapshot, files: int, kind: Kind) -> Usage:
    """How much was used, as far as it is told: results are counted, what ended without any made
    none, and what never began took no time."""
    counts: dict[str, Any] = {"run": int(snapshot.status == "succeeded")}
    if kind in COUNTED:
        counts[COUNTED[kind]] = files
    fruitless = snapshot.status != "succeeded" and not snapshot.output
    for unit, names in METRICS.items():
        said = next((snapshot.metrics[name] for name in names if name in snapshot.metrics), None)
        if said is not None:
            counts[unit] = said
        elif fruitless and (unit != "second" or not snapshot.started):
            counts.setdefault(unit, 0)
    return used(counts)


def outcome_of(course: Course, snapshot: Snapshot, files: int, kind: Kind) -> Outcome:
    """The outcome of a prediction that has ended, its files reported."""
    usage = usage_of(snapshot, files, kind)
    match snapshot.status:
        case "succeeded" if snapshot.removed and not files and snapshot.output is None:
            message = "Replicate has removed its results before they could be copied"
            return Never("artifact_unavailable", message, usage=usage)
        case "succeeded" if kind != "text" and not files:
            return Never("provider_failed", "the model ended well and made nothing", usage=usage)
        case "succeeded":
            return Done(usage=usage)
        case "canceled" if not snapshot.started:
            return Ended(CALLED_OFF)
        case "canceled":
            return Ended(usage=usage)
        case "aborted" if course.canceled:
            return Ended(NEVER_BEGAN)
        case "aborted":
            return Again("provider_failed", NEVER_BEGAN.reason, charge=NEVER_BEGAN)
    outcome = _failed(snapshot, usage)
    if course.begun or snapshot.started or snapshot.metrics or snapshot.output:
        return outcome
    return msgspec.structs.replace(outcome, charge=FAILED_BEFORE, usage=None)


def _failed(snapshot: Snapshot, usage: Usage) -> Again | Never:
    """A failure that the model itself tells is told on; what may pass is tried again."""
    said = redacted(snapshot.error or "") or "it gave no reason"
    if REFUSED.search(said):
        return Never("content_refused", f"the model refused it: {said}", usage=usage)
    message = f"the model failed: {said}"
    if PASSING.search(said):
        return Again("provider_failed", message, usage=usage, elsewhere=True)
    return Never("provider_failed", message, usage=usage)


def _file(key: str, url: str, kind: Kind, credentials: Credentials) -> Found | Made:
    data = of_data_url(url) if url.startswith("data:") else None
    if data is not None:
        return Made(_kind(data[0], kind), data[0], data[1])
    media_type = TYPES.guess_type(urlsplit(url).path)[0]
    headers = credentials(url)
    return Found(
        kind=_kind(media_type, kind), key=key, url=url, media_type=media_type, headers=headers
    )


def _kind(media_type: str | None, kind: Kind) -> Kind:
    """What a file is, by its type; where that says nothing, what was asked for. A picture may
    move: of a video it is the video."""
    if kind == "video" and media_type in MOVING:
        return kind
    sort = (media_type or "").partition("/")[0]
    return next((one for one in KINDS if one == sort), kind)


def _addresses(output: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every address in an output and its place there: `0` is the first, or the only one."""
    if isinstance(output, str):
        if re.match(r"(https?:|data:)", output):
            yield key or "0", output
        return
    if not isinstance(output, list | dict):
        return
    within = enumerate(output) if isinstance(output, list) else output.items()
    for name, one in within:
        yield from _addresses(one, f"{key}/{name}" if key else str(name))
