"""The fold: what every reader of a log knows, wherever and whenever he reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from safelight_protocol.events import Eta, Queued, TaskEvent, Timings, decode_event, encode_event
from safelight_protocol.snapshot import Snapshot, begun, brief, fold, opening, result_of
from safelight_protocol.task import Input, Task
from tests.doubles.lives import (
    ARTIFACT,
    CHARGED,
    ERROR,
    NOW,
    asked,
    changed,
    events,
    example,
    fresh,
    lived,
    resolved,
    result,
)
from tests.protocol.make_vectors import fold_vectors

CLAIMED = happened.Claimed(NOW + 60_000)
FAULTED = happened.Faulted(ERROR, retry_at=NOW + 2_000)
STORED = json.loads((Path(__file__).parent / "vectors/folds.json").read_text())


def folded(task: Task, *happenings: happened.Happening) -> Snapshot:
    """The snapshot at the end of a life."""
    snapshot = opening(task)
    for event in events(lived(task, happenings)):
        snapshot = fold(snapshot, event)
    return snapshot


@pytest.mark.parametrize(
    "task",
    [
        fresh(),
        fresh(resolved=resolved(substituted_for="other/model", backend="b", params={})),
        fresh(resolved=resolved(seed=2**60)),
    ],
    ids=["plain", "substituted", "a large seed"],
)
def test_a_task_begins_with_the_fold_of_its_first_event(task: Task) -> None:
    """What is made at once for a new task is what everybody who folds comes to."""
    step = lifecycle.born(task, "local is busy (4 of 4 places)")
    assert isinstance(step.event, Queued)
    assert begun(step.task, step.event) == fold(opening(step.task), step.event)


def test_the_vectors_are_those_of_the_fold() -> None:
    """vectors/folds.json says what the code says; `make_vectors` writes it anew."""
    assert json.loads(json.dumps(fold_vectors())) == STORED


@pytest.mark.parametrize("vector", STORED, ids=[vector["name"] for vector in STORED])
def test_a_stored_log_folds_as_it_did(vector: dict[str, Any]) -> None:
    """Each event, read from its stored JSON, leads to the stored snapshot."""
    snapshot = msgspec.convert(vector["start"], Snapshot)
    for plain, after in zip(vector["events"], vector["folds"], strict=True):
        snapshot = fold(snapshot, decode_event(json.dumps(plain).encode()))
        assert json.loads(msgspec.json.encode(snapshot)) == after
    assert vector["folds"][-1] == vector["end"]


def test_a_task_opens_as_its_request() -> None:
    """Before any event there is what was asked for and what it was taken to mean."""
    snapshot = opening(fresh())
    assert (snapshot.seq, snapshot.status, snapshot.progress, snapshot.attempt) == (
        0,
        "queued",
        0,
        1,
    )
    assert snapshot.input_data == {
        "type": "image",
        "prompt": "a medieval monk",
        "width": 64,
        "height": 32,
    }
    assert (snapshot.model, snapshot.provider, snapshot.backend) == ("local/painter", "local", None)
    assert (snapshot.task_id, snapshot.seed, snapshot.kind) == ("id-u1", 7, "image")
    assert snapshot.created_at == snapshot.updated_at == "2023-11-14T22:13:20.000Z"


def test_a_task_tells_what_it_began_with() -> None:
    """Inputs are told as they were named, so that the task can be made again from its snapshot;
    one without any says nothing of them, and no parameter can pose as them."""
    posing = resolved(params={"inputs": [{"upload": "another"}]})
    asked = msgspec.structs.replace(fresh().asked, inputs=(Input(upload="u"), Input(task="t")))
    began = msgspec.structs.replace(fresh(resolved=posing), asked=asked)
    assert opening(began).input_data["inputs"] == [{"upload": "u"}, {"task": "t"}]
    assert "inputs" not in opening(fresh()).input_data


def test_a_parameter_cannot_pose_as_the_prompt() -> None:
    """Models that take any parameter may be given one called `prompt` or `type`."""
    posing = resolved(params={"prompt": "another", "type": "video"})
    snapshot = opening(fresh(resolved=posing))
    assert snapshot.input_data == {"type": "image", "prompt": "a medieval monk"}


def test_a_large_seed_is_shown_as_text() -> None:
    """Seeds above 2**53-1 are strings, as in every event."""
    assert opening(fresh(resolved=resolved(seed=2**63))).seed == "9223372036854775808"


def test_a_stand_in_is_shown() -> None:
    """A snapshot names the model that was asked for when another one ran."""
    snapshot = folded(fresh(resolved=resolved(substituted_for="acme/flux")), CLAIMED)
    assert (snapshot.model, snapshot.substituted_for) == ("local/painter", "acme/flux")


def test_an_event_twice_is_an_event_once() -> None:
    """What lies at or below the snapshot's seq leaves the very same snapshot."""
    told = events(lived(fresh(), [CLAIMED, happened.Wrote("a")]))
    snapshot = opening(fresh())
    for event in told:
        snapshot = fold(snapshot, event)
    for event in told:
        assert fold(snapshot, event) is snapshot


