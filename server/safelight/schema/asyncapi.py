"""asyncapi.json (3.0): the channels of the socket by hand, over the generated components.

Every message is given as the V2 text frame that carries it, an array of five; V1 says
the same as an object, and previews may come as binary frames (docs/wire.md). Seen from
the server: it receives joins and commands, and sends replies and pushes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from safelight_protocol.schema import Schema, closure, located
from safelight_protocol.topics import CONVERSATION_PREFIXES

from .types import SOCKET, as_json, components

PLACE = "#/components/schemas/"


class Asked(msgspec.Struct, frozen=True):
    """A frame of the client: what it carries, and what an ok reply to it carries."""

    event: str
    payload: Schema
    response: Schema
    summary: str


class Told(msgspec.Struct, frozen=True):
    """A frame of the server that nobody asked for. `joined` ones carry the join's ref."""

    event: str
    payload: Schema
    summary: str
    joined: bool = True


def _is(name: str) -> Schema:
    return {"$ref": PLACE + name}


_EMPTY: Schema = {"type": "object", "maxProperties": 0}
_ANY: Schema = {"type": "object"}
_REF: Schema = {"type": ["string", "integer", "null"]}
_NULL: Schema = {"type": "null"}

_RESPONSES = {"image_response": "Accepted", "video_response": "Accepted"}
_GENERATE = ("image_generate", "video_generate", "llm_generate")

_ADDRESSES: dict[str, tuple[str, str]] = {
    "task": ("task:{id}", "The one story of one task."),
    "conversation": (
        "task:{conversation}",
        f"A channel without a task: an id that begins with {', '.join(CONVERSATION_PREFIXES)}.",
    ),
    "realtime": (
        "realtime:task:{id}",
        "The same story for @supabase/realtime-js, all of it wrapped in broadcasts.",
    ),
    "gallery": ("tasks:mine", "Every task of the owner of the socket, as it changes."),
    "phoenix": ("phoenix", "Heartbeats; it cannot be joined."),
}

_PARAMETERS = {
    "task": {"id": {"description": "1 to 64 of A-Z a-z 0-9 _ -, no conversation's prefix."}},
    "conversation": {"conversation": {"description": "1 to 64 of A-Z a-z 0-9 _ -."}},
    "realtime": {"id": {"description": "The id of a task that exists."}},
}

_CONVERSATION: Schema = {
    "type": "object",
    "properties": {
        "events": {"type": "boolean", "description": "Whether to tell events here as well."},
        "previews": {"enum": ["binary", "url", None]},
    },
}
_WARNED: Schema = {
    "type": "object",
    "properties": {"warnings": {"type": "array", "items": {"type": "string"}}},
}
_BROADCAST: Schema = {
    "type": "object",
    "required": ["type", "event", "payload"],
    "properties": {
        "type": {"const": "broadcast"},
        "event": {"type": "string", "description": "An event or a command of `task:{id}`."},
        "payload": {"type": "object"},
    },
}
_SUBSCRIBED: Schema = {
    "type": "object",
    "required": ["task", "cursor", "postgres_changes"],
    "properties": {
        "task": {"type": "object", "description": "The snapshot."},
        "cursor": {"type": "string"},
        "postgres_changes": {"type": "array", "maxItems": 0},
    },
}

_LEAVE = Asked("phx_leave", _ANY, _EMPTY, "Hear no more of the topic. Never a cancel.")
_PING = Asked("ping", _ANY, _ANY, "Answered with the same payload.")


def _generate() -> list[Asked]:
    payload, reply = _is("GeneratePayload"), _is("GenerateReply")
    return [Asked(event, payload, reply, "The deployed app's create.") for event in _GENERATE]


def _generated() -> list[Told]:
    refusal = _is("Refusal")
    told = "Pushed once after a *_generate: an acknowledgement, never the result."
    pushes = [
        Told(event, {"anyOf": [_is(name), refusal]}, told) for event, name in _RESPONSES.items()
    ]
    text = "Pushed once after llm_generate, with the whole text."
    return [*pushes, Told("llm_response", {"anyOf": [_is("TextResponse"), refusal]}, text)]


ASKED: dict[str, list[Asked]] = {
    "task": [
        Asked("phx_join", _is("JoinTaskPayload"), _is("JoinTaskReply"), "Attach to a task."),
        _LEAVE,
        _PING,
        Asked("cancel", _ANY, _is("Snapshot"), "End the task before its end."),
        *_generate(),
    ],
    "conversation": [
        Asked("phx_join", _CONVERSATION, _WARNED, "Open a conversation."),
        _LEAVE,
        _PING,
        *_generate(),
    ],
    "realtime": [
        Asked("phx_join", _ANY, _SUBSCRIBED, "Subscribe to a task."),
        _LEAVE,
        Asked("broadcast", _BROADCAST, _ANY, "A command; V2 of the library sends it as kind 3."),
        Asked("presence", _ANY, _EMPTY, "Taken, and told to nobody."),
    ],
    "gallery": [
        Asked("phx_join", _is("JoinGalleryPayload"), _is("JoinGalleryReply"), "See all tasks."),
        _LEAVE,
        _PING,
        Asked("list", _is("ListPayload"), _is("ListReply"), "An older page."),
    ],
    "phoenix": [Asked("heartbeat", _ANY, _EMPTY, "Every 30 s, or the server hangs up.")],
}

