"""What goes wrong with the emulated SuperDuperAI on request, and what it leaves behind.

Each fault is held against the log of runs: what was refused has begun nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.doubles.emulated import Emulated, emulated
from tests.doubles.superduper_talk import create, ended, image, is_file, talking, told

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    """One that takes its time, so that there is something to listen to."""
    with emulated(tmp_path_factory.mktemp("sd"), "superduperai", pace=0.02) as running:
        yield running


@pytest.fixture
def api(emulator: Emulated) -> Iterator[httpx2.Client]:
    """A client with the key."""
    with talking(emulator) as client:
        yield client


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("http-500@1", 500),
        ("http-503@1", 503),
        ("throttle=7@1", 429),
        ("unauthorized@1", 401),
        ("no-credit@1", 402),
        ("no-vip@1", 403),
        ("moderated@1", 400),
        ("integrity@1", 409),
    ],
)
def test_a_create_that_is_refused_begins_nothing(
    api: httpx2.Client, emulator: Emulated, fault: str, status: int
) -> None:
    """The fault answers, nothing runs, and the same request is taken the next time."""
    runs = len(emulator.runs())
    emulator.arm(fault)
    body = image()
    answer = api.post("/file/generate-image", json=body)
    assert answer.status_code == status
    assert status != 429 or answer.headers["retry-after"] == "7"
    assert len(emulator.runs()) == runs
    assert api.post("/file/generate-image", json=body).is_success


@pytest.mark.parametrize(
    ("fault", "runs"), [("lost-answer@1", 1), ("hang@1", 1), ("lost-request@1", 0)]
)
def test_an_answer_that_is_lost(
    api: httpx2.Client, emulator: Emulated, fault: str, runs: int
) -> None:
    """The connection ends, or stays, without an answer; only the list tells whether it began."""
    emulator.arm(fault)
    body, before = image(), len(emulator.runs())
    with pytest.raises(httpx2.TransportError):
        api.post("/file/generate-image", json=body, timeout=3.0)
    assert len(emulator.runs()) == before + runs
    newest = api.get("/file", params={"limit": 1}).json()["items"]
    made = newest[0]["image_generation"]["prompt"] == body["config"]["prompt"]
    assert made == bool(runs)


def test_events_that_are_lost_come_never(api: httpx2.Client, emulator: Emulated) -> None:
    """The file is done, and its channel told nothing of it."""
    emulator.arm("lost-event")
    file = create(api)
    with (
        api.stream("GET", f"/events/file.{file['id']}", timeout=3.0) as stream,
        pytest.raises(httpx2.ReadTimeout),
    ):
        stream.read()
    assert ended(api, file["id"])["url"]


def test_events_come_twice_and_late(api: httpx2.Client, emulator: Emulated) -> None:
    """A duplicate follows at once; what is late comes after what came later."""
    emulator.arm("duplicate-event=event")
    kinds = [m["type"] for m in told(api, f"file.{create(api)['id']}", is_file)]
    assert kinds.count("task") == 2
    emulator.disarm()
    emulator.arm("disorder@11")  # the word of the task, after ten of its progress
    messages = told(api, f"file.{create(api)['id']}", lambda m: m["type"] == "task")
    assert [message["type"] for message in messages[-2:]] == ["file", "task"]


def test_a_stream_is_cut_in_the_middle(api: httpx2.Client, emulator: Emulated) -> None:
    """The connection of the channel ends; what comes then is told to nobody."""
    emulator.arm("cut@1")
    file = create(api)
    with pytest.raises(httpx2.TransportError):
        told(api, f"file.{file['id']}", is_file)
    assert ended(api, file["id"])["url"]


def test_the_log_tells_every_run(tmp_path: Path) -> None:
    """A run's line has its model, its words and what it cost."""
    with emulated(tmp_path, "superduperai") as running:
        with httpx2.Client(base_url=f"{running.url}/api/v1", headers=running.headers) as api:
            file = create(api, generation_config_name="fal-ai/flux-pro/v1.1-ultra")
            ended(api, file["id"])
        (run,) = running.runs()
        assert (run["model"], run["outcome"]) == ("fal-ai/flux-pro/v1.1-ultra", "succeeded")
        assert run["marks"]["files"] == [file["id"]]
        assert running.cost() == run["cost_micros"] == 1_000_000