def test_the_fold_goes_on_from_anywhere() -> None:
    """A snapshot that was sent and read again, and the events after it, lead to the same end."""
    happenings = [CLAIMED, happened.HandleSaved("p"), happened.Wrote("a"), FAULTED, CLAIMED]
    told: list[TaskEvent] = events(lived(fresh(), happenings))
    whole = opening(fresh())
    for cut, event in enumerate(told):
        whole = fold(whole, event)
        rest = msgspec.json.decode(msgspec.json.encode(whole), type=Snapshot)
        for later in told[cut + 1 :]:
            rest = fold(rest, decode_event(encode_event(later)))
        assert rest == folded(fresh(), *happenings)


def test_text_and_steps_are_those_of_the_attempt() -> None:
    """A new attempt starts with neither, nor with what the one before was waiting for."""
    steps = happened.Progressed(0.5, 1, 2, "half", None)
    first = folded(fresh(), CLAIMED, happened.HandleSaved("p"), steps, happened.Wrote("a"))
    assert (first.text, first.step, first.steps, first.message) == ("a", 1, 2, "half")
    assert (first.prediction_id, first.progress) == ("p", 0.5)
    again = folded(
        fresh(), CLAIMED, happened.HandleSaved("p"), steps, happened.Wrote("a"), FAULTED, CLAIMED
    )
    assert (again.text, again.step, again.steps, again.message) == ("", None, None, None)
    assert (again.prediction_id, again.progress, again.attempt) == (None, 0.0, 2)
    assert (again.retry_at, again.reason, again.eta) == (None, None, None)


def test_a_retry_voids_the_attempt_before_it() -> None:
    """Between `retrying` and the next `started` nothing of the ended attempt is shown, and
    the progress is the next one's; why and when it is tried again is."""
    steps = happened.Progressed(0.5, 1, 2, "half", Eta(1.0, 2.0))
    life = (CLAIMED, happened.HandleSaved("p"), steps, happened.Wrote("a"))
    snapshot = folded(fresh(), *life, happened.Produced(ARTIFACT), FAULTED)
    assert (snapshot.text, snapshot.step, snapshot.steps, snapshot.message) == (
        "",
        None,
        None,
        None,
    )
    assert (snapshot.prediction_id, snapshot.eta, snapshot.reason) == (None, None, None)
    assert (snapshot.status, snapshot.attempt, snapshot.progress) == ("queued", 2, 0.0)
    assert (snapshot.error, snapshot.retry_at) == (ERROR, "2023-11-14T22:13:22.000Z")
    assert (snapshot.artifacts, snapshot.model) == ((ARTIFACT,), "local/painter")


