"""The wrong backend, with two servers to be mixed up: KernieGens as processes of their own.

What was wrong: addresses were swapped, a job ran on the machine that nobody had chosen, a
dead server burnt job after job, and the choice lived in one browser. Each server keeps its
own books here, so that nobody has to believe what the rows say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.kernie import Kernie, kerniegen
from tests.doubles.process import ServerFailed, ServerProcess, server_process
from tests.doubles.served import PATIENCE, served
from tests.doubles.workshop import given, workshops

PAINTED: dict[str, Any] = {
    "kind": "image",
    "prompt": "a test",
    "model": "comfyui/txt2img",
    "params": {"width": 64, "height": 64, "steps": 1},
}


@contextmanager
def two_servers(folder: Path, **options: object) -> Iterator[tuple[Kernie, Kernie]]:
    """Two ComfyUI servers, each a process of its own with its own books."""
    with kerniegen(folder / "red", **options) as red, kerniegen(folder / "blue", **options) as blue:
        yield red, blue


def named(red: Kernie, blue: Kernie) -> dict[str, Any]:
    """The settings by which they are known."""
    return {"backends__red__url": red.url, "backends__blue__url": blue.url}


def ask(server: ServerProcess, **fields: Any) -> Any:
    """POST a create and return the answer."""
    return httpx2.post(server.url + "/api/tasks", json=PAINTED | fields, timeout=PATIENCE)


def end_of(server: ServerProcess, id: str) -> dict[str, Any]:
    """The task once it has ended, or as it is after a while."""
    address = f"{server.url}/api/tasks/{id}"
    told = httpx2.get(f"{address}/events", timeout=60).text  # the stream ends with the task
    assert told
    data: dict[str, Any] = httpx2.get(address).json()["data"]
    return data


def status_of(server: ServerProcess, id: str, query: str) -> dict[str, Any]:
    """One answer of a long-poll of a task's events."""
    answer = httpx2.get(f"{server.url}/api/tasks/{id}/events?{query}", timeout=60)
    data: dict[str, Any] = answer.json()["data"]
    return data


@pytest.mark.slow
def test_a_backend_is_asked_whether_it_has_what_is_wanted(tmp_path: Path) -> None:
    """A checkpoint that this very backend has not, and a sampler that none has, are refused
    by field and value with what is near; nothing is stored, and nothing was sent there."""
    with two_servers(tmp_path) as (red, blue):
        with server_process(tmp_path / "data", **named(red, blue)) as server:
            shown = httpx2.get(server.url + "/api/backends?refresh=1").json()["data"]["backends"]
            has = shown[0]["checkpoints"][0]
            for param, value in (("checkpoint", has[:-1]), ("sampler", "eulr")):
                params = PAINTED["params"] | {param: value}
                answer = ask(server, backend="red", params=params)
                (detail,) = answer.json()["error"]["details"]
                assert (answer.status_code, detail["field"]) == (400, f"params.{param}")
                assert value in detail["found"]
                assert (has if param == "checkpoint" else "euler") in detail["expected"]
            assert httpx2.get(server.url + "/api/tasks").json()["data"]["tasks"] == []
            assert red.submitted() == blue.submitted() == []


@pytest.mark.slow
def test_every_task_runs_where_it_was_told(tmp_path: Path) -> None:
    """Twenty tasks in turn on two servers: by both servers' own books each ran where it was
    told, once, and each says so itself, with the address and the server's own id of it."""
    with two_servers(tmp_path) as (red, blue):
        with server_process(tmp_path / "data", **named(red, blue)) as server:
            made = [
                (kernie, ask(server, backend=name, prompt=f"p{n}").json()["data"]["task_id"])
                for n in range(10)
                for name, kernie in (("red", red), ("blue", blue))
            ]
            for kernie, id in made:
                end = end_of(server, id)
                assert end["status"] == "completed", end["error_data"]
                for told in (end, end["result_data"]):
                    name = "red" if kernie is red else "blue"
                    assert (told["backend"], told["backend_url"]) == (name, kernie.url)
                assert kernie.runs()[end["prediction_id"]] == 1
            assert (red.runs().total(), blue.runs().total()) == (10, 10)


