"""The part of openapi.json about files: artifacts, thumbnails, uploads, and the views of
images and videos."""

from __future__ import annotations

from safelight_protocol.schema import Schema

from .openapi_models import model_schema
from .operations import PLACE, TEXT, Operation, creating, data, operation, refused, where

_BYTES: dict[str, Schema] = {"image/*": {}, "video/*": {}, "audio/*": {}}
_FORM: Schema = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
}


def artifact() -> Operation:
    """GET /api/artifacts/{id}."""
    made = _file("getArtifact", "A result file", "The artifact's id, which is all the right")
    return made | {"responses": made["responses"] | refused(*_NO_FILE, "gone")}


def thumbnail() -> Operation:
    """GET /api/artifacts/{id}/thumbnail."""
    made = _file(
        "getThumbnail", "A small WebP of a picture, or the picture itself", "The artifact's id"
    )
    return made | {"responses": made["responses"] | refused(*_NO_FILE, "gone")}


def upload() -> Operation:
    """POST /api/uploads."""
    content = {
        "multipart/form-data": {"schema": _FORM},
        "*/*": {"schema": {"type": "string", "description": "The bytes alone."}},
    }
    made = data("Uploaded", "It is kept; the same bytes, sent again, are the same upload.")
    problems = refused("invalid", "too_large", "too_many", "unavailable", "storage_full")
    return operation("createUpload", "Send a file that tasks may start from") | {
        "requestBody": {"required": True, "content": content},
        "responses": {"201": made} | problems,
    }


def show_upload() -> Operation:
    """GET /api/uploads/{id}."""
    made = _file("getUpload", "An uploaded file", "The upload's id, which is all the right")
    return made | {"responses": made["responses"] | refused(*_NO_FILE)}


def delete_upload() -> Operation:
    """DELETE /api/uploads/{id}."""
    id = where("path", "id", "The upload's id.", TEXT)
    return operation("deleteUpload", "Remove an upload; what waits to begin with it fails") | {
        "parameters": [id],
        "responses": {"200": data("UploadGone", "It is gone.")} | refused("not_found"),
    }


def views(kind: str) -> dict[str, dict[str, Operation]]:
    """The paths of one kind."""
    name = kind.capitalize()
    schema = model_schema() | {
        "operationId": f"get{name}ModelSchema",
        "summary": f"What a model of {kind}s takes as `params`",
    }
    return {
        f"/api/{kind}s": {"get": _list(kind, name)},
        f"/api/{kind}s/{{id}}": {"get": _one(kind, name)},
        f"/api/{kind}-models": {"get": _models(kind, name)},
        f"/api/{kind}-models/{{name}}/schema": {"get": schema},
        f"/api/run-{kind}-model": {"post": _run(kind, name)},
    }


_NO_FILE = ("not_found", "range_not_satisfiable", "unavailable")


def _file(name: str, summary: str, right: str) -> Operation:
    some = {
        "200": {"description": "The bytes; they never change.", "content": _BYTES},
        "206": {"description": "A range of them.", "content": _BYTES},
        "304": {"description": "If-None-Match named them."},
    }
    return operation(name, summary, open_to_all=True) | {
        "parameters": [
            where("path", "id", f"{right}.", TEXT),
            where("header", "Range", "One range of bytes.", TEXT),
            where("header", "If-None-Match", "The ETag of an earlier answer.", TEXT),
        ],
        "responses": some,
    }


def _list(kind: str, name: str) -> Operation:
    limit = {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    return operation(f"list{name}s", f"The owner's {kind}s, newest first") | {
        "parameters": [
            where("query", "limit", "How many, at most.", limit),
            where("query", "before", "The `next` of the page before.", TEXT),
        ],
        "responses": {"200": data(f"{name}sData", "A page.")} | refused("invalid"),
    }


def _one(kind: str, name: str) -> Operation:
    id = where("path", "id", "The artifact's id.", TEXT)
    return operation(f"get{name}", f"What one {kind} is and was made of") | {
        "parameters": [id],
        "responses": {"200": data("Filed", "It.")} | refused("not_found"),
    }


def _models(kind: str, name: str) -> Operation:
    return operation(f"list{name}Models", f"The models that make {kind}s") | {
        "responses": {"200": data("ModelsData", "The models.")} | refused(),
    }


def _run(kind: str, name: str) -> Operation:
    body = {"schema": {"$ref": PLACE + "RunModel"}}
    made = data("CreatedData", "A new task was accepted; it is on disk.")
    told = operation(f"run{name}Model", f"Make a task whose kind is {kind}")
    return told | creating(made, {"application/json": body})
