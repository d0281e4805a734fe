"""The scenes of docs/wire.md on the Phoenix socket. See `scenes.py`."""

from __future__ import annotations

from typing import Any

from tests.e2e.recorder import Recorder

IMAGE = {"kind": "image", "prompt": "a lighthouse", "model": "scripted/image", "seed": 7}
TEXT = {"kind": "text", "prompt": "a haiku", "model": "scripted/text", "seed": 7}
STEP = {"do": "progress", "to": 0.5, "step": 10, "steps": 20}
PREVIEW = {"do": "preview", "step": 10}
FAULTS = [
    {"do": "fault", "message": "the model is cold", "attempt": 1},
    {"do": "never", "code": "invalid_input", "message": "the prompt was refused", "attempt": 2},
]


def made(request: dict[str, Any], *script: dict[str, Any]) -> dict[str, Any]:
    """A request that plays a script."""
    return request | {"params": {"script": list(script)}}


def gated(name: str) -> dict[str, Any]:
    """A step that waits until the scene opens it."""
    return {"do": "wait", "gate": name}


async def heartbeat(rec: Recorder) -> None:
    """The one topic that is always there."""
    rec.scene("heartbeat", "socket", "Every 30 s, or the server takes the client for gone.")
    async with rec.socket() as wire:
        await wire.send(None, "1", "phoenix", "heartbeat", {})
        await wire.until("phx_reply")


async def whole_life(rec: Recorder) -> None:
    """A task from its creation to its end, previews included."""
    rec.scene(
        "join.create",
        "socket",
        "A join that makes the task and follows it from its first event: reply, status, events,"
        " a binary preview, the picture, the end. Then a leave.",
    )
    body = made(IMAGE, STEP, PREVIEW, gated("light"), {"do": "image"})
    payload = {"create": body, "after": 0, "previews": "binary"}
    async with rec.socket() as wire:
        await wire.send("1", "1", "task:light-1", "phx_join", payload)
        await wire.until("phx_reply", "status", "progress", "preview")
        rec.house.scripted.gate("light").set()
        await wire.until("completed")
        await wire.send("1", "2", "task:light-1", "phx_leave", {})
        await wire.until("phx_reply", "phx_close")


async def resumed(rec: Recorder) -> None:
    """What a later join gets."""
    log = rec.house.context.log.id
    rec.scene("join.after", "socket", "A join with a cursor: the events after it, then status.")
    async with rec.socket() as wire:
        await wire.send("1", "1", "task:light-1", "phx_join", {"after": f"{log}-4"})
        await wire.until("phx_reply", "completed", "status")
    rec.scene(
        "join.ended",
        "socket",
        "A join of an ended task without a cursor: the reply, the event that ended it, status.",
    )
    async with rec.socket() as wire:
        await wire.send("1", "1", "task:light-1", "phx_join", {})
        await wire.until("phx_reply", "completed", "status")
    rec.scene("join.gap", "socket", "A cursor of another history: `gap`, and the snapshot instead.")
    async with rec.socket() as wire:
        await wire.send("1", "1", "task:light-1", "phx_join", {"after": "0123456789ab-4"})
        await wire.until("phx_reply", "completed", "status")


async def other_lives(rec: Recorder) -> None:
    """The events that a picture which succeeds does not have."""
    rec.scene("text", "socket", "A text grows by its deltas.")
    payload = {"create": made(TEXT, {"do": "text", "delta": "An old pond."}), "after": 0}
    async with rec.socket() as wire:
        await wire.send("1", "1", "task:haiku-1", "phx_join", payload)
        await wire.until("text", "completed", only=True)
    rec.scene("failure", "socket", "A fault that may pass, then one that does not.")
    payload = {"create": made(IMAGE, *FAULTS), "after": 0}
    async with rec.socket() as wire:
        await wire.send("1", "1", "task:bad-1", "phx_join", payload)
        await wire.until("retrying", "started", "failed", only=True)
    rec.scene("cancel.push", "socket", "A cancel: its reply, and what became of it.")
    payload = {"create": made(IMAGE, STEP, {"do": "hang"}), "after": 0}
    async with rec.socket() as wire:
        await wire.send("1", "1", "task:long-1", "phx_join", payload)
        await wire.until("progress", only=True)
        await wire.send("1", "2", "task:long-1", "cancel", {})
        await wire.until_all("phx_reply", "canceling", "canceled")


