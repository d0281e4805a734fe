"""What is left out when a prediction is followed again, and what never is."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.echo import Echo
from safelight_protocol import inputs as happened
from safelight_protocol.snapshot import Snapshot, fold, opening
from tests.doubles.lives import ARTIFACT, born, events, fresh, lived


def told(*happenings: Any) -> Snapshot:
    """The snapshot of a task that was claimed and then lived through these."""
    task = fresh()
    snapshot = opening(born(task))
    for event in events(lived(task, [happened.Claimed(None), *happenings])):
        snapshot = fold(snapshot, event)
    return snapshot


def heard(echo: Echo, *deltas: str) -> str:
    """What is passed on of a text that comes in these pieces."""
    return "".join(map(echo.beyond, deltas))


def test_a_first_follow_has_no_echo() -> None:
    """Nothing is behind a new attempt, so all of it is news."""
    for echo in (Echo(None, 1), Echo(told(), 1)):
        assert not echo.has_progress(0.0)
        assert heard(echo, "Once ", "Once ") == "Once Once "
        assert not echo.has_file("ab" * 32)


@pytest.mark.parametrize(
    "deltas",
    [("Once ", "upon ", "a time"), ("Once upon a time",), ("O", "nce up", "on a ti", "me")],
)
def test_text_goes_on_where_it_stopped(deltas: tuple[str, ...]) -> None:
    """However the text is cut the second time, only its continuation is passed on."""
    echo = Echo(told(happened.Wrote("Once "), happened.Wrote("upon ")), 1)
    assert heard(echo, *deltas) == "a time"


def test_other_text_is_news() -> None:
    """A provider that begins where it stopped, or says something else, is heard whole."""
    echo = Echo(told(happened.Wrote("Once ")), 1)
    assert heard(echo, "upon ", "a time, Once ") == "upon a time, Once "


def test_progress_is_silent_until_it_goes_further() -> None:
    """Up to where the task stands nothing is told; from there on everything is."""
    echo = Echo(told(happened.Progressed(0.5)), 1)
    assert [echo.has_progress(p) for p in (0.25, 0.5, 0.75, 0.75)] == [True, True, False, False]
    assert not Echo(told(happened.Progressed(0.5)), 1).has_progress(None)


def test_a_file_is_named_once() -> None:
    """Each file that the attempt has is left out once; one more of the same bytes is new."""
    made = happened.Produced(ARTIFACT)
    echo = Echo(told(made, made), 1)
    assert [echo.has_file(ARTIFACT.sha256) for _ in range(3)] == [True, True, False]
    assert not echo.has_file("cd" * 32)


def test_an_earlier_attempt_is_not_this_one() -> None:
    """What another attempt made does not silence this one."""
    echo = Echo(
        told(happened.Produced(ARTIFACT), happened.Wrote("Once "), happened.Progressed(0.5)), 2
    )
    assert not echo.has_progress(0.25)
    assert heard(echo, "Once ") == "Once "
    assert not echo.has_file(ARTIFACT.sha256)
