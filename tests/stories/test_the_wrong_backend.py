"""The wrong backend.

What was wrong: a job was stored with one backend and ran on another. An argument was
dropped on the way, two addresses were swapped, an environment variable overrode the
file without a word, and a worker ran with the settings of the week before. Seeds of -1
and models that did not exist were accepted.
How it was reached: by choosing a backend; by a deploy that restarted only one of two
processes.
What it looked like: pictures in the wrong style, from a machine that nobody had chosen,
and rows that swore they came from the other one.

The part of it that takes two ComfyUI servers is in test_the_wrong_backend_servers.py.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.doors import DOORS, Door, Wish
from tests.doubles.process import clean_environment, server_process
from tests.doubles.served import Served, served
from tests.doubles.workshop import given, workshops

IMAGE: dict[str, Any] = {"kind": "image", "prompt": "a test", "model": "scripted/image"}


async def test_a_backend_that_cannot_be_had_is_refused(house: Served) -> None:
    """A backend is used or refused by name, never dropped: alone, in a batch, and where a
    join creates; and nothing is stored under it."""
    asked = IMAGE | {"backend": "gpu-7"}
    answer = await house.post("/api/tasks", asked)
    (detail,) = answer.json()["error"]["details"]
    assert (answer.status_code, detail["field"], detail["found"]) == (400, "backend", '"gpu-7"')
    batch = await house.post("/api/tasks:batch", {"tasks": [asked]})
    assert batch.json()["data"]["results"][0]["status"] == 400
    async with house.connect() as phone:
        reply = await phone.join("task:one", {"create": asked})
        assert (reply["status"], reply["response"]["code"]) == ("error", "unknown_backend")
    assert (await house.http.get("/api/tasks")).json()["data"]["tasks"] == []


async def test_the_apps_own_form_drops_no_backend_either(house: Served) -> None:
    """Beside `input_data` or in it, in a push or its options: the backend is used or refused,
    in the words of that door; never dropped with a warning."""
    data = {"type": "image", "prompt": "a test", "model": "scripted/image"}
    for body in (
        {"input_data": data, "backend": "gpu-7"},
        {"input_data": data | {"backend": "gpu-7"}},
        {"input_data": data | {"backend": "gpu-1"}, "backend": "gpu-7"},
    ):
        answer = await house.post("/api/tasks", body)
        assert (answer.status_code, "unknown_backend" in answer.text) == (400, True)
        error = answer.json()["error"]
        assert error["code"] == "VALIDATION_ERROR" and "gpu-7" in error["details"]["backend"][0]
    push = {"prompt": "a test", "model": "scripted/image"}
    async with house.connect() as phone:
        await phone.join("task:chat_1")
        for named in ({"backend": "gpu-7"}, {"options": {"backend": "gpu-7"}}):
            reply = await phone.push("task:chat_1", "image_generate", push | named, "7")
            assert (reply["status"], reply["response"]["code"]) == ("error", "unknown_backend")
    assert (await house.http.get("/api/tasks")).json()["data"]["tasks"] == []


async def test_the_apps_own_form_runs_where_it_says(tmp_path: Path) -> None:
    """Of two backends the named one, from either place; and one request for two backends is
    two tasks, where the native form means the same one."""
    async with workshops("red", "blue") as made, served(tmp_path, **given(made)) as house:
        data = {"type": "image", "prompt": "a test", "model": "comfyui/txt2img"}
        native = IMAGE | {"model": "comfyui/txt2img", "params": {"aspect_ratio": "4:3"}}
        ids = []
        for body, where in (
            ({"input_data": data, "backend": "blue"}, "blue"),
            (native | {"backend": "blue", "reuse": "completed"}, "blue"),
            (native | {"backend": "red", "reuse": "completed"}, "red"),
            ({"input_data": data | {"backend": "blue"}}, "blue"),
        ):
            told = (await house.post("/api/tasks", body)).json()["data"]
            assert (told["backend"], told["warnings"]) == (where, [])
            ids.append(told["task_id"])
        assert ids[0] == ids[1] != ids[2]


async def test_a_task_records_where_it_really_ran(house: Served) -> None:
    """Model, provider and backend of the start are those of the snapshot and the result,
    and each attempt tells its own."""
    script = {"script": [{"do": "fault", "attempt": 1}]}
    id = (await house.create(params=script))["task_id"]
    events = await house.events(id)
    starts = [event for event in events if event["type"] == "started"]
    shown = (await house.http.get(f"/api/tasks/{id}")).json()["data"]
    places = [
        tuple(told[name] for name in ("model", "provider", "backend"))
        for told in (*starts, shown, shown["result_data"])
    ]
    assert len(starts) == 2 and set(places) == {("scripted/image", "scripted", None)}


async def test_who_stands_in_is_told_before_it_runs(house: Served) -> None:
    """When another model than the named one will run, the very answer to the create says
    so, not only the result."""
    answer = await house.post("/api/tasks", IMAGE | {"model": "bytedance/seedream-3"})
    data = answer.json()["data"]
    assert (data["substituted_for"], data["model"]) == ("bytedance/seedream-3", "scripted/image")


CREATING = [
    door for door in DOORS if door.name not in ("image_generate", "video_generate", "llm_generate")
]


@pytest.mark.parametrize("door", CREATING, ids=lambda door: door.name)
async def test_a_model_that_does_not_exist_is_refused(house: Served, door: Door) -> None:
    """At every door a model that nobody has is refused, and no task remains of it."""
    id = "one" if door.has_id else None
    told = await door.ask(door, house, Wish(prompt="p", id=id, model="nobody/nothing"))
    assert (told.word, told.status) == ("unknown_model", None if door.socket else 400)
    assert (await house.http.get("/api/tasks")).json()["data"]["tasks"] == []


@pytest.mark.parametrize("seed", [-1, 2**64, "abc", 1.5])
async def test_a_seed_that_is_none_is_refused(house: Served, seed: Any) -> None:
    """-1 is no "random": in either form and on the socket it is refused, with what is
    expected instead, and the provider is never asked."""
    bodies = (
        IMAGE | {"seed": seed},
        {"input_data": {"type": "image", "prompt": "p", "seed": seed}},
    )
    for body in bodies:
        answer = await house.post("/api/tasks", body)
        assert answer.status_code == 400 and "null for a random one" in answer.text
    async with house.connect() as phone:
        await phone.join("task:chat_1")
        payload = {"prompt": "p", "seed": seed}
        reply = await phone.push("task:chat_1", "image_generate", payload, "7")
        assert (reply["status"], reply["response"]["code"]) == ("error", "invalid")
    assert house.scripted.started == []


async def test_a_parameter_is_never_dropped_in_silence(tmp_path: Path) -> None:
    """What the model does not know is refused in the native form; in the app's it is
    ignored, and said to be."""
    from safelight.providers.scripted import Scripted

    painter = Scripted(name="local")
    async with served(tmp_path / "data", scripted_provider=painter, scripted_as="local") as house:
        native = {"kind": "image", "prompt": "p", "model": "local/paint", "params": {"guidance": 7}}
        answer = await house.post("/api/tasks", native)
        assert answer.status_code == 400
        assert answer.json()["error"]["details"][0]["field"] == "params.guidance"
        body = {"input_data": {"type": "image", "prompt": "p", "guidance": 7}}
        data = (await house.post("/api/tasks", body)).json()["data"]
        assert any("guidance" in warning for warning in data["warnings"])


def test_an_override_says_that_it_is_one(tmp_path: Path) -> None:
    """`safelight settings` names the source of each value, and marks one that a variable
    took from the file."""
    file = tmp_path / "safelight.toml"
    file.write_text('port = 5001\nlog_level = "debug"\n')
    environment = clean_environment() | {"SAFELIGHT_PORT": "5002"}
    done = subprocess.run(
        [sys.executable, "-m", "safelight", "settings"],
        cwd=tmp_path,
        env=environment | {"SAFELIGHT_CONFIG": str(file)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert done.returncode == 0, done.stderr
    assert "5002" in lines["port"] and "environment" in lines["port"] and "file" in lines["port"]
    assert "debug" in lines["log_level"] and "environment" not in lines["log_level"]


def test_an_address_that_a_variable_took_over_is_told(tmp_path: Path) -> None:
    """The very slip of the story: a variable overrides the address of one backend with that
    of the other. Both sources are shown, and the server does not start, naming both."""
    file = tmp_path / "safelight.toml"
    text = '[backends.kerniegen]\nurl = "http://127.0.0.1:8189"\n'
    file.write_text(text + '[backends.comfyui]\nurl = "http://127.0.0.1:8188"\n')
    moved = {"SAFELIGHT_BACKENDS__COMFYUI__URL": "http://127.0.0.1:8190"}
    swapped = {"SAFELIGHT_BACKENDS__COMFYUI__URL": "http://localhost:8189/"}

    def run(command: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "safelight", *command.split(), "--config", str(file)],
            cwd=tmp_path,
            env=clean_environment() | variables,
            capture_output=True,
            text=True,
            timeout=30,
        )

    printed = run("settings", moved).stdout.splitlines()
    (line,) = [line for line in printed if line.startswith("backends.comfyui.url")]
    assert "8190" in line and "environment" in line and "file" in line
    refused = run("serve --port 0", swapped)
    assert refused.returncode == 2
    assert "backends.comfyui.url" in refused.stderr and "kerniegen" in refused.stderr


EDITORS = [
    ({"nodes": [], "links": []}, "params.workflow", "Export (API)"),
    ({"3": {"class_type": "K", "inputs": {"seed": -1}}}, "params.workflow.3.inputs.seed", "0 to"),
]


@pytest.mark.parametrize(("graph", "field", "said"), EDITORS, ids=["form", "seed"])
async def test_a_graph_that_only_the_editor_understands_is_refused(
    tmp_path: Path, graph: dict[str, Any], field: str, said: str
) -> None:
    """What ComfyUI's editor saves for itself, and its seed of -1, are refused before
    anything runs, with what to send instead."""
    asked = IMAGE | {"model": "comfyui/workflow", "params": {"workflow": graph}}
    async with served(tmp_path, scripted_as="comfyui") as house:
        answer = await house.post("/api/tasks", asked)
        (detail,) = answer.json()["error"]["details"]
        assert (answer.status_code, detail["field"]) == (400, field)
        assert said in detail["expected"]
        assert house.scripted.started == []


async def test_no_seed_is_told_that_never_ran(tmp_path: Path) -> None:
    """A whole graph runs with its own seeds and words: a chosen seed is refused, none is
    drawn, and the picture does not say that it was made of ours."""
    graph = {"9": {"class_type": "KSampler", "inputs": {"seed": 5}}}
    asked = IMAGE | {"model": "comfyui/workflow", "params": {"workflow": graph}}
    async with workshops("red") as made, served(tmp_path, **given(made)) as house:
        answer = await house.post("/api/tasks", asked | {"seed": 7})
        (detail,) = answer.json()["error"]["details"]
        assert (answer.status_code, detail["field"]) == (400, "seed")
        assert "its own seeds" in detail["expected"] and made["red"].ran == []
        for model, seeds, said in (
            ("comfyui/workflow", {0}, {"model", "task_id"}),
            ("comfyui/txt2img", {7}, {"model", "task_id", "prompt", "seed"}),
        ):
            wish = asked if model == "comfyui/workflow" else IMAGE | {"model": model, "seed": 7}
            told = await house.post("/api/tasks", wish, Prefer="wait=10")
            data = told.json()["data"]
            assert {data["seed"], data["result_data"]["seed"]} == seeds
            png = (await house.http.get(data["result_data"]["image_url"])).content
            size, start = struct.unpack_from(">I", png, 33)[0], 41
            (keyword, text) = png[start : start + size].split(b"\0" * 5)
            assert (keyword, set(json.loads(text))) == (b"safelight", said)


@pytest.mark.slow
def test_no_second_process_works_with_other_settings(tmp_path: Path) -> None:
    """There is no worker beside the server: a second process on the same data, with
    whatever settings, is refused before it touches anything."""
    with server_process(tmp_path / "data", scripted=True) as server:
        stale = clean_environment() | {"SAFELIGHT_SCRIPTED": "false"}
        command = [sys.executable, "-m", "safelight", "serve", "--port", "0"]
        done = subprocess.run(
            [*command, "--data-dir", str(tmp_path / "data")],
            cwd=tmp_path,
            env=stale,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode != 0
        assert str(tmp_path / "data") in done.stdout + done.stderr
        made = httpx2.post(server.url + "/api/tasks", json=IMAGE, headers={"Prefer": "wait=10"})
        assert made.json()["data"]["result_data"]["provider"] == "scripted"


@pytest.mark.slow
def test_a_restart_with_other_settings_runs_nothing_elsewhere(tmp_path: Path) -> None:
    """A task whose provider is no longer there after a restart does not run on another one
    in its name: it ends as failed and says so, or waits, but never as somebody else's."""
    with server_process(tmp_path / "data", scripted=True) as server:
        hang = {"script": [{"do": "hang"}]}
        httpx2.post(server.url + "/api/tasks", json=IMAGE | {"id": "one", "params": hang})
    with server_process(tmp_path / "data", scripted=False) as server:
        answer = httpx2.get(server.url + "/api/tasks/one/events?after=0&wait=5").json()["data"]
        told = {event["provider"] for event in answer["events"] if event["type"] == "started"}
        assert told <= {"scripted"}
        shown = httpx2.get(server.url + "/api/tasks/one").json()["data"]
        assert (shown["provider"], shown["status"]) == ("scripted", "failed")
        assert os.linesep not in shown["error_data"]["message"]
