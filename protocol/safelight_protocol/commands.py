"""Commands: what a client may ask, from whatever door, as one set of types.

Each body form (the native one, the deployed app's, and the app's pushes on a
channel) has a reader here that ends in the same `Create`. Readers check form
only: whether a model exists or a parameter fits it is the registry's business.
The bodies are written down in docs/wire.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from .codes import Refused
from .events import Kind
from .fields import (
    Field,
    Wrong,
    invalid,
    read_cost,
    read_key,
    read_mapping,
    read_object,
    read_prompt,
    read_seed,
    told_ignored,
    typed,
)
from .hooks import read_hook
from .identity import Reuse, shown
from .task import Asked, Hook, Input
from .topics import CONVERSATION_PREFIXES, TASK_ID, is_id

MAX_N = 8

MAX_INPUTS = 16
"""Each is looked up before the task is made, and handed to the provider as a file."""


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """Make a task or attach to the one that this request already is.

    `key` comes from `Idempotency-Key`, or from `request_id` where there is none.
    `topic_id` is set on a task's own channel, whose task it must be. `lenient`: what is
    left open agrees with whatever the task has. `max_micros` is what it may cost, in
    millionths of a dollar. `warnings` lists what was ignored.
    """

    asked: Asked
    id: str | None = None
    key: str | None = None
    request_id: str | None = None
    reuse: Reuse | None = None
    max_micros: int | None = None
    webhook: Hook | None = None
    topic_id: str | None = None
    lenient: bool = False
    warnings: tuple[str, ...] = ()


class Cancel(msgspec.Struct, frozen=True):
    """End a task before its end."""

    id: str
    by: str = "owner"


class JoinTask(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a join of `task:<id>`."""

    after: str | int | None = None
    log: str | None = None
    create: Create | None = None
    previews: Literal["binary", "url"] | None = None
    events: bool = False
    warnings: tuple[str, ...] = ()


