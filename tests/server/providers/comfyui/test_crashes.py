"""Kills and faults at every point of a run: each task ends well, and no prompt runs twice.

Both servers are processes of their own. What ran is read from KernieGen's log, over all its
lives, and what was told from the task's events.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.kernie import Kernie, kerniegen
from tests.doubles.process import ServerProcess, server_process

PATIENCE = 60.0
STEPS = 10


@contextmanager
def pair(folder: Path, **options: Any) -> Iterator[tuple[Kernie, ServerProcess]]:
    """A KernieGen, and a server that has it as its one backend."""
    with kerniegen(folder / "kernie", **({"step_seconds": 0.05} | options)) as kernie:
        settings = {"backends__kerniegen__url": kernie.url, "retry_base_seconds": 0.1}
        with server_process(folder / "data", **settings) as server:
            yield kernie, server


def create(server: ServerProcess) -> str:
    """A task on the backend; its id."""
    body = {
        "kind": "image",
        "prompt": "a fox",
        "model": "comfyui/txt2img",
        "params": {"width": 64, "height": 64, "steps": STEPS},
    }
    answer = httpx2.post(server.url + "/api/tasks", json=body, timeout=PATIENCE)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["data"]["task_id"])


def events(server: ServerProcess, id: str) -> Iterator[dict[str, Any]]:
    """Its events, up to its end."""
    address = f"{server.url}/api/tasks/{id}/events"
    with httpx2.stream("GET", address, timeout=PATIENCE) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                yield json.loads(line[5:])


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def ended_well(kernie: Kernie, server: ServerProcess, id: str, *, attempts: int) -> None:
    """Completed after so many attempts, with one picture, and no prompt ran twice."""
    told = list(events(server, id))
    assert told[-1]["type"] == "completed", told[-1]
    assert [e["seq"] for e in told] == list(range(1, len(told) + 1))
    assert told[-1]["attempt"] == attempts
    assert sum(e["type"] == "artifact" for e in told) == 1
    assert all(count == 1 for count in kernie.runs().values()), kernie.runs()
    assert len(set(kernie.submitted())) == len(kernie.submitted())


def asked(kernie: Kernie, path: str) -> bool:
    """Whether the backend was asked for this."""
    return any(path in str(line.get("path", "")) for line in kernie.log("request"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        ("lost-request@1", 2),
        ("lost-answer@1", 1),
        ("http-500@1", 2),
        ("html=prompt@1", 2),
        ("html=history@1", 1),
        ("http-500=history@1", 1),
        ("late-answer=1@1", 1),
        ("late-history=1@1", 1),
        ("drop-socket=start@1", 1),
        ("drop-socket=sampling@1", 1),
        ("drop-socket=end@1", 1),
        ("stall=2@1", 1),
        ("restart=start@1", 2),
        ("restart=sampling@1", 2),
        ("restart=end@1", 2),
        ("truncated@1", 1),
    ],
)
def test_a_fault_of_the_backend_ends_well(tmp_path: Path, fault: str, attempts: int) -> None:
    """Whatever goes wrong once at the backend, the task is completed and every prompt was
    submitted and run at most once."""
    with pair(tmp_path, fault=[fault]) as (kernie, server):
        ended_well(kernie, server, create(server), attempts=attempts)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["start", "sampling", "end"])
def test_the_backends_death_is_waited_out(tmp_path: Path, point: str) -> None:
    """A backend that dies and is started again in a while has lost the prompt; the next
    attempt runs on it."""
    with pair(tmp_path) as (kernie, server):
        kernie.arm(f"die={point}@1")
        id = create(server)
        until(lambda: kernie.has_died)
        kernie.kill()
        kernie.start()
        ended_well(kernie, server, id, attempts=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "point", "attempts"),
    [
        ("lost-request@1", "/prompt", 2),
        ("late-answer=3@1", "/prompt", 1),
        (None, "progress", 1),
        ("late-history=2@1", "/history", 1),
        ("hang-http=view@1", "fetching", 1),
    ],
)
def test_a_kill_of_ours_ends_well(
    tmp_path: Path, fault: str | None, point: str, attempts: int
) -> None:
    """Killed before the backend has the prompt, while the answer is out, in the middle of a
    run, at its end, and in the middle of the download: after the start the task is completed,
    and every prompt was submitted and run at most once."""
    with pair(tmp_path, fault=[] if fault is None else [fault]) as (kernie, server):
        id = create(server)
        if point == "progress":
            next(e for e in events(server, id) if e["type"] == "progress" and e.get("step"))
        elif point == "fetching":
            until(lambda: statistics(server)["fetches"] == 1)
        else:
            until(lambda: asked(kernie, point))
        server.kill()
        server.start()
        ended_well(kernie, server, id, attempts=attempts)


def statistics(server: ServerProcess) -> dict[str, int]:
    """What the server counts."""
    found: dict[str, int] = httpx2.get(server.url + "/healthz").json()["data"]["statistics"]
    return found
