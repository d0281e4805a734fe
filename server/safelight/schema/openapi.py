"""openapi.json (3.1): the paths of REST by hand, over the generated components.

Owns what each operation is called, what it takes, which answers it has and where an
answer leads (create, get, events). The shapes are in `types.py`, the routes in
`safelight.app`; a test holds both against this.
"""

from __future__ import annotations

from typing import Any

from safelight_protocol.codes import CODES
from safelight_protocol.schema import Schema, closure, located

from .types import REST, as_json, components

PLACE = "#/components/schemas/"

Operation = dict[str, Any]

CREATE_EXAMPLES = {
    "native": {
        "summary": "The native form",
        "value": {"kind": "image", "prompt": "a medieval monk", "seed": 7},
    },
    "app": {
        "summary": "The deployed app's form",
        "value": {"input_data": {"type": "image", "prompt": "Test image"}},
    },
}

BATCH_EXAMPLES = {
    "two": {
        "summary": "One of each form",
        "value": {"tasks": [form["value"] for form in CREATE_EXAMPLES.values()]},
    }
}

_TEXT = {"type": "string"}
_PREFER = {"type": "string", "examples": ["wait=10"]}
_KEY = {"type": "string", "minLength": 1, "maxLength": 255}
_PICTURE: dict[str, Schema] = {"image/*": {}, "video/*": {}}


def document(version: str) -> str:
    """The file, for a version of Safelight."""
    made = {
        "openapi": "3.1.0",
        "info": {
            "title": "Safelight",
            "version": version,
            "summary": "One task per request, watched live from any door.",
            "description": "The rules behind these shapes stand in docs/wire.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:4747"}],
        "security": [{"bearer": []}, {}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": located(closure(components(), REST), PLACE),
        },
    }
    return as_json(made)


def _paths() -> dict[str, dict[str, Operation]]:
    return {
        "/api/tasks": {"post": _create(), "get": _list()},
        "/api/tasks:batch": {"post": _batch()},
        "/api/tasks/{id}": {"get": _show(), "delete": _delete()},
        "/api/tasks/{id}/events": {"get": _events()},
        "/api/tasks/{id}/cancel": {"post": _cancel()},
        "/api/models": {"get": _models()},
        "/api/llm/generate": {"post": _generate()},
        "/api/llm/models": {"get": _offers()},
        "/api/artifacts/{id}": {"get": _artifact()},
        "/api/previews/{token}": {"get": _preview()},
        "/healthz": {"get": _plain("healthz", "Whether the process answers", "HealthData")},
        "/readyz": {"get": _readyz()},
        "/socket/longpoll": _longpoll(),
        "/": {"get": _page("studio", "The Studio's page", "text/html")},
        "/studio/{path}": {
            "get": _page("studioFile", "A file of the Studio", "*/*")
            | {"parameters": [_in("path", "path", "The file's path.", _TEXT)]}
        },
    }


def _create() -> Operation:
    forms = {"anyOf": [{"$ref": PLACE + "CreateTask"}, {"$ref": PLACE + "AppCreateTask"}]}
    body = {"application/json": {"schema": forms, "examples": CREATE_EXAMPLES}}
    made = _data("CreatedData", "A new task was accepted; it is on disk.") | {
        "headers": {"Location": {"description": "The task.", "schema": _TEXT}},
        "links": _links(),
    }
    there = made | {"description": "The task was there already, or ended within the wait."}
    refused = _refused(
        "invalid",
        "unknown_model",
        "provider_not_configured",
        "id_conflict",
        "gone",
        "too_large",
        "key_reused",
        "unavailable",
        "storage_full",
        app=True,
    )
    return _operation("createTask", "Make a task, or attach to the one this request is") | {
        "parameters": [
            _in("header", "Idempotency-Key", "The same key is the same request.", _KEY),
            _in("header", "Prefer", "`wait=N`: wait up to N seconds (60) for the end.", _PREFER),
        ],
        "requestBody": {"required": True, "content": body},
        "responses": {"202": made, "200": there} | refused,
    }


def _batch() -> Operation:
    shared = "Request number i has the key `K/i`, unless it has one of its own."
    body = {"schema": {"$ref": PLACE + "CreateTasks"}, "examples": BATCH_EXAMPLES}
    done = _data("BatchData", "The verdict on each request, whatever they are.")
    return _operation("createTasks", "Make up to 100 tasks, each as one alone would be made") | {
        "parameters": [_in("header", "Idempotency-Key", shared, _KEY)],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {"200": done} | _refused("invalid", "too_large"),
    }


