"""Everything that may go wrong with Replicate, as a table: what the client saw, how often the
provider was asked to run, and what the books say, which must be what its own log says.

The emulator is a process of its own, the server a real one on real sockets; in the rows on
kills it is a process too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx2
import msgspec
import pytest

from tests.doubles.emulated import emulated
from tests.doubles.process import server_process
from tests.doubles.replicate_rig import (
    FLUX,
    LANTERN,
    LLAMA,
    VIDEO,
    WAN,
    Rig,
    models_file,
    rigged,
)
from tests.doubles.served import PATIENCE

pytestmark = pytest.mark.slow


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row: what is asked for and goes wrong, and what must come of it. `runs` are those
    of the emulator's log, `end` is the last event and `code` its error."""

    name: str
    model: str = FLUX
    faults: tuple[str, ...] = ()
    params: dict[str, Any] = {}
    webhooks: bool = True
    request_seconds: float = 10.0
    end: str = "completed"
    code: str | None = None
    runs: int = 1
    attempts: int = 1


ROWS = [
    Row(name="create by model"),
    Row(name="create by version", model=LANTERN),
    Row(name="text by the same path", model=LLAMA, params={"max_tokens": 40}),
    Row(name="video by the same path", model=VIDEO, params={"duration": 6}),
    Row(name="polls alone", webhooks=False),
    Row(name="polls alone, text", model=LLAMA, webhooks=False),
    Row(name="lost webhooks", faults=("lost-webhook",)),
    Row(name="lost last webhook", faults=("lost-webhook=completed",)),
    Row(name="duplicate webhooks", faults=("duplicate-webhook",)),
    Row(name="disorder", faults=("disorder",), model=LANTERN, params={"steps": 20}),
    Row(name="bad signatures", faults=("bad-signature",)),
    Row(name="old signatures", faults=("skew",)),
    Row(name="throttled create", faults=("throttle=0.1@1",), attempts=2),
    Row(name="throttled poll", faults=("throttle=0.1:get@1",), webhooks=False),
    Row(name="500, nothing began", faults=("http-500@1",), attempts=2),
    Row(name="503, nothing began", faults=("http-503@1",), attempts=2),
    Row(name="500, and it began", faults=("begun-500@1",)),
    Row(name="500 of a poll", faults=("http-500=get@1", "http-500=get@2"), webhooks=False),
    Row(name="500 of the list", faults=("lost-answer@1", "http-500=list@1")),
    Row(name="lost answer", faults=("lost-answer@1",)),
    Row(name="lost answer, no mark", faults=("lost-answer@1",), webhooks=False),
    Row(name="lost answer, no seed", faults=("lost-answer@1",), model=LLAMA, webhooks=False),
    Row(name="lost request", faults=("lost-request@1",), attempts=2),
    Row(name="lost request, no mark", faults=("lost-request@1",), webhooks=False, attempts=2),
    Row(name="create hangs", faults=("hang@1",), request_seconds=2.0),
    Row(name="poll hangs", faults=("hang=get@1",), webhooks=False, request_seconds=2.0),
    Row(name="aborted", faults=("abort@1",), runs=2, attempts=2),
    Row(
        name="wrong key",
        faults=("unauthorized@1",),
        end="failed",
        code="provider_refused",
        runs=0,
    ),
    Row(
        name="no credit",
        faults=("no-credit@1",),
        end="failed",
        code="provider_refused",
        runs=0,
    ),
    Row(name="moderated", faults=("moderated@1",), end="failed", code="content_refused"),
    Row(name="model fails", faults=("fail@1",), end="failed", code="provider_failed"),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_row(row: Row, tmp_path: Path) -> None:
    """Each row ends as it should, runs as often as it should, and costs what was run."""
    async with rigged(tmp_path, webhooks=row.webhooks, request_seconds=row.request_seconds) as rig:
        await rig.arm(*row.faults)
        task = await rig.create(row.model, params=row.params)
        events = await rig.house.events(task["task_id"])
        last = events[-1]
        assert last["type"] == row.end, last
        assert last.get("error_data", {}).get("code") == row.code
        assert last["attempt"] == row.attempts
        assert len(rig.emulator.runs()) == row.runs
        assert await _spent(rig) == rig.emulator.cost()
        if row.end == "completed" and row.model != LLAMA:
            assert len([one for one in events if one["type"] == "artifact"]) == 1
        assert "credit" not in str(last) and "authentication" not in str(last)


async def _spent(rig: Rig) -> int:
    answer = await rig.house.http.get("/api/usage")
    total: int = answer.json()["data"]["total_micros"]
    return total


async def test_progress(tmp_path: Path) -> None:
    """What the model prints becomes progress that never falls, with its steps."""
    async with rigged(tmp_path, pace=0.2, webhooks=False) as rig:
        task = await rig.create(LANTERN, params={"steps": 10})
        events = await rig.house.events(task["task_id"])
        told = [event["progress"] for event in events]
        steps = {(event.get("step"), event.get("steps")) for event in events}
        assert told == sorted(told) and [one for one in told if 0 < one < 1]
        known = {(step, 10) for step in range(11)}  # which of them a poll meets is chance
        assert steps & known and steps <= known | {(None, None)}


async def test_a_run_that_never_ends(tmp_path: Path) -> None:
    """A run that hangs is cut off at its deadline, and ended at the provider."""
    async with rigged(tmp_path, attempt_timeout_seconds=3.0) as rig:
        await rig.arm("hang=run@1")
        task = await rig.create(LANTERN)
        last = (await rig.house.events(task["task_id"]))[-1]
        assert (last["type"], last["error_data"]["code"]) == ("failed", "timeout")
        [run] = rig.emulator.runs()
        assert run["outcome"] == "canceled"


async def test_text_comes_in_pieces(tmp_path: Path) -> None:
    """A text is told as it is written, and its pieces are the whole of it."""
    async with rigged(tmp_path, pace=0.1, webhooks=False) as rig:
        task = await rig.create(LLAMA, params={"max_tokens": 60})
        events = await rig.house.events(task["task_id"])
        pieces = [event["delta"] for event in events if event["type"] == "text"]
        assert len(pieces) > 2
        assert "".join(pieces) == events[-1]["result_data"]["content"]


async def test_cancel(tmp_path: Path) -> None:
    """A cancel ends the run at the provider, and what had run is charged."""
    async with rigged(tmp_path, pace=0.3) as rig:
        task = await rig.create(LANTERN, params={"steps": 50})
        await rig.until(task["task_id"], lambda event: event["progress"] > 0)
        await rig.house.post(f"/api/tasks/{task['task_id']}/cancel")
        last = (await rig.house.events(task["task_id"]))[-1]
        [run] = rig.emulator.runs()
        assert (last["type"], run["outcome"]) == ("canceled", "canceled")
        assert await _spent(rig) == rig.emulator.cost() > 0


async def test_cancel_before_it_began(tmp_path: Path) -> None:
    """A cancel while it waits for its turn is free, and says so."""
    async with rigged(tmp_path) as rig:
        await rig.arm("hang=queue@1")
        task = await rig.create(FLUX)
        await rig.until(task["task_id"], lambda event: "turn" in str(event.get("message")))
        await rig.house.post(f"/api/tasks/{task['task_id']}/cancel")
        last = (await rig.house.events(task["task_id"]))[-1]
        assert last["type"] == "canceled"
        assert last["charge"]["verdict"] == "free"
        assert "before it began" in last["charge"]["reason"]
        assert await _spent(rig) == rig.emulator.cost() == 0


async def test_what_the_model_does_not_take(tmp_path: Path) -> None:
    """A request that the model's schema does not take is refused, and nothing runs."""
    async with rigged(tmp_path) as rig:
        body = {
            "kind": "image",
            "prompt": "a lamp",
            "model": FLUX,
            "params": {"steps": 40, "aspect_ratio": "5:4", "stepz": 1},
            "max_cost": 1,
        }
        answer = await rig.house.post("/api/tasks", body)
        details = answer.json()["error"]["details"]
        assert answer.status_code == 400
        assert {one["field"]: one["expected"] for one in details} == {
            "params.steps": "an integer from 1 to 4",
            "params.aspect_ratio": "one of 1:1, 16:9, 9:16, 4:3",
            "params.stepz": details[2]["expected"],
        }
        assert rig.emulator.asked("POST", "/v1/models") == 0


async def test_schema_is_shown(tmp_path: Path) -> None:
    """The door to a model's schema shows what its provider says that it takes."""
    async with rigged(tmp_path) as rig:
        told = (await rig.house.http.get(f"/api/models/{FLUX}/schema")).json()["data"]
        assert told["properties"]["aspect_ratio"]["enum"] == ["1:1", "16:9", "9:16", "4:3"]
        assert "prompt" not in told["properties"] and told["additionalProperties"] is False
        assert told["x-model"] == FLUX


async def test_provider_that_is_away(tmp_path: Path) -> None:
    """With nobody there a create is refused; one that it attaches to is still found."""
    async with rigged(tmp_path, request_seconds=5.0) as rig:
        first = await rig.create(FLUX, id="one")
        await rig.house.events(first["task_id"])
        await anyio.to_thread.run_sync(rig.emulator.kill)
        body = {"kind": "image", "prompt": "a lamp", "model": LANTERN, "max_cost": 1}
        answer = await rig.house.post("/api/tasks", body)
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_unreachable")
        same = body | {"id": "one", "model": FLUX, "max_cost": 10}
        answer = await rig.house.post("/api/tasks", same)
        assert answer.status_code == 200, answer.text


async def test_chain_keeps_its_still(tmp_path: Path) -> None:
    """A video is made of a picture's task; when it fails, the picture is still there."""
    async with rigged(tmp_path) as rig:
        still = await rig.create(FLUX)
        made = (await rig.house.events(still["task_id"]))[-1]["result_data"]["image_url"]
        inputs = [{"task": still["task_id"]}]
        good = await rig.create(WAN, inputs=inputs, params={"num_frames": 81})
        assert (await rig.house.events(good["task_id"]))[-1]["type"] == "completed"
        [_, second] = rig.emulator.runs()
        assert second["marks"]["input"]["image"].startswith("data:image/webp;base64,")
        await rig.arm("fail@1")
        bad = await rig.create(WAN, inputs=inputs, params={"num_frames": 81}, reuse="never")
        assert (await rig.house.events(bad["task_id"]))[-1]["type"] == "failed"
        answer = await rig.house.http.get(made)
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/webp"
        assert await _spent(rig) == rig.emulator.cost() == 53_000


async def test_chain_needs_its_still(tmp_path: Path) -> None:
    """A model that starts from a picture is not started without one."""
    async with rigged(tmp_path) as rig:
        body = {"kind": "video", "prompt": "it moves", "model": WAN, "max_cost": 1}
        answer = await rig.house.post("/api/tasks", body)
        [detail] = answer.json()["error"]["details"]
        assert detail["field"] == "inputs" and "image" in detail["expected"]


async def test_forged_webhook(tmp_path: Path) -> None:
    """A webhook is checked: what anybody may send says nothing about a prediction."""
    async with rigged(tmp_path, pace=0.05) as rig:
        task = await rig.create(LANTERN, params={"steps": 5})
        await rig.until(task["task_id"], lambda event: event.get("prediction_id") is not None)
        [run] = rig.emulator.runs()
        forged = {"id": run["run"], "status": "failed", "error": "forged"}
        answer = await rig.house.post("/api/webhooks/replicate", forged)
        assert answer.status_code == 401
        assert (await rig.house.events(task["task_id"]))[-1]["type"] == "completed"


KILLS = [
    ("while it runs", (), True),
    ("while it runs, polls alone", (), False),
    ("after a lost answer", ("lost-answer@1",), True),
    ("after a lost answer, no mark", ("lost-answer@1",), False),
]


@pytest.mark.parametrize(
    ("faults", "webhooks"), [row[1:] for row in KILLS], ids=[k[0] for k in KILLS]
)
def test_killed_and_started_again(faults: tuple[str, ...], webhooks: bool, tmp_path: Path) -> None:
    """A server that is killed in the middle finds the same run again, and pays once."""
    with emulated(tmp_path, "replicate", pace=0.15) as emulator:
        where = {"public_url": "http://127.0.0.1:9"} if webhooks else {}
        settings = {
            "providers__replicate__url": f"{emulator.url}/v1",
            "providers__replicate__key": emulator.key,
            "models_file": models_file(tmp_path),
        }
        with server_process(tmp_path / "data", **settings, **where) as server:
            with httpx2.Client(base_url=server.url, timeout=PATIENCE) as client:
                emulator.arm(*faults) if faults else None
                body = {"kind": "image", "prompt": "a lamp", "model": LANTERN, "max_cost": 1}
                params = {"params": {"steps": 20}}
                task = client.post("/api/tasks", json=body | params).json()["data"]["task_id"]
                _until_begun(client, task, emulator.runs)
                server.kill()
                server.start()
            with httpx2.Client(base_url=server.url, timeout=60.0) as client:
                ended = client.get(f"/api/tasks/{task}/events", params={"wait": 0}).json()
                while ended["data"]["events"][-1]["type"] not in ("completed", "failed"):
                    after = ended["data"]["cursor"]
                    asked = {"wait": 30, "after": after}
                    more = client.get(f"/api/tasks/{task}/events", params=asked).json()
                    ended = more if more["data"]["events"] else ended
                spent = client.get("/api/usage").json()["data"]["total_micros"]
        assert ended["data"]["events"][-1]["type"] == "completed"
        assert len(emulator.runs()) == 1
        assert spent == emulator.cost()


def _until_begun(client: httpx2.Client, task: str, runs: Any) -> None:
    """Wait, by its events, until the emulator has begun it."""
    after: dict[str, str] = {}
    for _ in range(100):
        if runs():
            return
        more = client.get(f"/api/tasks/{task}/events", params={"wait": 1, **after}).json()["data"]
        after = {"after": more["cursor"]}
    raise AssertionError("it never began")
