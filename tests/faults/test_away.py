"""A provider that dies under a running task: whoever watches is told, and told when it is back.

Real processes on real sockets. What becomes of the task is for the tables of each provider;
here is what its watchers see meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.emulated import Emulated
from tests.doubles.kernie import Kernie
from tests.doubles.process import ServerProcess, server_process, started

WAIT_SECONDS = 60.0
SLOW, QUICK = 2.0, 0.1
"""Seconds of one step: nothing ends by itself before somebody has looked, or soon enough."""

BODIES: dict[str, dict[str, Any]] = {
    "replicate": {"kind": "image", "model": "black-forest-labs/flux-schnell"},
    "openai": {"kind": "text", "model": "gpt-5.4-mini"},
    "superduperai": {"kind": "image", "model": "superduperai/comfyui/flux"},
    "studio": {"kind": "image", "model": "comfyui/txt2img", "params": {"steps": 50}},
}
NAMES = {"superduperai": "SuperDuperAI"}


def _stand_in(folder: Path, name: str, pace: float) -> tuple[ServerProcess, Callable[[str], str]]:
    """What stands for a provider, and how it is written into the settings."""
    if name == "studio":
        kernie = Kernie(folder / "kernie", step_seconds=pace / 10)
        return kernie, lambda url: f'[backends.studio]\nurl = "{url}"\n'
    from safelight.emulators import emulator

    there = Emulated(folder, name, pace=pace)
    return there, lambda url: emulator(name).settings(url, there.key)


@contextmanager
def _both(folder: Path, name: str, pace: float = SLOW) -> Iterator[tuple[Any, ServerProcess]]:
    """The provider and Safelight."""
    there, settings = _stand_in(folder, name, pace)
    with started(there):
        (folder / "safelight.toml").write_text(settings(there.url))
        with server_process(folder / "data") as server:
            yield there, server


def _events(server: ServerProcess, name: str) -> Iterator[dict[str, Any]]:
    """The events of a new task, from the one on that says that it runs at its provider."""
    body = {"prompt": "a lamp, in 60 words", "max_cost": 5} | BODIES[name]
    made = httpx2.post(f"{server.url}/api/tasks", json=body, timeout=WAIT_SECONDS)
    assert made.status_code == 202, made.text
    address = f"{server.url}/api/tasks/{made.json()['data']['task_id']}/events"
    with httpx2.stream("GET", address, timeout=WAIT_SECONDS) as told:
        lines = (line[6:] for line in told.iter_lines() if line.startswith("data: "))
        events = map(json.loads, lines)
        yield next(event for event in events if "prediction_id" in event)
        yield from events


def _says(event: dict[str, Any], name: str) -> bool:
    said = f"no word from {NAMES.get(name, name)}, which is asked again"
    return event["type"] == "progress" and event["message"] == said


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_a_provider_that_dies_is_told_of(tmp_path: Path, name: str) -> None:
    """Its watchers hear, once, that there is no word from it; its snapshot says so too, and the
    task goes on as it was."""
    with _both(tmp_path, name) as (there, server):
        events = _events(server, name)
        first = next(events)
        there.kill()
        told = next(event for event in events if _says(event, name))
        assert (told["status"], told["attempt"]) == ("processing", first["attempt"])
        assert told["progress"] >= first["progress"]
        shown = httpx2.get(f"{server.url}/api/tasks/{told['task_id']}").json()["data"]
        assert (shown["status"], shown["message"]) == ("processing", told["message"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "pace"), [("replicate", SLOW), ("openai", QUICK)])
def test_that_it_is_back_is_told(tmp_path: Path, name: str, pace: float) -> None:
    """When it answers again the words go, the task completes, and it ran once."""
    with _both(tmp_path, name, pace) as (there, server):
        there.arm("http-503=get", *(["cut=3"] if name == "openai" else []))
        events = _events(server, name)
        assert any(_says(event, name) for event in events)
        there.disarm()
        after = list(events)
        assert after[-1]["type"] == "completed", after[-1]
        told = [event for event in after if event["type"] == "progress"]
        assert told and not any(_says(event, name) for event in told)
        assert len(there.runs()) == 1
