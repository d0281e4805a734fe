"""A conversation's channel, and what tests say on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.doubles.served import Phone, Served

ROOM = "task:chat_1"
TEXT = {"kind": "text", "prompt": "a haiku", "model": "scripted/text"}
WAIT = {"do": "wait", "gate": "end"}
WORDS = [{"do": "text", "delta": "An old "}, {"do": "text", "delta": "pond."}]


def asked(*script: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The payload of an `llm_generate`."""
    said = {"prompt": "a haiku", "model": "scripted/text", "request_id": "r-1"}
    return said | {"options": {"script": list(script)}} | more


@asynccontextmanager
async def room(house: Served, **join: Any) -> AsyncIterator[Phone]:
    """A socket that has joined the conversation."""
    async with house.connect() as phone:
        reply = await phone.join(ROOM, join)
        assert reply["status"] == "ok"
        yield phone


async def generate(phone: Phone, payload: Any, event: str = "llm_generate") -> dict[str, Any]:
    """Push it and return the reply's response."""
    reply = await phone.push(ROOM, event, payload, join_ref="7")
    assert reply["status"] == "ok", reply
    response: dict[str, Any] = reply["response"]
    return response


def heard(phone: Phone, *events: str) -> list[Any]:
    """The frames of these channel events, in order."""
    return [f for f in phone.received if isinstance(f, list) and f[3] in events]


async def response(phone: Phone) -> dict[str, Any]:
    """The next `llm_response`."""
    frame = await phone.until(lambda f: f[3] == "llm_response")
    body: dict[str, Any] = frame[4]
    return body
