"""The scenes of docs/wire.md: every kind of request, answer and frame, played for real.

Each scene is one function over a `Recorder`; together they leave out nothing that a
client can meet on a good day, and most of a bad one. Gates instead of pauses make
their order the same in every run.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.workshop import given, workshops
from tests.e2e.recorder import Recorder, Scene
from tests.e2e.socket_scenes import SOCKET_SCENES

HALF = {"do": "progress", "to": 0.5, "step": 10, "steps": 20}


def picture(gate: str) -> dict[str, Any]:
    """A script that goes half way, waits for its gate and then makes a picture."""
    return {"script": [HALF, {"do": "wait", "gate": gate}, {"do": "image"}]}


def monk() -> dict[str, Any]:
    """The request that the first scenes are about."""
    return {
        "id": "monk-1",
        "kind": "image",
        "prompt": "a medieval monk",
        "model": "scripted/image",
        "seed": 7,
        "params": picture("monk"),
    }


async def create(rec: Recorder) -> None:
    """Accepted, repeated, and in the deployed app's form."""
    rec.scene("create", "rest", "A new task. It is on disk before this answer is sent.")
    await rec.ask("POST", "/api/tasks", monk(), idempotency_key="monk-key")
    rec.scene("attach", "rest", "The same request again, even without its key: the same task.")
    await rec.ask("POST", "/api/tasks", monk())
    rec.scene("create.app", "rest", "The deployed app's form, waiting for the end.")
    body = {"input_data": {"type": "image", "prompt": "Test image"}}
    await rec.ask("POST", "/api/tasks", body, prefer="wait=10")


async def refusals(rec: Recorder) -> None:
    """Every form in which REST says no."""
    rec.scene("refused", "rest", "Every wrong field is named, with what was found and expected.")
    wrong = {"kind": "image", "prompt": "", "sed": 7, "seed": -1}
    await rec.ask("POST", "/api/tasks", wrong)
    rec.scene(
        "refused.app", "rest", "The same in answer to the app's form: its codes, its details."
    )
    wrong = {"input_data": {"type": "image", "prompt": "", "seed": -1}}
    await rec.ask("POST", "/api/tasks", wrong)
    rec.scene("id_conflict", "rest", "An id that another request has.")
    await rec.ask("POST", "/api/tasks", monk() | {"prompt": "a modern monk"})
    rec.scene("key_reused", "rest", "A key that another request has.")
    other = {"kind": "image", "prompt": "a nun", "model": "scripted/image"}
    await rec.ask("POST", "/api/tasks", other, idempotency_key="monk-key")
    rec.scene("not_found", "rest", "Nobody's task, or another owner's: there is no difference.")
    await rec.ask("GET", "/api/tasks/nobody-knows")


async def follow(rec: Recorder) -> None:
    """Long-poll, SSE, and what a cursor does."""
    rec.scene("poll", "rest", "Long-poll: the events after a seq, as soon as there is one.")
    # The third event is the first that this waits for: queued, started, progress.
    log = rec.house.context.log.id
    await rec.ask("GET", f"/api/tasks/monk-1/events?after={log}-2&wait=30")
    rec.scene("show", "rest", "The task as it is now.")
    await rec.ask("GET", "/api/tasks/monk-1")
    rec.scene("still_running", "rest", "A task that runs is not deleted.")
    await rec.ask("DELETE", "/api/tasks/monk-1")
    rec.house.scripted.gate("monk").set()
    rec.scene("sse", "rest", "Server-sent events after a cursor, to the end of the task.")
    await rec.ask("GET", "/api/tasks/monk-1/events", last_event_id=f"{log}-2")
    rec.scene("sse.end", "rest", "Coming back at the end: 204, or an EventSource would never stop.")
    await rec.ask("GET", "/api/tasks/monk-1/events", last_event_id=f"{log}-5")
    rec.scene("sse.gap", "rest", "A cursor of another history: the snapshot, then what follows it.")
    await rec.ask("GET", "/api/tasks/monk-1/events", last_event_id="0123456789ab-2")