def test_a_handle_that_comes_with_the_retry_is_void_too() -> None:
    """The last attempt's handle, first told by its `retrying`, is not the next one's."""
    assert folded(fresh(), CLAIMED, happened.HandleSaved("p"), FAULTED).prediction_id is None


def test_a_seed_drawn_anew_is_shown_and_is_the_results() -> None:
    """Snapshot and result name the seed of the attempt that made them."""
    again = happened.Faulted(ERROR, retry_at=NOW + 2_000, seed=12)
    steps = lived(fresh(), [CLAIMED, again, CLAIMED])
    snapshot = folded(fresh(), CLAIMED, again, CLAIMED)
    assert folded(fresh(), CLAIMED, again).seed == 7
    assert (snapshot.seed, result_of(snapshot, steps[-1].task, NOW).seed) == (12, 12)


def test_artifacts_outlive_their_attempt() -> None:
    """Nothing finished is thrown away; each artifact keeps the attempt that made it."""
    second = msgspec.structs.replace(ARTIFACT, id="two", attempt=2)
    made = (CLAIMED, happened.Produced(ARTIFACT), FAULTED, CLAIMED, happened.Produced(second))
    assert folded(fresh(), *made, example(happened.GaveUp)).artifacts == (ARTIFACT, second)


def test_the_last_error_stays_until_the_end_says_more() -> None:
    """A retry shows why; a completed task has no error left, a failed one has its last."""
    assert folded(fresh(), CLAIMED, FAULTED, CLAIMED).error == ERROR
    assert folded(fresh(), CLAIMED, FAULTED, CLAIMED, example(happened.Finished)).error is None
    failed = folded(fresh(), CLAIMED, FAULTED, CLAIMED, happened.GaveUp(ERROR, CHARGED))
    assert (failed.error_data, failed.charge, failed.result_data) == (ERROR, CHARGED, None)


def test_a_canceled_task_says_what_is_known() -> None:
    """Whether the provider confirmed it, and what it cost."""
    snapshot = folded(fresh(), CLAIMED, happened.CancelAsked("ann"), happened.Stopped(CHARGED))
    assert (snapshot.status, snapshot.canceling) == ("canceled", True)
    assert (snapshot.confirmed, snapshot.charge) == (True, CHARGED)
    assert snapshot.canceled_by == "ann"


def test_a_cancel_says_who_asked_and_leaves_the_rest_open() -> None:
    """While it is under way nothing is confirmed and nothing charged yet."""
    snapshot = folded(fresh(), CLAIMED, happened.CancelAsked("ann"))
    assert (snapshot.canceling, snapshot.canceled_by) == (True, "ann")
    assert (snapshot.confirmed, snapshot.charge) == (None, None)


def test_a_cancel_in_the_queue_says_who_asked() -> None:
    """The end alone tells it, since there was nothing to stop."""
    assert folded(fresh(), happened.CancelAsked("ann")).canceled_by == "ann"


def test_a_stop_that_nobody_asked_for_has_no_name() -> None:
    """The provider stopped it by itself."""
    assert folded(fresh(), CLAIMED, happened.Stopped()).canceled_by is None


def test_a_result_is_made_of_the_log() -> None:
    """URL, artifacts, prediction, seed and times of the attempt that has just finished."""
    steps = lived(fresh(), [CLAIMED, happened.HandleSaved("p"), happened.Produced(ARTIFACT)])
    snapshot = opening(fresh())
    for event in events(steps):
        snapshot = fold(snapshot, event)
    made = result_of(snapshot, steps[-1].task, NOW + 500)
    assert (made.image_url, made.video_url, made.content) == ("/api/artifacts/cap", UNSET, UNSET)
    assert (made.prediction_id, made.seed, made.artifacts) == ("p", 7, (ARTIFACT,))
    assert (made.created_at, made.completed_at) == (
        "2023-11-14T22:13:20.000Z",
        "2023-11-14T22:13:20.500Z",
    )
    assert made.timings == Timings(queued_ms=1, running_ms=499)
    assert made.generation_id is UNSET