async def previews(rec: Recorder) -> None:
    """Previews for clients that take no binary frames."""
    rec.scene("preview.url", "socket", "A preview as an address, for clients without binary.")
    payload = {"create": made(IMAGE, PREVIEW, gated("url"), {"do": "image"}), "previews": "url"}
    async with rec.socket() as wire:
        await wire.send("1", "1", "task:light-2", "phx_join", payload)
        await wire.until("preview_ready", only=True)
        rec.house.scripted.gate("url").set()


async def refusals(rec: Recorder) -> None:
    """Every form in which the socket says no."""
    rec.scene("join.unknown", "socket", "A task that nobody made.")
    async with rec.socket() as wire:
        await wire.send("1", "1", "task:nobody-knows", "phx_join", {})
        await wire.until("phx_reply")
    rec.scene("join.refused", "socket", "A join whose create is refused.")
    async with rec.socket() as wire:
        create = {"kind": "image", "prompt": "", "seed": -1}
        await wire.send("1", "1", "task:bad-2", "phx_join", {"create": create})
        await wire.until("phx_reply")
    rec.scene("unmatched", "socket", "A topic of no form, and an event where nothing is joined.")
    async with rec.socket() as wire:
        await wire.send("1", "1", "room:lobby", "phx_join", {})
        await wire.until("phx_reply")
        await wire.send(None, "2", "task:light-1", "ping", {})
        await wire.until("phx_reply")
    rec.scene("hangup", "socket", "What is no frame has no ref to answer: the server hangs up.")
    async with rec.socket() as wire:
        await wire.send('{"topic":"task:light-1"}')
        await wire.until_closed()


async def commands(rec: Recorder) -> None:
    """What can be pushed on a joined task."""
    rec.scene("ping", "socket", "A ping comes back as it was; an event of no meaning is refused.")
    async with rec.socket() as wire:
        await wire.phone.join("task:light-1", join_ref="1")
        await wire.until("status", only=True)
        rec.scenes[-1].lines.clear()
        await wire.send("1", "2", "task:light-1", "ping", {"at": 17})
        await wire.until("phx_reply")
        await wire.send("1", "3", "task:light-1", "paint", {})
        await wire.until("phx_reply")
    rec.scene(
        "rejoin",
        "socket",
        "A second join of a topic on one socket: its reply, the end of the first join, its status.",
    )
    async with rec.socket() as wire:
        await wire.phone.join("task:haiku-1", join_ref="1")
        await wire.until("status", only=True)
        rec.scenes[-1].lines.clear()
        await wire.send("4", "4", "task:haiku-1", "phx_join", {})
        await wire.until("phx_reply", "phx_close", "completed", "status")


