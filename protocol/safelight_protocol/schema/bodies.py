"""JSON Schema of what clients send and `commands.py` reads field by field.

Written beside those readers, from their own limits; tests/protocol/test_schema.py
feeds one list of examples to both. JSON Schema does not tell 1.0 from 1, which the
readers do, and cannot say that a batch of fields belongs to one model.
"""

from __future__ import annotations

from typing import Any

from ..batch import MAX_TASKS
from ..commands import MAX_INPUTS, MAX_N
from ..fields import MAX_PROMPT, MAX_SEED
from ..hooks import MAX_URL, NOTICE_TYPES
from ..topics import CONVERSATION_PREFIXES, TASK_ID
from .components import Components, Schema

NAME = 200
KEY = 255
CURSOR = 100
PAGE = 200


def up_to(limit: int) -> str:
    """A pattern for decimal strings from 0 to `limit` (10 or more), zeros in front allowed."""
    digits = str(limit)
    options = [f"[0-9]{{1,{len(digits) - 1}}}"]
    for place, digit in enumerate(digits):
        rest = len(digits) - place - 1
        if digit != "0":
            options.append(f"{digits[:place]}[0-{int(digit) - 1}][0-9]{{{rest}}}")
    return f"^({'|'.join([*options, digits])})$"


def _text(longest: int, description: str) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": longest, "description": description}


def _or_null(schema: Schema) -> Schema:
    description = {"description": schema.pop("description")} if "description" in schema else {}
    return {"anyOf": [schema, {"type": "null"}]} | description