def test_a_result_leaves_out_what_earlier_attempts_made() -> None:
    """Only artifacts of the last attempt are the result."""
    steps = lived(fresh(), [CLAIMED, happened.Produced(ARTIFACT), FAULTED, CLAIMED])
    snapshot = folded(fresh(), CLAIMED, happened.Produced(ARTIFACT), FAULTED, CLAIMED)
    made = result_of(snapshot, steps[-1].task, NOW)
    assert (made.artifacts, made.image_url) == ((), UNSET)


def test_a_video_has_its_still_beside_it() -> None:
    """Both URLs are there when an attempt made a picture and a clip."""
    task = changed(fresh(asked=asked(kind="video")), handle="p", claimed_at=NOW)
    clip = msgspec.structs.replace(ARTIFACT, id="clip", url="/clip", kind="video")
    snapshot = msgspec.structs.replace(opening(task), artifacts=(ARTIFACT, clip))
    made = result_of(snapshot, task, NOW)
    assert (made.image_url, made.video_url) == ("/api/artifacts/cap", "/clip")


def test_a_text_is_its_own_result() -> None:
    """The content is what was written, also when that is nothing."""
    task = fresh(asked=asked(kind="text"))
    snapshot = folded(task, CLAIMED, happened.Wrote("Once "), happened.Wrote("upon"))
    assert result_of(snapshot, task, NOW).content == "Once upon"
    assert result_of(snapshot, task, NOW).generation_id == "u1"
    assert result_of(opening(task), task, NOW).content == ""


def test_a_result_without_a_claim_took_no_time() -> None:
    """A task that was never claimed, which no row allows, still has whole numbers."""
    assert result_of(opening(fresh()), fresh(), NOW + 9).timings == Timings(9, 0)


@pytest.mark.parametrize(("claimed", "now"), [(-50, -20), (40, 10), (-10, 30)])
def test_a_clock_set_back_makes_no_negative_time(claimed: int, now: int) -> None:
    """Whatever the clock did between creation, claim and end, no time is below zero."""
    task = changed(fresh(), claimed_at=NOW + claimed)
    timings = result_of(opening(task), task, NOW + now).timings
    assert timings == Timings(max(0, claimed), max(0, now - claimed))


def test_a_brief_snapshot_is_cut_and_says_so() -> None:
    """Prompt, text and content are cut to the length; the rest stays."""
    task = fresh(asked=asked(kind="text", prompt="p" * 50))
    done = msgspec.structs.replace(result(task, NOW), content="c" * 50)
    long = folded(task, CLAIMED, happened.Wrote("t" * 50), happened.Finished(done))
    cut = brief(long, 10)
    assert cut.truncated is True
    assert cut.input_data == {"type": "text", "prompt": "p" * 10}
    assert (cut.text, cut.seq, cut.status) == ("t" * 10, long.seq, "completed")
    assert cut.result_data is not None and cut.result_data.content == "c" * 10


def test_a_brief_snapshot_has_no_graph() -> None:
    """A parameter that is an object is left out with the others, however short the texts are: a
    gallery tells each change of each of its tasks."""
    graph = {"3": {"class_type": "KSampler", "inputs": {}}}
    whole = opening(fresh(resolved=resolved(params={"workflow": graph})))
    cut = brief(whole, 2000)
    assert cut.truncated is True
    assert cut.input_data == {"type": "image", "prompt": "a medieval monk"}


@pytest.mark.parametrize("length", [50, 51])
def test_a_short_snapshot_is_left_alone(length: int) -> None:
    """What fits is the very same snapshot, and claims no cut."""
    snapshot = folded(fresh(asked=asked(prompt="p" * 50)), CLAIMED, happened.Wrote("t" * 50))
    assert brief(snapshot, length) is snapshot
    assert snapshot.truncated is UNSET