async def the_app(rec: Recorder) -> None:
    """What the deployed app does."""
    rec.scene(
        "image_generate",
        "socket",
        "The deployed app makes its task over REST, joins, and then pushes the same request: it"
        " attaches. The push `image_response` acknowledges it, and since the task has ended,"
        " its end is told again.",
    )
    data = {"type": "image", "prompt": "a harbour", "model": "scripted/image"}
    await rec.ask("POST", "/api/tasks", {"input_data": data}, prefer="wait=10")
    id = await _newest(rec)
    topic = f"task:{id}"
    async with rec.socket() as wire:
        await wire.send("1", "1", topic, "phx_join", {})
        await wire.until("status")
        again = {"prompt": "a harbour", "model": "scripted/image", "request_id": "r-1"}
        await wire.send("1", "2", topic, "image_generate", again)
        await wire.until("phx_reply", "image_response", "completed")
        await wire.send("1", "3", topic, "image_generate", {"prompt": " "})
        await wire.until("image_response", "phx_reply")
    rec.scene(
        "llm_generate",
        "socket",
        "A conversation's channel exists without a task; what is pushed there makes one.",
    )
    async with rec.socket() as wire:
        await wire.send("1", "1", "task:chat_1", "phx_join", {})
        await wire.until("phx_reply")
        asked = {"prompt": "a haiku", "model": "scripted/text", "request_id": "r-2"}
        await wire.send("1", "2", "task:chat_1", "llm_generate", asked)
        await wire.until("phx_reply", "llm_response")
    rec.scene(
        "conversation.events",
        "socket",
        "With `events: true` the topic also carries the events of what was asked for there."
        " `llm_response` comes before the end; here it was lost, and is had again.",
    )
    async with rec.socket() as wire:
        await wire.send("1", "1", "task:chat_1", "phx_join", {"events": True, "after": 7})
        await wire.until("phx_reply")
        await wire.send("1", "2", "task:chat_1", "llm_generate", asked)
        await wire.until("phx_reply", "llm_response", "completed")


async def supabase(rec: Recorder) -> None:
    """The dialect of realtime-js."""
    rec.scene(
        "realtime",
        "socket",
        "`@supabase/realtime-js` puts `realtime:` before the topic; all that is told there is a"
        " `broadcast`, and so is what it commands (here in text, as V1 of it sends).",
    )
    topic = "realtime:task:haiku-1"
    join = {"config": {"broadcast": {"ack": True}, "postgres_changes": []}}
    ping = {"type": "broadcast", "event": "ping", "payload": {"at": 17}}
    async with rec.socket() as wire:
        await wire.send("1", "1", topic, "phx_join", join)
        await wire.until("phx_reply", "broadcast", "broadcast")
        await wire.send("1", "2", topic, "broadcast", ping)
        await wire.until("phx_reply")


async def gallery(rec: Recorder) -> None:
    """All tasks of one owner."""
    rec.scene(
        "gallery",
        "socket",
        "Every task of the owner: the newest, each as it changes, an older page, a deletion; and"
        " what the owner has chosen, when that changes.",
    )
    async with rec.socket() as wire:
        await wire.send("1", "1", "tasks:mine", "phx_join", {"limit": 1})
        reply = await wire.until("phx_reply")
        body = made(IMAGE, STEP, gated("gallery"), {"do": "image"})
        await rec.house.create(**body | {"id": "light-3"})
        await wire.until("task", only=True)
        rec.house.scripted.gate("gallery").set()
        await rec.house.events("light-3")
        before = reply[4]["response"]["next"]
        await wire.send("1", "2", "tasks:mine", "list", {"before": before, "limit": 1})
        await wire.until("phx_reply", only=True)
        await rec.house.http.delete("/api/tasks/light-3")
        await wire.until("task_deleted", only=True)
        await rec.house.http.patch("/api/preferences", json={"backend": None})
        await wire.until("preferences", only=True)


async def version_one(rec: Recorder) -> None:
    """The frames of V1."""
    rec.scene("v1", "socket", "V1 (`vsn=1.0.0`, or none) says the same with objects, text only.")
    async with rec.socket("vsn=1.0.0") as wire:
        await wire.send({"topic": "task:haiku-1", "event": "phx_join", "payload": {}, "ref": "1"})
        await wire.until("phx_reply", "completed", "status")


async def _newest(rec: Recorder) -> str:
    listed = (await rec.house.http.get("/api/tasks?limit=1")).json()
    id: str = listed["data"]["tasks"][0]["task_id"]
    return id


SOCKET_SCENES = (
    heartbeat,
    whole_life,
    resumed,
    other_lives,
    previews,
    refusals,
    commands,
    the_app,
    supabase,
    gallery,
    version_one,
)