def _object(
    description: str, properties: dict[str, Any], required: list[str], **others: bool
) -> Schema:
    """An object. `others` may say `additionalProperties`: whether further fields count."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": required,
        **others,
    }


_PROMPT: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_PROMPT,
    "pattern": r"\S",
    "description": f"What to make: 1 to {MAX_PROMPT} characters, not only blanks.",
}
_MODEL = _or_null(_text(NAME, "A model's name or alias; left open, the default of its kind."))
_BACKEND = _or_null(_text(NAME, "A backend of the model's provider."))
_REQUEST_ID = _or_null(_text(KEY, "A key of your own: the same key is the same request."))
_MAX_COST = _or_null(
    {
        "type": "number",
        "minimum": 0,
        "description": "US dollars that all attempts together may cost; at most six decimals.",
    }
)
_ASKED_SEED = {
    "description": "0 to 2^64-1 as a number or decimal string; left open, we draw one.",
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": MAX_SEED},
        {"type": "string", "pattern": up_to(MAX_SEED)},
        {"type": "null"},
    ],
}


def _task_id() -> Schema:
    reserved = "|".join(CONVERSATION_PREFIXES)
    form = TASK_ID.pattern.removeprefix("^")
    words = ", ".join(CONVERSATION_PREFIXES)
    return {
        "type": "string",
        "pattern": f"^(?!{reserved}){form}",
        "description": f"1 to 64 of A-Z a-z 0-9 _ -, not beginning with {words}.",
    }


def _input() -> Schema:
    one = {
        "task": _or_null({"type": "string", "description": "A task of yours: its first picture."}),
        "artifact": _or_null({"type": "string", "description": "An artifact of yours."}),
        "upload": _or_null({"type": "string", "description": "An upload of yours."}),
    }
    text = {"type": "string"}
    told = "What the prediction starts from: one of the three."
    either = [{"required": [name], "properties": {name: text}} for name in one]
    return _object(told, one, [], additionalProperties=False) | {"oneOf": either}


def _create() -> Schema:
    wish = (
        "May a task that is alike be taken instead of a new one? Not beside an id. Left open"
        " it means inflight where there is neither id nor key, else never."
    )
    fields = {
        "kind": {"$ref": "Kind", "description": "What to make."},
        "prompt": _PROMPT,
        "id": _or_null(_task_id()),
        "model": _MODEL,
        "params": {
            "type": "object",
            "description": "Parameters of the model; GET /api/models lists them.",
        },
        "backend": _BACKEND,
        "seed": _ASKED_SEED,
        "inputs": {
            "type": "array",
            "items": {"$ref": "Input"},
            "maxItems": MAX_INPUTS,
            "description": f"Files to use, at most {MAX_INPUTS}.",
        },
        "n": _or_null(
            {"type": "integer", "minimum": 1, "maximum": MAX_N, "description": "How many pictures."}
        ),
        "reuse": {"anyOf": [{"$ref": "Reuse"}, {"type": "null"}], "description": wish},
        "request_id": _REQUEST_ID,
        "max_cost": _MAX_COST,
        "webhook": _WEBHOOK,
    }
    text = {"type": "string"}
    both = {"required": ["id", "reuse"], "properties": {"id": text, "reuse": text}}
    made = _object("The native body.", fields, ["kind", "prompt"], additionalProperties=False)
    return made | {"not": both}


_HOOK_URL = {
    "type": "string",
    "format": "uri",
    "pattern": "^[hH][tT][tT][pP][sS]?://",
    "maxLength": MAX_URL,
}

_WEBHOOK = {
    "anyOf": [
        _HOOK_URL,
        {
            "type": "object",
            "properties": {
                "url": _HOOK_URL,
                "events": {
                    "anyOf": [
                        {
                            "type": "array",
                            "items": {"enum": list(NOTICE_TYPES)},
                            "minItems": 1,
                        },
                        {"type": "null"},
                    ]
                },
            },
            "required": ["url"],
            "additionalProperties": False,
        },
        {"type": "null"},
    ],
    "description": "Where a signed notice goes at its end, or at more of its events.",
}


def _app_create() -> Schema:
    data = {
        "type": {"description": "image or video; anything else, or nothing, means text."},
        "prompt": _PROMPT,
        "model": _MODEL,
        "backend": _BACKEND,
        "seed": _ASKED_SEED,
        "request_id": _REQUEST_ID,
        "max_cost": _MAX_COST,
    }
    told = "The request. Other fields become parameters; those the model lacks are ignored."
    fields = {
        "input_data": _object(told, data, ["prompt"], additionalProperties=True),
        "model": _or_null(_text(NAME, "The model, where input_data names none.")),
        "backend": _or_null(_text(NAME, "The backend, whatever input_data says.")),
    }
    return _object("The deployed app's body of a create.", fields, ["input_data"])


def _batch() -> Schema:
    told = (
        f"1 to {MAX_TASKS} requests, each as POST /api/tasks takes it. What is wrong with one"
        " is its own verdict. Left open, `reuse` means never here."
    )
    forms = {"anyOf": [{"$ref": "CreateTask"}, {"$ref": "AppCreateTask"}]}
    tasks = {"type": "array", "minItems": 1, "maxItems": MAX_TASKS, "items": forms}
    fields = {"tasks": tasks | {"description": told}}
    return _object("The body of a batch.", fields, ["tasks"], additionalProperties=False)


def _generate_text() -> Schema:
    told = "The body of POST /api/llm/generate. Other fields become parameters."
    return _generate() | {"description": told}


def _generate() -> Schema:
    fields = {
        "prompt": _PROMPT,
        "model": _MODEL,
        "backend": _BACKEND,
        "seed": _ASKED_SEED,
        "request_id": _REQUEST_ID,
        "max_cost": _MAX_COST,
        "options": {"description": "An object whose fields count as if they stood beside it."},
    }
    told = "The payload of a `*_generate`. Other fields become parameters."
    return _object(told, fields, ["prompt"], additionalProperties=True)


def _join_task() -> Schema:
    after = {
        "description": "A cursor of any door; 0 for the whole log. A bare seq needs `log`.",
        "anyOf": [
            {"type": "string", "maxLength": CURSOR},
            {"type": "integer", "minimum": 0},
            {"type": "null"},
        ],
    }
    creates = [{"$ref": "CreateTask"}, {"$ref": "AppCreateTask"}, {"type": "null"}]
    fields = {
        "after": after,
        "log": _or_null(_text(NAME, "The log that a bare seq belongs to.")),
        "create": {"anyOf": creates, "description": "Make the task, or attach to it."},
        "previews": {
            "anyOf": [{"$ref": "PreviewMode"}, {"type": "null"}],
            "description": "Whether to send previews, and how. `binary` is `url` on V1.",
        },
        "events": {"type": "boolean", "description": "For conversation channels."},
    }
    return _object("The payload of a join of `task:<id>`. Other fields are ignored.", fields, [])


def _join_gallery() -> Schema:
    position = {"type": "integer", "minimum": 0, "description": "Changes after this position."}
    fields = {
        "after": _or_null(position),
        "log": _or_null(_text(NAME, "The log that the position belongs to.")),
        "limit": {"type": "integer", "minimum": 1, "maximum": PAGE, "description": "50 if open."},
    }
    return _object("The payload of a join of `tasks:mine`. Other fields are ignored.", fields, [])


def _preferences() -> Schema:
    told = "The backend for requests that name none; null takes the choice back."
    fields = {"backend": _or_null({"type": "string", "description": told})}
    made = "The body of PATCH /api/preferences: what is left out stays as it is."
    return _object(made, fields, [], additionalProperties=False)


def _list() -> Schema:
    fields = {
        "before": {"type": "string", "description": "The `next` of the page before."},
        "limit": {"type": "integer", "minimum": 1, "maximum": PAGE, "description": "50 if open."},
    }
    return _object("The payload of `list`.", fields, [])


def body_components() -> Components:
    """Every body and payload of a client, by name."""
    return {
        "Input": _input(),
        "CreateTask": _create(),
        "AppCreateTask": _app_create(),
        "CreateTasks": _batch(),
        "GenerateText": _generate_text(),
        "GeneratePayload": _generate(),
        "JoinTaskPayload": _join_task(),
        "JoinGalleryPayload": _join_gallery(),
        "ListPayload": _list(),
        "PreferencesChange": _preferences(),
    }
