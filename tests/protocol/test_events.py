"""The events as bytes: every type, there and back, and in the words of the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight_protocol.events import (
    SAFE_INTEGER,
    TERMINAL,
    Canceled,
    Charge,
    ErrorData,
    TaskEvent,
    Text,
    decode_event,
    encode_event,
    error_data,
    timestamp,
    wire_seed,
)
from safelight_protocol.inputs import Happening
from safelight_protocol.lifecycle import Row, step, verdict
from safelight_protocol.task import STATUS, State
from tests.doubles.lives import EXAMPLES, NOW, brought_to, events, fresh, lived

YEAR_2200 = 7_258_118_400_000
ENVELOPE = {"task_id", "seq", "status", "progress", "timestamp", "attempt", "type"}


def one_of_each() -> dict[str, TaskEvent]:
    """An event of every type, by its type."""
    told = events(lived(fresh(), []))
    for state in (State.QUEUED, State.STARTING, State.CANCELING):
        told += [event for happening in EXAMPLES if (event := event_of(state, happening))]
    return {tag(type(event)): event for event in told}


def event_of(state: State, happening: Happening) -> TaskEvent | None:
    """The event of an input in that state, None where the table has no row."""
    if not isinstance(verdict(state, type(happening)), Row):
        return None
    return step(brought_to(state), happening, NOW).event


def tag(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


def text(**fields: Any) -> Text:
    """A text event."""
    plain: dict[str, Any] = {"task_id": "t", "seq": 4, "status": "processing", "progress": 0.5}
    plain |= {"timestamp": timestamp(NOW), "attempt": 2, "delta": "a\u0000\n𝄞"}
    return Text(**plain | fields)


def test_there_is_an_event_of_each_type() -> None:
    """The lifecycle can write all ten types, and those that end are three."""
    assert one_of_each().keys() == {tag(kind) for kind in get_args(TaskEvent)}
    assert len(one_of_each()) == 10
    assert TERMINAL == {"completed", "failed", "canceled"} <= set(STATUS.values())


@pytest.mark.parametrize("event", one_of_each().values(), ids=list(one_of_each()))
def test_an_event_survives_its_bytes(event: TaskEvent) -> None:
    """What is decoded is what was encoded, in compact JSON on one line."""
    data = encode_event(event)
    assert decode_event(data) == event
    assert b"\n" not in data
    assert msgspec.json.decode(data).keys() >= ENVELOPE


@pytest.mark.parametrize("event", one_of_each().values(), ids=list(one_of_each()))
def test_an_event_says_its_type_first(event: TaskEvent) -> None:
    """The tag stands in front, so that a reader knows the type before the body."""
    assert encode_event(event).startswith(b'{"type":"' + tag(type(event)).encode() + b'"')


def test_text_of_any_kind_travels() -> None:
    """Line breaks, NUL and characters beyond the basic plane come back as they were."""
    assert decode_event(encode_event(text())) == text()


def test_what_is_not_so_is_not_said() -> None:
    """Neither a cancel nor a handle nor a stand-in is told of where there is none."""
    assert msgspec.json.decode(encode_event(text())).keys() == ENVELOPE | {"delta"}
    loud = text(canceling=True, prediction_id="p", substituted_for="m")
    told = msgspec.json.decode(encode_event(loud))
    assert (told["canceling"], told["prediction_id"], told["substituted_for"]) == (True, "p", "m")


def test_an_unknown_type_is_an_error_here() -> None:
    """The server reads only what it could have written."""
    with pytest.raises(msgspec.ValidationError, match="type"):
        decode_event(encode_event(text()).replace(b'"text"', b'"tuned"'))


def test_a_field_of_the_wrong_type_is_an_error() -> None:
    """An event that was damaged on disk does not pass for one."""
    with pytest.raises(msgspec.ValidationError, match="seq"):
        decode_event(encode_event(text()).replace(b'"seq":4', b'"seq":"4"'))


@given(st.integers(min_value=0, max_value=YEAR_2200))
def test_times_are_exact_to_the_millisecond(now: int) -> None:
    """A timestamp is ISO 8601 with Z, and reading it back gives the same millisecond."""
    text = timestamp(now)
    assert len(text) == len("2023-11-14T22:13:20.000Z") and text.endswith("Z")
    read = datetime.fromisoformat(text)
    assert read.tzinfo == UTC
    assert round(read.timestamp() * 1000) == now


@pytest.mark.parametrize(
    ("seed", "told"),
    [
        (0, 0),
        (SAFE_INTEGER, 9007199254740991),
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740993"),
        (2**63, "9223372036854775808"),
        (2**64 - 1, "18446744073709551615"),
    ],
)
def test_large_seeds_are_told_as_text(seed: int, told: int | str) -> None:
    """Above 2**53-1 a JSON number would be rounded by browsers, so it is a string."""
    assert wire_seed(seed) == told
    assert int(wire_seed(seed)) == seed


def test_errors_repeat_their_message() -> None:
    """The deployed app reads `error`, everybody else `message`: both say the same."""
    made = error_data("timeout", "too late", retryable=True)
    assert made == ErrorData(error="too late", code="timeout", message="too late", retryable=True)


def test_money_is_whole() -> None:
    """Amounts are integers: a float in the log is refused."""
    event = Canceled(
        **_envelope(), confirmed=True, charge=Charge(verdict="charged", amount_micros=7)
    )
    with pytest.raises(msgspec.ValidationError, match="amount_micros"):
        decode_event(encode_event(event).replace(b'"amount_micros":7', b'"amount_micros":7.5'))


def _envelope() -> dict[str, Any]:
    plain = msgspec.structs.asdict(text())
    return {name: plain[name] for name in ENVELOPE - {"type"}}
