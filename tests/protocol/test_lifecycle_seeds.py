"""The seed of an attempt: the request's, until a provider refuses it and another is drawn."""

from __future__ import annotations

from msgspec import UNSET

from safelight_protocol import events as wire
from safelight_protocol import inputs as happened
from safelight_protocol.inputs import Happening
from tests.doubles.lives import ERROR, NOW, events, fresh, lived

CLAIMED = happened.Claimed(NOW + 60_000)
FAULTED = happened.Faulted(ERROR, retry_at=NOW + 2_000)


def refused(seed: int) -> Happening:
    """A fault after which the task goes on with another seed."""
    return happened.Faulted(ERROR, retry_at=NOW + 2_000, seed=seed)


REFUSED = refused(2**53)


def seeds_told(*happenings: Happening) -> list[object]:
    """The seeds that the `started` events carry."""
    told = events(lived(fresh(), happenings))
    return [event.seed for event in told if isinstance(event, wire.Started)]


def test_a_seed_drawn_anew_is_kept_and_told() -> None:
    """From that attempt on it is the task's, also after another fault; before it the first
    one is not repeated. What was resolved stays as it was."""
    life = (CLAIMED, REFUSED, CLAIMED, FAULTED, CLAIMED)
    assert seeds_told(*life) == [UNSET, "9007199254740992", "9007199254740992"]
    task = lived(fresh(), life)[-1].task
    assert (task.seed, task.seed_used, task.resolved.seed) == (str(2**53), 2**53, 7)
    assert fresh().seed_used == 7


def test_a_seed_can_be_drawn_more_than_once() -> None:
    """The last one holds."""
    assert seeds_told(CLAIMED, REFUSED, CLAIMED, refused(8), CLAIMED)[1:] == ["9007199254740992", 8]