def _generate() -> Operation:
    located = {"headers": {"Location": {"description": "The task.", "schema": _TEXT}}}
    text = _data("TextData", "The text.") | located
    later = _data("TextData", "The text takes longer; its task goes on.") | located
    refused = _refused(
        "missing_prompt",
        "invalid",
        "unknown_model",
        "provider_not_configured",
        "gone",
        "too_large",
        "key_reused",
        "generation_failed",
        "unavailable",
        "storage_full",
        app=True,
    )
    body = {"application/json": {"schema": {"$ref": PLACE + "GenerateText"}}}
    return _operation("generateText", "Have a text written, and wait for it") | {
        "parameters": [
            _in("header", "Idempotency-Key", "The same key is the same request.", _KEY),
            _in("header", "Prefer", "`wait=N`: wait up to N seconds (60) for the text.", _PREFER),
        ],
        "requestBody": {"required": True, "content": body},
        "responses": {"200": text, "202": later} | refused,
    }


def _offers() -> Operation:
    return _operation("listTextModels", "The text models that may be named, for people") | {
        "responses": {"200": _data("OffersData", "The models.")} | _refused(),
    }


def _links() -> dict[str, Any]:
    """From the answer to a create to all that can be done with its task."""
    id = {"id": "$response.body#/data/task_id"}
    return {
        name: {"operationId": name, "parameters": id}
        for name in ("getTask", "followTask", "cancelTask", "deleteTask")
    }


