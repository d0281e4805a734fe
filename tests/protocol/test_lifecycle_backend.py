"""Story: a task was stored with one backend and ran on another, and no event said so.

The resolved task names the backend, the claim says at which address it is, and the first
word of each attempt repeats both; snapshot and result agree.
"""

from __future__ import annotations

import pytest
from msgspec import UNSET

from safelight_protocol import events as wire
from safelight_protocol import inputs as happened
from safelight_protocol.events import error_data
from safelight_protocol.lifecycle import step
from safelight_protocol.snapshot import fold, opening, result_of
from safelight_protocol.task import Task
from tests.doubles.lives import NOW, fresh, resolved

WHERE = {"model": "flux", "provider": "comfyui", "backend": "kerniegen"}
HERE, THERE = "http://127.0.0.1:8188", "http://127.0.0.1:8189"
PASSING = error_data("provider_failed", "a bad day", retryable=True)


def claimed(task: Task, place: str | None) -> tuple[Task, wire.Started]:
    """The task after a claim for this address, and its event."""
    done = step(task, happened.Claimed(NOW + 60_000, place), NOW)
    assert isinstance(done.event, wire.Started)
    return done.task, done.event


def test_started_says_where_it_runs() -> None:
    """`started` carries model, provider, backend, and the address of the claim."""
    task, told = claimed(fresh(resolved=resolved(**WHERE)), HERE)
    assert {"model": told.model, "provider": told.provider, "backend": told.backend} == WHERE
    assert (task.place, told.backend_url) == (HERE, HERE)


def test_each_attempt_has_a_place_of_its_own() -> None:
    """Between two attempts there is none, and the next claim may be for another address."""
    task, _ = claimed(fresh(resolved=resolved(**WHERE)), HERE)
    waiting = step(task, happened.Faulted(PASSING, NOW + 10), NOW).task
    assert waiting.place is None
    task, told = claimed(waiting, THERE)
    assert (task.place, told.backend_url) == (THERE, THERE)


def test_an_end_keeps_the_place() -> None:
    """Where it ran can be seen of a task that has ended."""
    task, _ = claimed(fresh(resolved=resolved(**WHERE)), HERE)
    assert step(task, happened.GaveUp(PASSING), NOW).task.place == HERE


def test_snapshot_and_result_say_the_same_place() -> None:
    """And from `retrying` on there is none until the next start."""
    task = fresh(resolved=resolved(**WHERE))
    snapshot = opening(task)
    assert snapshot.backend_url is None
    task, told = claimed(task, HERE)
    snapshot = fold(snapshot, told)
    assert (snapshot.backend, snapshot.backend_url) == ("kerniegen", HERE)
    assert result_of(snapshot, task, NOW).backend_url == HERE
    again = step(task, happened.Faulted(PASSING, NOW + 10), NOW).event
    assert again is not None and fold(snapshot, again).backend_url is None


@pytest.mark.parametrize("word", [b"backend_url"])
def test_without_a_backend_nothing_is_said(word: bytes) -> None:
    """A task that has none has events and a result as before."""
    task, told = claimed(fresh(), None)
    assert (task.place, told.backend_url) == (None, UNSET)
    assert word not in wire.encode_event(told)
    assert result_of(fold(opening(task), told), task, NOW).backend_url is UNSET


def test_a_cancel_that_meets_a_missing_backend_is_unconfirmed() -> None:
    """Something may still run at a backend that the settings no longer have."""
    task, _ = claimed(fresh(resolved=resolved(**WHERE)), HERE)
    task = step(task, happened.CancelAsked(), NOW).task
    gone = error_data("backend_not_configured", "gone", retryable=False)
    end = step(task, happened.GaveUp(gone), NOW).event
    assert isinstance(end, wire.Canceled) and end.confirmed is False
