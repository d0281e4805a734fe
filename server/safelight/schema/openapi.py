"""openapi.json (3.1): the paths of REST by hand, over the generated components.

Owns what each operation is called, what it takes, which answers it has and where an
answer leads (create, get, events). The shapes are in `types.py`, the routes in
`safelight.app`; a test holds both against this.
"""

from __future__ import annotations

from typing import Any

from safelight_protocol.schema import Schema, closure, located

from . import openapi_files, openapi_money, openapi_webhooks
from .openapi_backends import (
    change_preferences,
    list_backends,
    list_providers,
    show_backend,
    show_preferences,
)
from .openapi_deliveries import deliveries
from .openapi_models import list_models, list_offers, model_schema
from .operations import (
    PLACE,
    TEXT,
    Operation,
    creating,
    data,
    of_task,
    operation,
    refused,
    where,
)
from .types import REST, as_json, components

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

_PREFER = {"type": "string", "examples": ["wait=10"]}
_KEY = {"type": "string", "minLength": 1, "maxLength": 255}
_PICTURE: dict[str, Schema] = {"image/*": {}}


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
        "/api/quotes": {"post": openapi_money.quote(_create_body())},
        "/api/usage": {"get": openapi_money.usage()},
        "/api/models": {"get": list_models()},
        "/api/models/{name}/schema": {"get": model_schema()},
        "/api/backends": {"get": list_backends()},
        "/api/backends/{name}": {"get": show_backend()},
        "/api/providers": {"get": list_providers()},
        "/api/preferences": {"get": show_preferences(), "patch": change_preferences()},
        "/api/llm/generate": {"post": _generate()},
        "/api/llm/models": {"get": list_offers()},
        "/api/artifacts/{id}": {"get": openapi_files.artifact()},
        "/api/artifacts/{id}/thumbnail": {"get": openapi_files.thumbnail()},
        "/api/uploads": {"post": openapi_files.upload()},
        "/api/uploads/{id}": {
            "get": openapi_files.show_upload(),
            "delete": openapi_files.delete_upload(),
        },
        **deliveries(),
        **openapi_files.views("image"),
        **openapi_files.views("video"),
        "/api/webhooks/{provider}": {"post": openapi_webhooks.take()},
        "/api/previews/{token}": {"get": _preview()},
        "/healthz": {"get": _plain("healthz", "Whether the process answers", "HealthData")},
        "/readyz": {"get": _readyz()},
        "/socket/longpoll": _longpoll(),
        "/": {"get": _page("studio", "The Studio's page", "text/html")},
        "/studio/{path}": {
            "get": _page("studioFile", "A file of the Studio", "*/*")
            | {"parameters": [where("path", "path", "The file's path.", TEXT)]}
        },
    }


def _create_body() -> dict[str, Any]:
    forms = {"anyOf": [{"$ref": PLACE + "CreateTask"}, {"$ref": PLACE + "AppCreateTask"}]}
    return {"application/json": {"schema": forms, "examples": CREATE_EXAMPLES}}


def _create() -> Operation:
    made = data("CreatedData", "A new task was accepted; it is on disk.") | {
        "headers": {"Location": {"description": "The task.", "schema": TEXT}},
        "links": _links(),
    }
    told = operation("createTask", "Make a task, or attach to the one this request is")
    return told | creating(made, _create_body(), app=True)


def _batch() -> Operation:
    shared = "Request number i has the key `K/i`, unless it has one of its own."
    body = {"schema": {"$ref": PLACE + "CreateTasks"}, "examples": BATCH_EXAMPLES}
    done = data("BatchData", "The verdict on each request, whatever they are.")
    return operation("createTasks", "Make up to 100 tasks, each as one alone would be made") | {
        "parameters": [where("header", "Idempotency-Key", shared, _KEY)],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {"200": done} | refused("invalid", "too_large"),
    }