async def ends(rec: Recorder) -> None:
    """Cancel and delete."""
    await rec.house.create(id="slow-1", params={"script": [HALF, {"do": "hang"}]})
    await rec.house.http.get("/api/tasks/slow-1/events?after=2&wait=30&log=" + _log(rec))
    rec.scene("cancel", "rest", "A cancel is asked; the task's own end says what came of it.")
    await rec.ask("POST", "/api/tasks/slow-1/cancel")
    await rec.house.events("slow-1")
    rec.scene("cancel.ended", "rest", "A cancel after the end changes nothing.")
    await rec.ask("POST", "/api/tasks/slow-1/cancel")
    rec.scene("delete", "rest", "Deleted; the id stays taken.")
    await rec.ask("DELETE", "/api/tasks/slow-1")
    await rec.ask("GET", "/api/tasks/slow-1")


async def several(rec: Recorder) -> None:
    """Many creates in one request, and a text in one answer."""
    rec.scene("batch", "rest", "Each request of a batch has a verdict of its own, in their order.")
    haiku = {"id": "fog-1", "kind": "text", "prompt": "fog", "model": "scripted/text"}
    await rec.ask("POST", "/api/tasks:batch", {"tasks": [haiku, haiku | {"id": "chat_1"}]})
    await rec.house.events("fog-1")
    rec.scene("generate", "rest", "A text in one answer; its task is one like all others.")
    body = {"prompt": "a haiku about fog", "model": "gpt-4.1", "request_id": "fog-2"}
    await rec.ask("POST", "/api/llm/generate", body)


async def collections(rec: Recorder) -> None:
    """Lists and files."""
    rec.scene("list", "rest", "A page of tasks, newest first.")
    await rec.ask("GET", "/api/tasks?limit=1")
    rec.scene("models", "rest", "Models (cut to the first).")
    await rec.ask("GET", "/api/models?kind=image", cut=_only_first_model)
    rec.scene("preferences", "rest", "What the owner chooses, for all devices.")
    await rec.ask("PATCH", "/api/preferences", {"backend": None})
    await rec.ask("PATCH", "/api/preferences", {"backend": "kerniegen"})
    await backends(rec)
    made = (await rec.house.http.get("/api/tasks/monk-1")).json()["data"]["artifacts"][0]
    rec.scene("artifact", "rest", "A part of a file. Its id is all the right it takes.")
    await rec.ask("GET", made["url"], range="bytes=0-7")
    rec.scene("ready", "rest", "Whether the server takes tasks.")
    await rec.ask("GET", "/readyz")


async def backends(rec: Recorder) -> None:
    """A server that has one, for as long as it is asked about it."""
    own = rec.house
    async with workshops("kerniegen") as made:
        with TemporaryDirectory() as folder:
            async with served(Path(folder), **given(made)) as rec.house:
                directory = rec.house.context.backends
                while directory.health("kerniegen").status != "up":
                    await directory.refresh(["kerniegen"], PATIENCE)
                rec.scene("backends", "rest", "A named backend (its address is made up).")
                await rec.ask("GET", "/api/backends/kerniegen", cut=_made_up)
    rec.house = own


def _made_up(answer: Any) -> None:
    told = answer["data"]
    del told["models"][1:]
    told |= {"url": "http://127.0.0.1:8189", "latency_ms": 2.5}


def _only_first_model(answer: Any) -> None:
    del answer["data"]["models"][1:]


def _log(rec: Recorder) -> str:
    return rec.house.context.log.id


SCENES = (create, refusals, follow, ends, several, collections, *SOCKET_SCENES)


async def play(house: Served) -> list[Scene]:
    """All scenes, one after the other, on one server."""
    recorder = Recorder(house)
    for scene in SCENES:
        await scene(recorder)
    return recorder.masked()
