"""Every door of a create, asked in one way: what is wanted goes in, what was told comes out.

A door turns a `Wish` into the bytes that its clients send, and the answer into a `Told`
that can be compared with every other door's. What a door cannot say (the app's form has
no id, a task's channel always has one) it says by `can`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from .served import Phone, Served

PUSHES = {"image": "image_generate", "video": "video_generate", "text": "llm_generate"}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A create, before any door has spelt it. A `params` is the model's."""

    prompt: str
    params: dict[str, Any] = {}
    id: str | None = None
    key: str | None = None
    reuse: str | None = None
    model: str | None = None

    def native(self, kind: str, *, key: bool = True) -> dict[str, Any]:
        """The native body; `key` as its request_id."""
        named = {"id": self.id, "model": self.model, "reuse": self.reuse}
        body = {"kind": kind, "prompt": self.prompt, "params": self.params}
        if key:
            named["request_id"] = self.key
        return body | {name: value for name, value in named.items() if value is not None}

    def flat(self) -> dict[str, Any]:
        """The payload of a push, and what stands in `input_data`."""
        named = {"model": self.model, "request_id": self.key}
        given = {name: value for name, value in named.items() if value is not None}
        return {"prompt": self.prompt, **self.params, **given}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: `new`, `attach` or a code; the HTTP status, None on a socket."""

    word: str
    status: int | None
    task_id: str | None
    warnings: list[Any] = []


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """One way in. `kind` is what it asks for; `keys` is how it spells a key that is
    looked up as `k`; `before` runs when the tasks are there, before they are deleted."""

    name: str
    kind: str
    ask: Callable[[Door, Served, Wish], Awaitable[Told]]
    has_id: bool | None
    has_reuse: bool
    socket: bool = False
    keys: str = "{}"

    def can(self, wish: Wish) -> bool:
        """Whether this door can ask for that."""
        if self.has_id is not None and (wish.id is not None) is not self.has_id:
            return False
        return self.has_reuse or wish.reuse is None


def _told(status: int | None, data: dict[str, Any]) -> Told:
    word = "new" if data["created"] else "attach"
    assert data["attached"] is not data["created"]
    id = data["task_id"]
    return Told(word=word, status=status, task_id=id, warnings=data["warnings"])


def _http(status: int, body: dict[str, Any]) -> Told:
    if status < 300:
        assert body["success"] is True
        return _told(status, body["data"])
    assert (body["success"], body["status"]) == (False, status)
    return Told(word=body["code"], status=status, task_id=body.get("task_id"))


def _reply(payload: dict[str, Any]) -> Told:
    response = payload["response"]
    if payload["status"] == "ok":
        return _told(None, {"task_id": response.get("task", response)["task_id"]} | response)
    return Told(word=response["code"], status=None, task_id=response.get("task_id"))


async def _native(door: Door, house: Served, wish: Wish) -> Told:
    headers = {} if wish.key is None else {"Idempotency-Key": wish.key}
    body = wish.native(door.kind, key=False)
    answer = await house.http.post("/api/tasks", json=body, headers=headers)
    return _http(answer.status_code, answer.json())


async def _native_request_id(door: Door, house: Served, wish: Wish) -> Told:
    answer = await house.http.post("/api/tasks", json=wish.native(door.kind))
    return _http(answer.status_code, answer.json())


async def _app(door: Door, house: Served, wish: Wish) -> Told:
    headers = {} if wish.key is None else {"Idempotency-Key": wish.key}
    data = msgspec.structs.replace(wish, key=None).flat() | {"type": door.kind}
    answer = await house.http.post("/api/tasks", json={"input_data": data}, headers=headers)
    return _http(answer.status_code, answer.json())


async def _batch(door: Door, house: Served, wish: Wish) -> Told:
    answer = await house.post("/api/tasks:batch", {"tasks": [wish.native(door.kind)]})
    return _of_batch(answer)


async def _batch_header(door: Door, house: Served, wish: Wish) -> Told:
    """The key of the whole batch, whose first member has `/0` behind it."""
    headers = {} if wish.key is None else {"Idempotency-Key": wish.key.removesuffix("/0")}
    body = {"tasks": [wish.native(door.kind, key=False)]}
    return _of_batch(await house.http.post("/api/tasks:batch", json=body, headers=headers))


def _of_batch(answer: Any) -> Told:
    assert answer.status_code == 200, answer.text
    (row,) = answer.json()["data"]["results"]
    if "problem" in row:
        assert row["problem"]["index"] == row["index"] == 0
        return _http(row["status"], row["problem"])
    return _told(row["status"], row["data"])


async def _join(door: Door, house: Served, wish: Wish) -> Told:
    create = msgspec.structs.replace(wish, id=None).native(door.kind)
    async with house.connect() as phone:
        return _reply(await phone.join(f"task:{wish.id}", {"create": create}))


async def _push(door: Door, house: Served, wish: Wish) -> Told:
    topic = f"task:{wish.id}" if wish.id is not None else "task:chat_1"
    async with house.connect() as phone:
        assert (await phone.join(topic))["status"] == "ok"
        return await push(phone, topic, door.kind, wish)


async def push(phone: Phone, topic: str, kind: str, wish: Wish) -> Told:
    """A `*_generate` on a topic that is joined."""
    return _reply(await phone.push(topic, PUSHES[kind], wish.flat(), "7"))


def _door(name: str, kind: str, ask: Any, *, id: bool | None, reuse: bool, **more: Any) -> Door:
    return Door(name=name, kind=kind, ask=ask, has_id=id, has_reuse=reuse, **more)


DOORS = (
    _door("rest", "image", _native, id=None, reuse=True),
    _door("rest request_id", "text", _native_request_id, id=None, reuse=True),
    _door("rest app form", "video", _app, id=False, reuse=False),
    _door("batch", "image", _batch, id=None, reuse=True),
    _door("batch with a key", "text", _batch_header, id=None, reuse=True, keys="{}/0"),
    _door("join with create", "image", _join, id=True, reuse=False, socket=True),
    _door("image_generate", "image", _push, id=True, reuse=False, socket=True),
    _door("video_generate", "video", _push, id=True, reuse=False, socket=True),
    _door("llm_generate", "text", _push, id=True, reuse=False, socket=True),
    _door("image_generate in a chat", "image", _push, id=False, reuse=False, socket=True),
    _door("video_generate in a chat", "video", _push, id=False, reuse=False, socket=True),
    _door("llm_generate in a chat", "text", _push, id=False, reuse=False, socket=True),
)

ON_A_TASK = ("image_generate", "video_generate", "llm_generate")
"""Doors on a channel that has to be joined first, so that its task must be there."""