_ENDS = [
    Told("phx_close", _ANY, "The channel was ended for good."),
    Told("phx_error", _ANY, "The channel failed; join again."),
]

TOLD: dict[str, list[Told]] = {
    "task": [
        Told("progress", _is("TaskEvent"), "One event of the task, of any type.", joined=False),
        Told("status", _is("StatusPush"), "Once after the reply to a join."),
        Told("preview_ready", _is("PreviewReady"), 'A preview, with previews: "url".'),
        *_generated(),
        *_ENDS,
    ],
    "conversation": [
        Told("progress", _is("TaskEvent"), "With `events: true`.", joined=False),
        Told("preview_ready", _is("PreviewReady"), 'A preview, with previews: "url".'),
        *_generated(),
        *_ENDS,
    ],
    "realtime": [Told("broadcast", _BROADCAST, "Whatever `task:{id}` tells."), *_ENDS],
    "gallery": [
        Told("task", _is("GalleryTask"), "A task changed."),
        Told("task_deleted", _is("GalleryDeletion"), "A task was deleted."),
        Told("preferences", _is("Preferences"), "The owner has chosen, on whatever device."),
        *_ENDS,
    ],
    "phoenix": [],
}


def document(version: str) -> str:
    """The file, for a version of Safelight."""
    made = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Safelight",
            "version": version,
            "description": "Phoenix Channels on one WebSocket. The rules behind these shapes, V1"
            " frames and binary frames stand in docs/wire.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"local": _server()},
        "channels": {name: _channel(name) for name in _ADDRESSES},
        "operations": _operations(),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }
    return as_json(made)


def _server() -> Schema:
    return {
        "host": "127.0.0.1:4747",
        "pathname": "/socket/websocket",
        "protocol": "ws",
        "description": "Query: vsn=2.0.0 (none is 1.0.0), and token where tokens are configured.",
        "security": [{"$ref": "#/components/securitySchemes/bearer"}],
    }


def _channel(name: str) -> Schema:
    address, description = _ADDRESSES[name]
    messages: Schema = {}
    for asked in ASKED[name]:
        messages[asked.event] = _message(asked.summary, _frame(asked.event, asked.payload))
        reply = _message(f"The ok reply to {asked.event}.", _reply("ok", asked.response))
        messages[f"{asked.event}.ok"] = reply
    if name != "phoenix":
        refused = _message("Any reply that refuses.", _reply("error", _is("SocketError")))
        messages["error"] = refused
    for told in TOLD[name]:
        join_ref = _REF if told.joined else _NULL
        ref = _REF if told in _ENDS else _NULL
        frame = _frame(told.event, told.payload, join_ref, ref)
        messages[told.event] = _message(told.summary, frame)
    parameters = {"parameters": _PARAMETERS[name]} if name in _PARAMETERS else {}
    return {"address": address, "description": description} | parameters | {"messages": messages}


def _operations() -> Schema:
    made: Schema = {}
    for name in _ADDRESSES:
        channel = {"$ref": f"#/channels/{name}"}
        for asked in ASKED[name]:
            replies = [f"{asked.event}.ok"] + ([] if name == "phoenix" else ["error"])
            made[f"{name}.{asked.event}"] = {
                "action": "receive",
                "summary": asked.summary,
                "channel": channel,
                "messages": [_at(name, asked.event)],
                "reply": {"channel": channel, "messages": [_at(name, one) for one in replies]},
            }
        for told in TOLD[name]:
            made[f"{name}.{told.event}"] = {
                "action": "send",
                "summary": told.summary,
                "channel": channel,
                "messages": [_at(name, told.event)],
            }
    return made


def _at(channel: str, message: str) -> Schema:
    return {"$ref": f"#/channels/{channel}/messages/{message}"}


def _message(summary: str, payload: Schema) -> Schema:
    return {"summary": summary, "payload": payload}


def _frame(event: str, payload: Schema, join_ref: Schema = _REF, ref: Schema = _REF) -> Schema:
    """join_ref, ref, topic, event, payload; AsyncAPI's dialect writes a tuple as `items`."""
    parts = [join_ref, ref, {"type": "string"}, {"type": "string", "const": event}, payload]
    return {"type": "array", "items": parts, "minItems": 5}


def _reply(status: str, response: Schema) -> Schema:
    answer = {
        "type": "object",
        "required": ["status", "response"],
        "properties": {"status": {"type": "string", "const": status}, "response": response},
    }
    return _frame("phx_reply", answer)


def _schemas() -> Any:
    """The components; AsyncAPI spells a discriminator as the name of its field."""
    found = located(closure(components(), SOCKET), PLACE)
    for schema in found.values():
        if "discriminator" in schema:
            schema["discriminator"] = schema["discriminator"]["propertyName"]
    return found
