"""Events as a client reads them: those of this version, and those that came later.

Owns what becomes of an event whose type, or whose body, this version does not know:
it is kept whole, and what every event carries is folded all the same. Known ones are
folded by the protocol, as on the server. The rule stands in docs/wire.md.
"""

from __future__ import annotations

import msgspec

from safelight_protocol.events import TaskEvent, decode_event
from safelight_protocol.snapshot import Snapshot, fold


class UnknownEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a type, or in a form, that was added later. `raw` is all of it."""

    type: str
    task_id: str
    seq: int
    status: str
    progress: float
    timestamp: str
    attempt: int
    canceling: bool = False
    prediction_id: str | None = None
    raw: msgspec.Raw = msgspec.Raw(b"{}")


Event = TaskEvent | UnknownEvent

_envelope = msgspec.json.Decoder(UnknownEvent)


def read_event(payload: msgspec.Raw | bytes) -> Event:
    """One task event. Raises msgspec.DecodeError for what is none, of any version."""
    try:
        return decode_event(payload)
    except msgspec.ValidationError:
        return msgspec.structs.replace(_envelope.decode(payload), raw=msgspec.Raw(payload))


def fold_event(snapshot: Snapshot, event: Event) -> Snapshot:
    """The snapshot after one more event; the same object if it is at or below its seq."""
    if not isinstance(event, UnknownEvent):
        return fold(snapshot, event)
    if event.seq <= snapshot.seq:
        return snapshot
    kept = snapshot.prediction_id if event.prediction_id is None else event.prediction_id
    return msgspec.structs.replace(
        snapshot,
        seq=event.seq,
        status=event.status,
        progress=event.progress,
        attempt=event.attempt,
        canceling=event.canceling,
        prediction_id=kept,
        updated_at=event.timestamp,
    )
