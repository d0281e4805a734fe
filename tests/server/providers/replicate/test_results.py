"""What an ended prediction comes to: files, usage, outcome."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from safelight.providers.base import Again, Done, Ended, Found, Made, Never
from safelight.providers.replicate.course import Course
from safelight.providers.replicate.results import files_of, outcome_of, usage_of
from safelight.providers.replicate.wire import Snapshot, snapshot_in
from safelight_protocol.events import Kind

BASE = "https://files.example/"


def told(status: str, **more: Any) -> Snapshot:
    """A snapshot of a prediction that has begun."""
    found = snapshot_in({"id": "p", "status": status, "started_at": "t", **more})
    assert found is not None
    return found


def _outcome(
    snapshot: Snapshot, *, files: int = 1, kind: Kind = "image", asked: bool = False
) -> Any:
    course = Course("p")
    course.canceled = asked
    return outcome_of(course, snapshot, files, kind)


def _keys(output: Any, kind: Kind = "image") -> list[tuple[str, str]]:
    found = files_of(told("succeeded", output=output), kind, lambda url: {})
    return [(one.key, one.kind) for one in found if isinstance(one, Found)]


def test_keys_do_not_depend_on_the_shape() -> None:
    """One file and a list of one file have the same key."""
    assert _keys(BASE + "a.png") == _keys([BASE + "a.png"]) == [("0", "image")]
    assert _keys([BASE + "a.png", BASE + "b"]) == [("0", "image"), ("1", "image")]


def test_objects_are_walked() -> None:
    """Files are found inside objects, each under its own key, and what is no file is none."""
    output = {"video": BASE + "a.mp4", "still": BASE + "a.png", "seed": 3, "more": [[BASE + "x"]]}
    assert _keys(output, "video") == [("video", "video"), ("still", "image"), ("more/0/0", "video")]


def test_a_picture_that_moves_is_a_video() -> None:
    """An animated picture is the result of a task for a video."""
    assert _keys(BASE + "a.webp", "video") == [("0", "video")]


def test_data_urls_are_bytes() -> None:
    """A file that is its own address is handed over as bytes."""
    found = files_of(told("succeeded", output="data:image/png;base64,AAE="), "image", lambda u: {})
    assert found == [Made("image", "image/png", b"\x00\x01")]


def test_credentials_go_where_they_are_told() -> None:
    """What has to be sent along is decided for each address."""
    output = [BASE + "a.png", "https://other.example/b.png"]
    keyed = files_of(
        told("succeeded", output=output),
        "image",
        lambda u: {"a": "k"} if u.startswith(BASE) else {},
    )
    assert [one.headers for one in keyed if isinstance(one, Found)] == [{"a": "k"}, {}]


def test_usage_is_counted() -> None:
    """Results are counted, the rest is what the provider says."""
    metrics = {"predict_time": 1.5, "input_token_count": 8, "odd": "x"}
    found = usage_of(told("succeeded", metrics=metrics), 2, "image")
    assert found == {"run": 1, "image": 2, "second": Decimal("1.5"), "input_token": 8}


def test_what_came_to_nothing_used_nothing() -> None:
    """A prediction that failed before it made anything made none of what is paid for, though
    nobody says so; what it took of time is only known to be none if it never began."""
    found = usage_of(told("failed"), 0, "text")
    assert {unit: int(found[unit]) for unit in ("output_token", "input_token", "run")} == {
        "output_token": 0,
        "input_token": 0,
        "run": 0,
    }
    assert "second" not in found
    assert usage_of(told("failed", started_at=None), 0, "video")["second"] == 0
    assert "output_token" not in usage_of(told("canceled", output=["a"]), 0, "text")


@pytest.mark.parametrize(
    ("snapshot", "more", "type_", "code"),
    [
        (told("succeeded"), {}, Done, None),
        (told("succeeded"), {"files": 0}, Never, "provider_failed"),
        (told("succeeded", data_removed=True), {"files": 0}, Never, "artifact_unavailable"),
        (told("succeeded"), {"files": 0, "kind": "text"}, Done, None),
        (told("canceled"), {}, Ended, None),
        (told("aborted"), {}, Again, "provider_failed"),
        (told("aborted"), {"asked": True}, Ended, None),
        (told("failed", error="NSFW content detected"), {}, Never, "content_refused"),
        (told("failed", error="The input was flagged (E005)"), {}, Never, "content_refused"),
        (
            told("failed", error="interrupted; please retry (code: PA)"),
            {},
            Again,
            "provider_failed",
        ),
        (told("failed", error="ValueError: no"), {}, Never, "provider_failed"),
        (told("failed"), {}, Never, "provider_failed"),
    ],
)
def test_outcomes(snapshot: Snapshot, more: dict[str, Any], type_: type, code: str | None) -> None:
    """Each end has its outcome."""
    outcome = _outcome(snapshot, **more)
    assert type(outcome) is type_
    assert getattr(outcome, "code", None) == code
    assert outcome.usage is not None or outcome.charge is not None


def test_free_ends_say_why() -> None:
    """What never began is free, and says so."""
    for snapshot in (told("aborted"), told("canceled", started_at=None)):
        charge = _outcome(snapshot).charge
        assert charge.verdict == "free" and "before it began" in charge.reason


def test_a_cancel_of_what_ran_is_paid() -> None:
    """It tells what was used by then, and calls nothing of it free."""
    outcome = _outcome(told("canceled", metrics={"predict_time": 1.5}))
    assert outcome.charge is None and outcome.usage["second"] == 1.5


def test_a_models_words_are_cut() -> None:
    """A model's own words are told, on one line and not without end."""
    outcome = _outcome(told("failed", error="a\nb" + "x" * 9000))
    assert outcome.message.startswith("the model failed: a bx") and len(outcome.message) < 600


def test_what_failed_before_it_began_is_free() -> None:
    """It says why; one that had begun says what it used instead."""
    never = snapshot_in({"id": "p", "status": "failed", "error": "no machine"})
    assert never is not None
    outcome = _outcome(never, files=0)
    assert outcome.charge is not None
    assert (outcome.charge.verdict, bool(outcome.charge.reason)) == ("free", True)
    course = Course("p")
    course.begun = True
    for begun in (
        outcome_of(course, never, 0, "image"),
        _outcome(msgspec.structs.replace(never, metrics={"predict_time": 2.0}), files=0),
        _outcome(told("failed", error="no machine"), files=0),
    ):
        assert isinstance(begun, Never)
        assert begun.charge is None


def test_what_failed_and_made_nothing_used_nothing_that_it_makes() -> None:
    """Seconds of film and tokens that it does not tell are none; time that it took may be
    some, and is not made up."""
    found = usage_of(told("failed", error="x"), 0, "video")
    assert found["video_second"] == found["input_token"] == found["output_token"] == 0
    assert "second" not in found
