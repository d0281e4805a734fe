"""The crashed row.

What was wrong: a crash of the server left a row that said `pending`. Nothing ever looked
at it again, and the retry, which had the same idempotency key, ran into the unique index
of the row that was dead.
How it was reached: by any crash or deploy while a task was waiting or running.
What it looked like: a spinner without an end, then "duplicate key value violates unique
constraint" on every further try, until somebody deleted the row by hand.

Played against the real process, killed with SIGKILL and started again on its data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.process import ServerProcess, server_process

PATIENCE = 20.0

MAX_LOSSES = 3

HANGS_ONCE = [{"do": "progress", "to": 0.5, "attempt": 1}, {"do": "hang", "attempt": 1}]
HANGS = [{"do": "progress", "to": 0.5}, {"do": "hang"}]
FAILS = [{"do": "never", "message": "no"}]


class Client:
    """Somebody with an HTTP library, before and after the crash."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """One request on a connection of its own: nothing is carried over a crash."""
        return httpx2.request(method, self._url + path, timeout=PATIENCE, verify=False, **more)

    def post(self, script: list[Any] | None = None, **more: Any) -> httpx2.Response:
        """A create; `script` is what its provider plays."""
        body = {"kind": "image", "prompt": "a monk", "model": "scripted/image"} | more
        if script is not None:
            body["params"] = {"script": script}
        key = body.pop("key", None)
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._ask("POST", "/api/tasks", json=body, headers=headers)

    def made(self, script: list[Any] | None = None, **more: Any) -> dict[str, Any]:
        """The `data` of a create that is accepted."""
        answer = self.post(script, **more)
        assert answer.status_code in (200, 202), answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def get(self, path: str) -> httpx2.Response:
        """One GET."""
        return self._ask("GET", path)

    def events(self, id: str, until: str | None = None) -> list[dict[str, Any]]:
        """The events from the first on, to one of a type or to the end of the task."""
        found: list[dict[str, Any]] = []
        with httpx2.stream(
            "GET", f"{self._url}/api/tasks/{id}/events", timeout=PATIENCE, verify=False
        ) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    found.append(json.loads(line[6:]))
                    if found[-1]["type"] == until:
                        break
        return found

    def poll(self, id: str, after: str) -> dict[str, Any]:
        """The events after a cursor, as soon as there is one."""
        answer = self.get(f"/api/tasks/{id}/events?after={after}&wait=15")
        data: dict[str, Any] = answer.json()["data"]
        return data

    def cancel(self, id: str) -> None:
        """Ask for its end."""
        self._ask("POST", f"/api/tasks/{id}/cancel").raise_for_status()

    def delete(self, id: str) -> None:
        """Remove it."""
        self._ask("DELETE", f"/api/tasks/{id}").raise_for_status()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server process with the scripted provider beside the built-in one."""
    with server_process(
        tmp_path / "data",
        scripted=True,
        local_pace_seconds=0,
        retry_base_seconds=0.001,
        max_losses=MAX_LOSSES,
    ) as running:
        yield running


def crash(server: ServerProcess) -> Client:
    """Pull the plug, start again, and come back as a new client."""
    server.kill()
    server.start()
    return Client(server.url)


def test_what_ran_when_it_crashed_is_finished_after_it(server: ServerProcess) -> None:
    """A task that was running at the crash is picked up at the next start without anyone
    asking, and its one log tells both attempts and one end."""
    client = Client(server.url)
    id = client.made(HANGS_ONCE)["task_id"]
    before = client.events(id, until="progress")
    after = crash(server).events(id)
    assert after[: len(before)] == before
    assert [event["seq"] for event in after] == list(range(1, len(after) + 1))
    assert [event["type"] for event in after].count("completed") == 1
    assert (after[-1]["type"], after[-1]["attempt"]) == ("completed", 2)


@pytest.mark.parametrize("key", ["k", None])
def test_a_retry_after_the_crash_attaches(server: ServerProcess, key: str | None) -> None:
    """The retry that once died with "duplicate key" is answered 200 with the same task,
    found by its key or, while it runs, by what it asks for."""
    client = Client(server.url)
    id = client.made(HANGS, key=key)["task_id"]
    client.events(id, until="progress")
    client = crash(server)
    answer = client.post(HANGS, key=key)
    assert answer.status_code == 200
    assert (answer.json()["data"]["task_id"], answer.json()["data"]["attached"]) == (id, True)


def test_a_task_that_always_crashes_ends_as_failed(server: ServerProcess) -> None:
    """A task that never outlives its process is begun again a bounded number of times,
    then ends as failed with a reason, and a fresh request is not held up by it."""
    client = Client(server.url)
    id = client.made(HANGS, key="k")["task_id"]
    cursor, crashes = "0", 0
    while (told := client.poll(id, cursor)) and not told["ended"]:
        cursor = told["cursor"]
        if told["events"][-1]["type"] == "progress":
            assert (crashes := crashes + 1) <= MAX_LOSSES + 1
            client = crash(server)
    end = client.events(id)[-1]
    assert (end["type"], end["error_data"]["code"]) == ("failed", "lost")
    assert crashes == MAX_LOSSES + 1
    assert end["error_data"]["message"]
    assert client.made(key="fresh")["created"] is True