def _list() -> Operation:
    limit = {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    before = {"type": "integer", "minimum": 0}
    return _operation("listTasks", "The owner's tasks, newest first") | {
        "parameters": [
            _in("query", "limit", "How many, at most.", limit),
            _in("query", "before", "The `next` of the page before.", before),
        ],
        "responses": {"200": _data("TaskListData", "A page.")} | _refused("invalid"),
    }


def _show() -> Operation:
    links = {name: link for name, link in _links().items() if name != "getTask"}
    found = _data("TaskData", "Its snapshot and cursor.") | {"links": links}
    return _of_task("getTask", "A task as it is now") | {
        "responses": {"200": found} | _refused("not_found", "gone", app=True)
    }


def _delete() -> Operation:
    deleted = _data("DeletedData", "It is gone; its id stays taken.")
    return _of_task("deleteTask", "Remove an ended task, its log and its files") | {
        "responses": {"200": deleted} | _refused("not_found", "still_running", "gone")
    }


def _cancel() -> Operation:
    asked = _data("TaskData", "The cancel was asked; the task's end says what came of it.")
    ended = _data("TaskData", "The task had ended; this is its end.")
    return _of_task("cancelTask", "End a task before its end") | {
        "responses": {"202": asked, "200": ended} | _refused("not_found", "gone", "unavailable")
    }


def _events() -> Operation:
    wait = {"type": "integer", "minimum": 0, "maximum": 60}
    stream: Operation = {
        "schema": {},  # of one event or of the whole text: tools differ in what they hold it to
        "description": "Events `progress`: `id` is the cursor, `data` a TaskEvent. After missed"
        " events first one `gap`, whose data is a GapData.",
    }
    answer = _data("EventsData", "A stream, or with `wait` or JSON preferred one answer.")
    answer["content"]["text/event-stream"] = {"schema": stream["schema"]}
    answer["description"] += f" {stream['description']}"
    made = _of_task("followTask", "Follow a task from any event on")
    made["parameters"] += [
        _in("header", "Last-Event-ID", "A cursor; wins over `after`.", _TEXT),
        _in("query", "after", "A cursor, or a seq with `log`. Left open: from the start.", _TEXT),
        _in("query", "log", "The log of a bare seq.", _TEXT),
        _in("query", "wait", "Ask for JSON, and wait so many seconds for an event.", wait),
    ]
    over = {"description": "The stream was read to its end; do not come back."}
    return made | {
        "responses": {"200": answer, "204": over} | _refused("invalid", "not_found", "gone")
    }


def _models() -> Operation:
    kind = _in("query", "kind", "Only models of this kind.", {"$ref": PLACE + "Kind"})
    return _operation("listModels", "What can be asked for, and with which parameters") | {
        "parameters": [kind],
        "responses": {"200": _data("ModelsData", "The models.")} | _refused("invalid"),
    }


def _artifact() -> Operation:
    id = _in("path", "id", "The artifact's id, which is all the right it takes.", _TEXT)
    some = {
        "200": {"description": "The bytes; they never change.", "content": _PICTURE},
        "206": {"description": "A range of them.", "content": _PICTURE},
        "304": {"description": "If-None-Match named them."},
    }
    return _operation("getArtifact", "A result file", open_to_all=True) | {
        "parameters": [
            id,
            _in("header", "Range", "One range of bytes.", _TEXT),
            _in("header", "If-None-Match", "The ETag of an earlier answer.", _TEXT),
        ],
        "responses": some | _refused("not_found", "range_not_satisfiable"),
    }


def _preview() -> Operation:
    shown = {"200": {"description": "The newest there is.", "content": _PICTURE}}
    return _operation("getPreview", "The latest preview of a running task", open_to_all=True) | {
        "parameters": [_in("path", "token", "From a push `preview_ready`.", _TEXT)],
        "responses": shown | _refused("not_found"),
    }


def _readyz() -> Operation:
    made = _plain("readyz", "Whether the server takes tasks", "ReadyData")
    return made | {"responses": made["responses"] | _refused("shutting_down")}


def _plain(name: str, summary: str, data: str) -> Operation:
    return _operation(name, summary, open_to_all=True) | {"responses": {"200": _data(data, "Yes.")}}


def _longpoll() -> Operation:
    """The socket over requests; what its strings hold is in asyncapi.json."""
    field = {"status": {"type": "integer"}, "token": _TEXT, "messages": {"type": "array"}}
    schema = {"type": "object", "required": ["status"], "properties": field}
    body = {"content": {"application/json": {"schema": schema}}}
    found = {"responses": {"200": {"description": "Always; the status is inside."} | body}}
    asked = {"parameters": [_in("query", "vsn", "The frames' version.", _TEXT)]}
    lines = {"requestBody": {"content": {"application/x-ndjson": {"schema": _TEXT}}}}
    return {
        "get": _operation("poll", "Frames of the socket, or a new session") | asked | found,
        "post": _operation("pollSend", "Frames for the socket") | asked | lines | found,
        "options": _operation("pollAllowed", "A browser's preflight", open_to_all=True)
        | {"responses": {"200": {"description": "Yes."}}},
    }


def _page(name: str, summary: str, media_type: str) -> Operation:
    found = {"200": {"description": "It.", "content": {media_type: {}}}}
    return _operation(name, summary, open_to_all=True) | {
        "responses": found | _refused("not_found")
    }


def _operation(name: str, summary: str, *, open_to_all: bool = False) -> Operation:
    """The beginning of an operation; with `open_to_all` it needs no token."""
    return {"operationId": name, "summary": summary} | ({"security": [{}]} if open_to_all else {})


def _of_task(name: str, summary: str) -> Operation:
    form = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
    return _operation(name, summary) | {"parameters": [_in("path", "id", "The task.", form)]}


def _in(place: str, name: str, description: str, schema: Schema) -> Operation:
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, "description": description} | required | {"schema": schema}


def _data(name: str, description: str) -> Operation:
    """An answer in the shape that the deployed app decodes."""
    schema = {
        "type": "object",
        "required": ["success", "data", "message"],
        "properties": {
            "success": {"type": "boolean", "const": True},
            "data": {"$ref": PLACE + name},
            "message": _TEXT,
        },
    }
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _refused(*codes: str, app: bool = False) -> dict[str, Operation]:
    """Answers by status, for these codes and those that every door may give."""
    forms: Schema = {"$ref": PLACE + "Problem"}
    if app:
        forms = {"anyOf": [forms, {"$ref": PLACE + "AppProblem"}]}
    content = {"application/problem+json": {"schema": forms}}
    by_status: dict[str, list[str]] = {}
    for name in ("unauthorized", "forbidden", "internal", *codes):
        by_status.setdefault(str(CODES[name].http), []).append(f"`{name}`: {CODES[name].meaning}")
    return {
        status: {"description": " ".join(told), "content": content}
        for status, told in sorted(by_status.items())
    }