def test_two_names_for_one_address_are_none(tmp_path: Path) -> None:
    """The server does not start: what is asked of the one would run on the other."""
    same = {
        "backends__red__url": "http://localhost:9",
        "backends__blue__url": "http://127.0.0.1:9/",
    }
    with pytest.raises(ServerFailed) as failed, server_process(tmp_path / "data", **same):
        pass
    assert "red" in str(failed.value) and "blue" in str(failed.value)


@pytest.mark.slow
def test_what_was_begun_at_one_address_is_sent_to_no_other(tmp_path: Path) -> None:
    """A restart with the two addresses swapped: nothing that runs is sent to the other server,
    and with the right addresses again both are completed, each having run once."""
    with two_servers(tmp_path, step_seconds=0.02) as (red, blue):
        slow = {"params": PAINTED["params"] | {"steps": 60}}
        swapped = named(blue, red)
        with server_process(tmp_path / "data", **named(red, blue)) as server:
            for name in ("red", "blue"):
                assert ask(server, id=name, backend=name, **slow).status_code == 202
                log = httpx2.get(f"{server.url}/api/tasks/{name}").json()["data"]["log"]
                status_of(server, name, f"after={log}-2&wait=30")  # it has begun to be painted
            server.kill()
        sent = red.submitted() + blue.submitted()
        assert len(sent) == 2
        with server_process(tmp_path / "data", **swapped) as server:
            shown = ask(server, id="new", backend="red").json()["data"]
            assert end_of(server, "new")["result_data"]["backend_url"] == blue.url
            for name in ("red", "blue"):
                shown = httpx2.get(f"{server.url}/api/tasks/{name}").json()["data"]
                assert shown["status"] == "processing"
            server.kill()
        assert len(red.submitted() + blue.submitted()) == 3
        with server_process(tmp_path / "data", **named(red, blue)) as server:
            for name, kernie in (("red", red), ("blue", blue)):
                end = end_of(server, name)
                assert (end["status"], end["attempt"]) == ("completed", 1), end["error_data"]
                assert end["result_data"]["backend_url"] == kernie.url
        assert max((red.runs() + blue.runs()).values()) == 1


@pytest.mark.slow
def test_who_waits_for_a_dead_backend_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """A request for a dead server is refused as unreachable, or waits if the settings say so,
    told why; the other server goes on, and what waited runs once when the first is back."""
    with two_servers(tmp_path) as (red, blue):
        red.kill()
        with server_process(tmp_path / "data", **named(red, blue)) as server:
            refused = ask(server, backend="red")
            assert (refused.status_code, refused.json()["code"]) == (503, "backend_unreachable")
            assert httpx2.get(server.url + "/api/tasks").json()["data"]["tasks"] == []
        patient = named(red, blue) | {"unreachable": "queue"}
        with server_process(tmp_path / "data", **patient) as server:
            data = ask(server, id="one", backend="red").json()["data"]
            assert data["status"] == "queued" and "red cannot be reached" in data["warnings"][0]
            other = ask(server, backend="blue").json()["data"]
            assert end_of(server, other["task_id"])["status"] == "completed"
            waiting = httpx2.get(server.url + "/api/tasks/one").json()["data"]
            assert waiting["status"] == "queued" and "red is down" in waiting["reason"]
            red.start()
            end = end_of(server, "one")
            assert (end["status"], end["attempt"], end["error"]) == ("completed", 1, None)
        assert red.runs().total() == 1


async def test_two_tabs_agree_on_the_owners_choice(tmp_path: Path) -> None:
    """The choice is no browser's: a tab that is open is told of it, a tab that opens later is
    told in its first answer, and both create on the same backend."""
    async with workshops("red", "blue") as made, served(tmp_path, **given(made)) as house:
        async with house.connect() as one:
            await one.join("tasks:mine")
            await house.http.patch("/api/preferences", json={"backend": "blue"})
            told = (await one.until(lambda frame: frame[3] == "preferences"))[4]
            async with house.connect() as other:
                reply = await other.join("tasks:mine")
                assert told == reply["response"]["preferences"]
            image = {"kind": "image", "prompt": "p", "model": "comfyui/txt2img"}
            for n in range(2):
                data = (await house.post("/api/tasks", image | {"seed": n})).json()["data"]
                assert data["backend"] == told["backend"] == "blue"