def _generate() -> Operation:
    located = {"headers": {"Location": {"description": "The task.", "schema": TEXT}}}
    text = data("TextData", "The text.") | located
    later = data("TextData", "The text takes longer; its task goes on.") | located
    problems = refused(
        "missing_prompt",
        "invalid",
        "unknown_model",
        "provider_not_configured",
        "backend_unreachable",
        "provider_unreachable",
        "provider_refused",
        "payment_required",
        "vip_required",
        "gone",
        "too_large",
        "key_reused",
        "generation_failed",
        "unavailable",
        "storage_full",
        app=True,
    )
    body = {"application/json": {"schema": {"$ref": PLACE + "GenerateText"}}}
    return operation("generateText", "Have a text written, and wait for it") | {
        "parameters": [
            where("header", "Idempotency-Key", "The same key is the same request.", _KEY),
            where("header", "Prefer", "`wait=N`: wait up to N seconds (60) for the text.", _PREFER),
        ],
        "requestBody": {"required": True, "content": body},
        "responses": {"200": text, "202": later} | problems,
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
    return operation("listTasks", "The owner's tasks, newest first") | {
        "parameters": [
            where("query", "limit", "How many, at most.", limit),
            where("query", "before", "The `next` of the page before.", before),
        ],
        "responses": {"200": data("TaskListData", "A page.")} | refused("invalid"),
    }


def _show() -> Operation:
    links = {name: link for name, link in _links().items() if name != "getTask"}
    found = data("TaskData", "Its snapshot and cursor.") | {"links": links}
    return of_task("getTask", "A task as it is now") | {
        "responses": {"200": found} | refused("not_found", "gone", app=True)
    }


def _delete() -> Operation:
    deleted = data("DeletedData", "It is gone; its id stays taken.")
    return of_task("deleteTask", "Remove an ended task, its log and its files") | {
        "responses": {"200": deleted} | refused("not_found", "still_running", "gone")
    }


def _cancel() -> Operation:
    asked = data("TaskData", "The cancel was asked; the task's end says what came of it.")
    ended = data("TaskData", "The task had ended; this is its end.")
    return of_task("cancelTask", "End a task before its end") | {
        "responses": {"202": asked, "200": ended} | refused("not_found", "gone", "unavailable")
    }


def _events() -> Operation:
    wait = {"type": "integer", "minimum": 0, "maximum": 60}
    stream: Operation = {
        "schema": {},  # of one event or of the whole text: tools differ in what they hold it to
        "description": "Events `progress`: `id` is the cursor, `data` a TaskEvent. After missed"
        " events first one `gap`, whose data is a GapData.",
    }
    answer = data("EventsData", "A stream, or with `wait` or JSON preferred one answer.")
    answer["content"]["text/event-stream"] = {"schema": stream["schema"]}
    answer["description"] += f" {stream['description']}"
    made = of_task("followTask", "Follow a task from any event on")
    made["parameters"] += [
        where("header", "Last-Event-ID", "A cursor; wins over `after`.", TEXT),
        where("query", "after", "A cursor, or a seq with `log`. Left open: from the start.", TEXT),
        where("query", "log", "The log of a bare seq.", TEXT),
        where("query", "wait", "Ask for JSON, and wait so many seconds for an event.", wait),
    ]
    over = {"description": "The stream was read to its end; do not come back."}
    return made | {
        "responses": {"200": answer, "204": over} | refused("invalid", "not_found", "gone")
    }


def _preview() -> Operation:
    shown = {"200": {"description": "The newest there is.", "content": _PICTURE}}
    return operation("getPreview", "The latest preview of a running task", open_to_all=True) | {
        "parameters": [where("path", "token", "From a push `preview_ready`.", TEXT)],
        "responses": shown | refused("not_found"),
    }


def _readyz() -> Operation:
    made = _plain("readyz", "Whether the server takes tasks", "ReadyData")
    return made | {"responses": made["responses"] | refused("shutting_down")}


def _plain(name: str, summary: str, of: str) -> Operation:
    return operation(name, summary, open_to_all=True) | {"responses": {"200": data(of, "Yes.")}}


def _longpoll() -> Operation:
    """The socket over requests; what its strings hold is in asyncapi.json."""
    field = {"status": {"type": "integer"}, "token": TEXT, "messages": {"type": "array"}}
    schema = {"type": "object", "required": ["status"], "properties": field}
    body = {"content": {"application/json": {"schema": schema}}}
    found = {"responses": {"200": {"description": "Always; the status is inside."} | body}}
    asked = {"parameters": [where("query", "vsn", "The frames' version.", TEXT)]}
    lines = {"requestBody": {"content": {"application/x-ndjson": {"schema": TEXT}}}}
    return {
        "get": operation("poll", "Frames of the socket, or a new session") | asked | found,
        "post": operation("pollSend", "Frames for the socket") | asked | lines | found,
        "options": operation("pollAllowed", "A browser's preflight", open_to_all=True)
        | {"responses": {"200": {"description": "Yes."}}},
    }


def _page(name: str, summary: str, media_type: str) -> Operation:
    found = {"200": {"description": "It.", "content": {media_type: {}}}}
    return operation(name, summary, open_to_all=True) | {"responses": found | refused("not_found")}