def test_nothing_is_pending_for_ever(server: ServerProcess) -> None:
    """Tasks that waited, ran, were to be tried again or were being cancelled at the crash
    all have an end after it."""
    client = Client(server.url)
    later = [{"do": "fault", "attempt": 1, "after_seconds": 0.5}]
    running = client.made(HANGS_ONCE, id="running")["task_id"]
    client.events(running, until="progress")
    client.made(later, id="retrying")
    client.events("retrying", until="retrying")
    client.made(HANGS, id="canceling")
    client.events("canceling", until="progress")
    client.cancel("canceling")
    painted = {"kind": "image", "prompt": "the sea", "model": "local/paint"}
    client.made(id="waiting", **painted)
    client = crash(server)
    ends = {
        id: client.events(id)[-1]["type"] for id in ("running", "retrying", "canceling", "waiting")
    }
    assert ends.pop("canceling") == "canceled"
    assert set(ends.values()) == {"completed"}
    listed = client.get("/api/tasks").json()["data"]["tasks"]
    assert {task["status"] for task in listed} == {"completed", "canceled"}


def test_what_a_key_answers_after_the_crash(server: ServerProcess) -> None:
    """A key is bound for good: whatever became of its task, and over any restart, it
    answers with that task's state; 410 once that was deleted; 422 to another request."""
    client = Client(server.url)
    scripts = {"completed": None, "failed": FAILS, "canceled": HANGS, "running": HANGS_ONCE}
    ids = {state: client.made(script, key=state)["task_id"] for state, script in scripts.items()}
    gone = client.made(key="deleted")["task_id"]
    client.cancel(ids["canceled"])
    for state in ("completed", "failed", "canceled"):
        assert client.events(ids[state])[-1]["type"] == state
    client.events(gone)
    client.delete(gone)
    client.events(ids["running"], until="progress")
    client = crash(server)
    for state, script in scripts.items():
        answer = client.post(script, key=state)
        data = answer.json()["data"]
        assert (answer.status_code, data["task_id"], data["attached"]) == (200, ids[state], True)
        if state != "running":
            assert data["status"] == state
        other = client.post(script, key=state, prompt="another")
        assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    answer = client.post(key="deleted")
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    assert client.post(id=gone).status_code == 410


def test_a_failure_never_blocks_a_retry(server: ServerProcess) -> None:
    """The key of a failure answers with that failure and says how to try again; a fresh
    key, a fresh id, or none makes a new task, before a crash and after it."""
    client = Client(server.url)
    first = client.made(FAILS, key="k")["task_id"]
    client.events(first)
    for again in (client, crash(server)):
        answer = again.post(FAILS, key="k")
        assert (answer.status_code, answer.json()["data"]["task_id"]) == (200, first)
        assert answer.json()["data"]["error_data"]["message"] == "no"
        assert "fresh key" in answer.json()["message"]
        none = again.made(FAILS)
        assert none["created"] is True
        again.events(none["task_id"])
    assert client.made(FAILS, key="fresh")["created"] is True
    assert client.made(FAILS, id="fresh")["created"] is True


def test_an_identical_result_can_be_reused(server: ServerProcess) -> None:
    """`reuse: completed` is answered with the finished picture instead of a second one,
    also when it was finished before the crash; without it there is a second one."""
    client = Client(server.url)
    first = client.made()["task_id"]
    client.events(first)
    client = crash(server)
    data = client.made(reuse="completed")
    assert (data["task_id"], data["attached"], data["status"]) == (first, True, "completed")
    assert client.get(data["result_data"]["image_url"]).status_code == 200
    assert client.made()["created"] is True


def test_a_batch_of_before_the_crash_is_had_again(server: ServerProcess) -> None:
    """A batch whose answer was lost in the crash is sent again with its key, and every
    request of it finds its own task."""
    tasks = [{"kind": "image", "prompt": f"p{i}", "model": "scripted/image"} for i in range(20)]
    headers = {"Idempotency-Key": "B"}
    answers = []
    for again in (False, True):
        if again:
            crash(server)
        answer = httpx2.post(
            server.url + "/api/tasks:batch", json={"tasks": tasks}, headers=headers, timeout=20
        )
        answers.append(answer.json()["data"])
    first, second = answers
    assert (first["created"], second["created"], second["attached"]) == (20, 0, 20)
    ids = [[row["data"]["task_id"] for row in data["results"]] for data in answers]
    assert ids[0] == ids[1]
