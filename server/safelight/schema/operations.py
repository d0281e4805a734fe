"""The building blocks of openapi.json: operations, their parameters and their answers.

Owns how an answer and a refusal look; which operations there are is told by openapi.py
and the modules beside it.
"""

from __future__ import annotations

from typing import Any

from safelight_protocol.codes import CODES
from safelight_protocol.schema import Schema

PLACE = "#/components/schemas/"
TEXT: Schema = {"type": "string"}

Operation = dict[str, Any]


def operation(name: str, summary: str, *, open_to_all: bool = False) -> Operation:
    """The beginning of an operation; with `open_to_all` it needs no token."""
    return {"operationId": name, "summary": summary} | ({"security": [{}]} if open_to_all else {})


def of_task(name: str, summary: str) -> Operation:
    """The beginning of an operation on one task."""
    form = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
    return operation(name, summary) | {"parameters": [where("path", "id", "The task.", form)]}


def where(place: str, name: str, description: str, schema: Schema) -> Operation:
    """A parameter: in the path, the query or a header."""
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, "description": description} | required | {"schema": schema}


def data(name: str, description: str) -> Operation:
    """An answer with a component as its data."""
    return answered({"$ref": PLACE + name}, description)


def answered(told: Schema, description: str) -> Operation:
    """An answer in the shape that the deployed app decodes, with this as its data."""
    schema = {
        "type": "object",
        "required": ["success", "data", "message"],
        "properties": {
            "success": {"type": "boolean", "const": True},
            "data": told,
            "message": TEXT,
        },
    }
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def refused(*codes: str, app: bool = False) -> dict[str, Operation]:
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


CREATE_CODES = (
    "invalid",
    "unknown_model",
    "unknown_backend",
    "provider_not_configured",
    "backend_unreachable",
    "provider_unreachable",
    "provider_refused",
    "id_conflict",
    "gone",
    "too_large",
    "key_reused",
    "unavailable",
    "storage_full",
)
"""What is said to be wrong with a request for a task, whether it is to be made or not."""

PRICE_CODES = ("payment_required", "vip_required")
"""What is said besides where it is to be made."""

_KEY: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
_PREFER: Schema = {"type": "string"}


def creating(made: Operation, content: Operation, *, app: bool = False) -> Operation:
    """What every operation that makes a task has in common: its headers, its body, and its
    answers; with `app` also in the deployed app's form."""
    there = made | {"description": "The task was there already, or ended within the wait."}
    return {
        "parameters": [
            where("header", "Idempotency-Key", "The same key is the same request.", _KEY),
            where("header", "Prefer", "`wait=N`: wait up to N seconds (60) for the end.", _PREFER),
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {"202": made, "200": there} | refused(*CREATE_CODES, *PRICE_CODES, app=app),
    }
