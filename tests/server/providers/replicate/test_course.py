"""A prediction put together of what comes, whatever the order in which it comes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from safelight.providers.replicate.course import Course, text_of
from safelight.providers.replicate.wire import Snapshot, read_page, read_snapshot, snapshot_in


def told(status: str, **more: Any) -> Snapshot:
    """A snapshot of a prediction `p`."""
    found = snapshot_in({"id": "p", "status": status, **more})
    assert found is not None
    return found


def test_every_order_comes_to_the_same() -> None:
    """Whatever the order, and told twice: it has ended, with all of its logs."""
    calls = [
        told("starting"),
        told("processing", logs="a", started_at="t"),
        told("processing", logs="ab", output=["x"], started_at="t"),
        told("succeeded", logs="abc", output=["x", "y"], started_at="t"),
    ]
    for order in itertools.permutations(calls):
        course = Course("p")
        for one in [*order, *order]:
            course.learn(one)
        assert course.ended and course.latest is calls[3]
        assert course.text == "xy"


def test_the_first_end_stays() -> None:
    """What has ended stays as it ended, whatever comes after it."""
    course = Course("p")
    course.learn(told("canceled", logs="a"))
    assert not course.learn(told("succeeded", logs="abc", output="x"))
    assert course.latest is not None and course.latest.status == "canceled"
    assert course.logs == "a"


def test_waiting_does_not_come_back() -> None:
    """A late word of waiting says nothing of what has begun."""
    course = Course("p")
    course.learn(told("processing", started_at="t"))
    assert not course.learn(told("starting"))
    assert course.begun and course.latest is not None and course.latest.status == "processing"


def test_an_unknown_status_is_data() -> None:
    """A status that nobody knows ends nothing, and what is known of it stays."""
    course = Course("p")
    course.learn(told("processing", logs="a", started_at="t"))
    course.learn(told("pondering", logs="ab"))
    assert not course.ended and course.unknown == "pondering"
    assert course.logs == "ab" and course.begun


def test_text_only_grows() -> None:
    """A text that is shorter, or another one, is an older word or a mistake."""
    course = Course("p")
    course.learn(told("processing", output=["one ", "two "]))
    course.learn(told("processing", output=["one "]))
    course.learn(told("processing", output=["another thing altogether"]))
    assert course.text == "one two "


def test_news_wake_and_repeats_do_not() -> None:
    """Whoever follows is woken by what is new, and by nothing else."""
    course = Course("p")
    assert course.learn(told("starting"))
    assert course.news.is_set()
    assert not course.learn(told("starting"))


def test_of_another_prediction() -> None:
    """What is said of another prediction is not taken in."""
    course = Course("q")
    assert not course.learn(told("succeeded"))


@pytest.mark.parametrize(
    ("logs", "progress", "steps"),
    [
        ("", None, None),
        ("Using seed: 3\n 40%|████      | 8/20 [00:01<00:02]\n", 0.4, (8, 20)),
        ("10%|█\r 20%|██        | 2/10 [x", 0.2, (2, 10)),
        ("100%|██████████| 20/20 [00:03<00:00]", 1.0, (20, 20)),
        ("999%|", 1.0, None),
        ("done in 5/3 [s", None, None),
    ],
)
def test_progress(logs: str, progress: float | None, steps: tuple[int, int] | None) -> None:
    """The last bar that was printed is the progress."""
    course = Course("p")
    course.learn(told("processing", logs=logs))
    assert (course.progress, course.steps) == (progress, steps)


def test_outputs_as_text() -> None:
    """Texts are as they are, pieces are joined, all else is told as JSON."""
    assert text_of(None) == ""
    assert text_of("a") == "a"
    assert text_of(["a", " b"]) == "a b"
    assert text_of({"a": [1, None]}) == '{"a": [1, null]}'


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": 3}', b'{"id": "p"}', b"<html>", b"\xff"])
def test_what_is_no_prediction(body: bytes) -> None:
    """What is no prediction is none, and breaks nothing."""
    assert read_snapshot(body) is None
    assert read_page(body) is None


def test_odd_fields_are_absent() -> None:
    """Fields that are not what they should be are as good as absent."""
    odd = told("failed", logs=None, metrics=[], input=None, created_at=3, webhook=None)
    assert (odd.logs, odd.metrics, odd.input, odd.created_at) == ("", {}, {}, "")
