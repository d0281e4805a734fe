"""The recorded frames of docs/frames.json are what the published schemas say.

That a server still sends their like is held by tests/e2e/test_frames.py, which plays
the recording again. Schemas are closed here: a field that they do not name is a failure.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from safelight import schema
from safelight.schema import asyncapi, openapi, types
from safelight_protocol.schema import closure, located
from safelight_protocol.schema.components import references

FRAMES = json.loads((Path(__file__).parents[2] / schema.FRAMES).read_text())


def validator(name: str, *, closed: bool = False) -> Draft202012Validator:
    """Checks values against a component; `closed` refuses fields that it does not name."""
    found = located(closure(types.components(), [name]), "#/$defs/")
    if closed:
        for one in found.values():
            if "properties" in one:
                one["additionalProperties"] = False
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": found})


def frames_of(door: str) -> list[Any]:
    """Everything that was recorded at a door, with who said it and in which scene."""
    return [
        pytest.param(line["by"], line["text"], id=f"{scene['name']}-{place}")
        for scene in FRAMES
        if scene["door"] == door
        for place, line in enumerate(scene["lines"])
        if not line["text"].startswith(("close ", "binary"))
    ]


REST_DATA = {
    "events": "EventsData",
    "checkpoints": "Backend",
    "models": "ModelsData",
    "tasks": "TaskListData",
    "results": "BatchData",
    "content": "TextData",
    "created": "CreatedData",
    "input_data": "TaskData",
    "task_id": "DeletedData",
    "version": "ReadyData",
    "backend": "Preferences",
}
"""Which component an answer's `data` is, by the first of these fields that it has."""


@pytest.mark.parametrize(("by", "text"), frames_of("rest"))
def test_recorded_answers_fit_their_schemas(by: str, text: str) -> None:
    """What REST answered has exactly the fields that the schemas name."""
    for line in text.splitlines():
        body = line.removeprefix("data: ")
        if by == "server" and body.startswith("{"):
            check_rest(json.loads(body))


def check_rest(body: dict[str, Any]) -> None:
    """One answer, or one event of a stream."""
    if "seq" in body:
        name, value = "TaskEvent", body
    elif "success" not in body:
        name, value = "GapData", body
    elif body["success"]:
        value = body["data"]
        name = next(name for field, name in REST_DATA.items() if field in value)
    else:
        app = isinstance(body["error"]["details"], dict)
        name, value = "AppProblem" if app else "Problem", body
    validator(name, closed=True).validate(value)


SOCKET_SCENES = [scene for scene in FRAMES if scene["door"] == "socket"]


@pytest.mark.parametrize("scene", SOCKET_SCENES, ids=lambda scene: scene["name"])
def test_recorded_frames_fit_the_channels(scene: Any) -> None:
    """Every recorded frame of the socket is a message of its channel in asyncapi.json, and
    every reply is the one that belongs to what was asked."""
    asked: dict[Any, str] = {}
    for line in scene["lines"]:
        frame = frame_of(line["text"])
        if frame is not None and frame[2] != "room:lobby" and frame[3] != "paint":
            if line["by"] == "client":
                asked[frame[1]] = frame[3]
            check_frame(line["by"], frame, asked)


def frame_of(text: str) -> list[Any] | None:
    """A text frame of either version as an array of five; None for anything else."""
    if not text.startswith(("[", "{")):
        return None
    frame = json.loads(text)
    if isinstance(frame, list):
        return frame
    if "event" not in frame:
        return None
    return [None, frame["ref"], frame["topic"], frame["event"], frame["payload"]]


def check_frame(by: str, frame: list[Any], asked: dict[Any, str]) -> None:
    """One frame against its message, in closed form if it is the server's."""
    channel = channel_of(frame[2])
    event, value = frame[3], frame[4]
    if by == "client":
        payloads = [one.payload for one in asyncapi.ASKED[channel] if one.event == event]
    elif event == "phx_reply":
        own = [one.response for one in asyncapi.ASKED[channel] if one.event == asked.get(frame[1])]
        refused = [{"$ref": openapi.PLACE + "SocketError"}]
        payloads, value = refused if value["status"] == "error" else own, value["response"]
    else:
        payloads = [one.payload for one in asyncapi.TOLD[channel] if one.event == event]
    assert len(payloads) == 1, f"{event} on {channel}"
    blank = by == "client" and not str(value.get("create", value).get("prompt", "-")).strip()
    assert blank or fits(payloads[0], value, closed=by == "server"), frame


def channel_of(topic: str) -> str:
    """The channel of asyncapi.json that a topic belongs to."""
    if topic.startswith(("task:chat_", "task:llm_", "task:swift_")):
        return "conversation"
    if topic.startswith("realtime:"):
        return "realtime"
    return {"tasks:mine": "gallery", "phoenix": "phoenix"}.get(topic, "task")


def fits(payload: Any, value: Any, *, closed: bool) -> bool:
    """Whether a value is what a payload of asyncapi.json says."""
    names = [ref.removeprefix(openapi.PLACE) for ref in references(payload)]
    if not names:
        return Draft202012Validator(payload).is_valid(value)
    return any(validator(name, closed=closed).is_valid(value) for name in names)