class JoinGallery(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a join of `tasks:mine`: changes after a position, or the newest."""

    after: int | None = None
    log: str | None = None
    limit: int = 50
    warnings: tuple[str, ...] = ()


def read_id(value: Any) -> str:
    """A task id that a client may choose."""
    if isinstance(value, str) and TASK_ID.fullmatch(value):
        if value.startswith(CONVERSATION_PREFIXES):
            raise Wrong("an id that does not begin with llm_, chat_ or swift_ (conversations)")
        return value
    raise Wrong("1 to 64 characters out of A-Z a-z 0-9 _ -")


def read_key_header(value: str | None) -> str | None:
    """The Idempotency-Key header. Raises Refused `invalid`, like a `request_id`."""
    try:
        return read_key(value)
    except Wrong as wrong:
        told = {"field": "Idempotency-Key", "found": shown(value), "expected": str(wrong)}
        raise invalid([dict(told)]) from None


MAX_NAME = 200
_key = Field(read_key)
_KINDS = frozenset(get_args(Kind))


def _read_kind(value: Any) -> Any:
    if not isinstance(value, str) or value not in _KINDS:
        raise Wrong("one of image, video, text")
    return value


def _name(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and 1 <= len(value) <= MAX_NAME):
        return value
    raise Wrong(f"a string of 1 to {MAX_NAME} characters")


_n = typed(Annotated[int, Meta(ge=1, le=MAX_N)] | None, f"an integer from 1 to {MAX_N}")
_reuse = typed(Reuse | None, "one of never, inflight, completed")

_INPUT = frozenset(Input.__struct_fields__)


def _read_inputs(value: Any) -> tuple[Input, ...]:
    if isinstance(value, list) and len(value) > MAX_INPUTS:
        raise Wrong(f"at most {MAX_INPUTS} inputs")
    forms = '{"artifact": id}, {"task": id} or {"upload": id}'
    read = typed(tuple[Input, ...], f"a list of {forms}")
    inputs: tuple[Input, ...] = read(value)
    for plain in value:
        named = [id for id in plain.values() if id is not None]
        if len(named) != 1 or not plain.keys() <= _INPUT or not is_id(named[0]):
            raise Wrong(f"each of the form {forms}")
    return inputs


NATIVE = {
    "id": Field(lambda value: None if value is None else read_id(value)),
    "kind": Field(_read_kind, required=True),
    "prompt": Field(read_prompt, required=True),
    "model": Field(_name),
    "params": Field(read_mapping),
    "backend": Field(_name),
    "seed": Field(read_seed),
    "inputs": Field(_read_inputs),
    "n": Field(_n),
    "reuse": Field(_reuse),
    "request_id": _key,
    "max_cost": Field(read_cost),
    "webhook": Field(read_hook),
}
"""The fields of the native body, and how each is read."""

_PARAMS = {
    name: f"params.{name}"
    for name in ("width", "height", "aspect_ratio", "steps", "negative_prompt", "max_words")
}
"""Parameters that are often sent beside the prompt; the app's own body has them there."""

_APP_FIELDS = {
    "prompt": Field(read_prompt, required=True),
    "model": Field(_name),
    "backend": Field(_name),
    "seed": Field(read_seed),
    "request_id": _key,
    "max_cost": Field(read_cost),
}

_APP_PLACE = {"backend": Field(_name)}
"""What the app's form may say beside `input_data`, and counts before what is in it."""

_ASKED = frozenset({"kind", "prompt", "model", "params", "backend", "seed", "inputs", "n"})


def is_app_form(body: Any) -> bool:
    """Whether a body is in the deployed app's form, which its errors then are as well."""
    return isinstance(body, dict) and "input_data" in body


def read_create(body: Any, *, key: str | None = None) -> Create:
    """A body of either form. `key` is the Idempotency-Key. Raises Refused."""
    return read_app(body, key=key) if is_app_form(body) else read_native(body, key=key)


def read_native(body: Any, *, key: str | None = None, where: str = "") -> Create:
    """The native body. Unknown fields are refused. `key` is the Idempotency-Key."""
    values, _ = read_object(body, NATIVE, where=where, elsewhere=_PARAMS)
    return make_native(values, key=key, where=where)


def make_native(values: dict[str, Any], *, key: str | None = None, where: str = "") -> Create:
    """The command that the fields of a native body, each read, come to. Raises Refused."""
    if values.get("id") is not None:
        _refuse_reuse(values.get("reuse"), where)
    asked = Asked(**{name: value for name, value in values.items() if name in _ASKED})
    request_id = values.get("request_id")
    return Create(
        asked=asked,
        id=values.get("id"),
        key=key if key is not None else request_id,
        request_id=request_id,
        reuse=values.get("reuse"),
        max_micros=values.get("max_cost"),
        webhook=values.get("webhook"),
    )


def _refuse_reuse(reuse: Reuse | None, where: str) -> None:
    if reuse is not None:
        wrong: dict[str, object] = {"field": where + "reuse", "found": shown(reuse)}
        wrong["expected"] = "nothing beside id"
        raise Refused("invalid", "reuse beside id: an id already names the task.", [wrong])


def read_app(body: dict[str, Any], *, key: str | None = None) -> Create:
    """The deployed app's body: `{"input_data": {...}, "model"?}`.

    A missing or unknown `type` means text. Fields beside the known ones become
    parameters; those the model does not know are dropped later, with a warning. A
    `backend` is none of them: it is the native body's, and counts first beside the data.
    """
    data = body.get("input_data")
    if not isinstance(data, dict):
        read_object(data, {}, where="input_data.")
        raise AssertionError("read_object refuses what is not an object")
    asked_type = data.get("type")
    kind: Kind = asked_type if asked_type in ("image", "video") else "text"
    merged = dict(data)
    merged.pop("type", None)
    if merged.get("model") is None and body.get("model") is not None:
        merged["model"] = body["model"]
    ignored = tuple(name for name in body if name not in ("input_data", "model", "backend"))
    place, _ = read_object(body, _APP_PLACE, strict=False)
    if place.get("backend") is not None:
        if merged.get("backend") not in (None, place["backend"]):
            ignored += ("input_data.backend",)
        merged["backend"] = place["backend"]
    return _read_app_fields(kind, merged, key, "input_data.", ignored)


def read_generate(
    kind: Kind, payload: Any, *, topic_id: str | None, key: str | None = None
) -> Create:
    """The payload of a `*_generate`, or the body of POST /api/llm/generate.

    `topic_id` is the channel's task, `key` the Idempotency-Key where there is one. Who
    pushes on a task's channel means that task: what is left open cannot conflict.
    """
    if not isinstance(payload, dict) or not str(payload.get("prompt") or "").strip():
        raise Refused("missing_prompt", "The prompt is missing or empty.")
    flat = dict(payload)
    options = flat.pop("options", None)
    if isinstance(options, dict):
        flat = options | flat
        if flat.get("backend") is None and "backend" in options:
            flat["backend"] = options["backend"]
    ignored = () if options is None or isinstance(options, dict) else ("options",)
    created = _read_app_fields(kind, flat, key, "", ignored)
    here = topic_id is not None
    return msgspec.structs.replace(created, id=topic_id, topic_id=topic_id, lenient=here)


def _read_app_fields(
    kind: Kind, data: dict[str, Any], key: str | None, where: str, ignored: tuple[str, ...]
) -> Create:
    if "webhook" in data:  # it would go to the model, and its receiver wait in vain
        data = {name: value for name, value in data.items() if name != "webhook"}
        ignored += (f"{where}webhook",)
    values, others = read_object(data, _APP_FIELDS, where=where, strict=False)
    params = {
        name.removeprefix(where): data[name.removeprefix(where)]
        for name in others
        if data[name.removeprefix(where)] is not None
    }
    request_id = values.get("request_id")
    asked = Asked(
        kind=kind,
        prompt=values["prompt"],
        model=values.get("model"),
        backend=values.get("backend"),
        seed=values.get("seed"),
        params=params,
        app=True,
    )
    return Create(
        asked=asked,
        key=key if key is not None else request_id,
        request_id=request_id,
        max_micros=values.get("max_cost"),
        warnings=told_ignored(ignored),
    )


_JOIN_TASK = {
    "after": Field(
        typed(
            Annotated[str, Meta(max_length=100)] | Annotated[int, Meta(ge=0)] | None,
            'a cursor "<log>-<seq>" or a seq with "log"',
        )
    ),
    "log": Field(_name),
    "create": Field(lambda value: value),
    "previews": Field(typed(Literal["binary", "url"] | None, "one of binary, url")),
    "events": Field(typed(bool, "true or false")),
}


def read_join_task(payload: Any, task_id: str) -> JoinTask:
    """The payload of a join of a task's channel; unknown fields are listed, not refused."""
    values, unknown = read_object(payload, _JOIN_TASK, strict=False)
    create = values.pop("create", None)
    if create is not None:
        values["create"] = _create_on(create, task_id)
    return JoinTask(**values, warnings=told_ignored(unknown))


def _create_on(body: Any, task_id: str) -> Create:
    if is_app_form(body):
        made = read_app(body)
    else:
        made = read_native(body, where="create.")
    if made.id not in (None, task_id):
        expected = f"{task_id}, as in the topic, or nothing"
        raise Refused(
            "invalid",
            "create.id names another task than the topic.",
            [{"field": "create.id", "found": str(made.id), "expected": expected}],
        )
    _refuse_reuse(made.reuse, "create.")
    return msgspec.structs.replace(made, id=task_id, topic_id=task_id)


_JOIN_GALLERY = {
    "after": Field(typed(Annotated[int, Meta(ge=0)] | None, "a position, 0 or more")),
    "log": Field(_name),
    "limit": Field(typed(Annotated[int, Meta(ge=1, le=200)], "an integer from 1 to 200")),
}


def read_join_gallery(payload: Any) -> JoinGallery:
    """The payload of a join of `tasks:mine`."""
    values, unknown = read_object(payload, _JOIN_GALLERY, strict=False)
    return JoinGallery(**values, warnings=told_ignored(unknown))
