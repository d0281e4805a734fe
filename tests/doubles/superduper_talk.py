"""A client of the emulated SuperDuperAI that is not ours: plain HTTP, and no adapter.

Every picture asks for words that nobody used before, since the emulator makes nothing twice.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.doubles.emulated import Emulated

PATIENCE = 20.0
Message = dict[str, Any]


def image(**more: Any) -> dict[str, Any]:
    """The body of a small picture."""
    config = {"prompt": uuid.uuid4().hex, "width": 64, "height": 64, "seed": 7}
    config |= {"generation_config_name": "comfyui/flux"}
    return {"project_id": more.pop("project_id", None), "config": config | more}


@contextmanager
def talking(emulator: Emulated) -> Iterator[httpx2.Client]:
    """A client with the key; nothing is armed before or after."""
    emulator.disarm()
    address = f"{emulator.url}/api/v1"
    with httpx2.Client(base_url=address, headers=emulator.headers, timeout=PATIENCE) as api:
        yield api
    emulator.disarm()


def create(api: httpx2.Client, **more: Any) -> dict[str, Any]:
    """Ask for a picture; its file."""
    answer = api.post("/file/generate-image", json=image(**more))
    assert answer.status_code == 200, answer.text
    file: dict[str, Any] = answer.json()[0]
    return file


def ended(api: httpx2.Client, id: str) -> dict[str, Any]:
    """The file once its task has ended."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        file: dict[str, Any] = api.get(f"/file/{id}").json()
        if file["tasks"][0]["status"] != "in_progress":
            return file
    raise AssertionError("it did not end")


def told(api: httpx2.Client, channel: str, last: Callable[[Message], bool]) -> list[Message]:
    """What a channel tells up to the last that is wanted."""
    heard = []
    with api.sse(f"/events/{channel}") as source:
        for event in source:
            heard.append(json.loads(event.data))
            if last(heard[-1]):
                return heard
    raise AssertionError("the channel ended")


def is_file(message: Message) -> bool:
    """Whether it tells of a file that is done."""
    return bool(message["type"] == "file")
