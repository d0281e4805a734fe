"""What the SDK gives back, read with care: events of a stream, and answers that are none.

A server that does not stream answers with one JSON body all the same; this tells the two
apart. Everything read is taken as data: an event of a type that nobody knows is no error.
"""

from __future__ import annotations

from typing import Any

from openai import AsyncStream

from ..http import json_of, whole
from .client import TROUBLE


class Broken(Exception):
    """An answer that had begun and ended before its end. `told` is the error that the server
    told in the middle of it; None where it told none, as when a connection breaks."""

    def __init__(self, trouble: Exception) -> None:
        super().__init__(str(trouble))
        body = getattr(trouble, "body", None)
        self.told: dict[str, Any] | None = body if isinstance(body, dict) else None
        if isinstance(body, str) and body:
            self.told = {"message": body}


def is_stream(stream: AsyncStream[Any]) -> bool:
    """Whether it is a stream of events that came back."""
    return "text/event-stream" in stream.response.headers.get("content-type", "")


async def body_of(stream: AsyncStream[Any]) -> dict[str, Any]:
    """The one JSON body that came in place of a stream; empty if it is no object. Raises
    Broken."""
    try:
        return plain(json_of(await whole(stream.response)))
    except TROUBLE as trouble:
        raise Broken(trouble) from trouble


class Events:
    """The events of a stream, each as plain data. Raises Broken, and nothing else of the SDK's.
    No generator, since one that is cancelled in the middle would have ended."""

    def __init__(self, stream: AsyncStream[Any]) -> None:
        self._stream = stream

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> dict[str, Any]:
        try:
            event = await self._stream.__anext__()
        except TROUBLE as trouble:
            raise Broken(trouble) from trouble
        return plain(event)


def plain(thing: Any) -> dict[str, Any]:
    """An object of the SDK as the data that it was made of."""
    if isinstance(thing, dict):
        return thing
    data = thing.to_dict() if hasattr(thing, "to_dict") else None
    return data if isinstance(data, dict) else {}


def at(thing: Any, *path: str | int) -> Any:
    """What lies at a place in plain data; None where there is none."""
    for step in path:
        if isinstance(step, int):
            thing = thing[step] if isinstance(thing, list) and len(thing) > step else None
        else:
            thing = thing.get(step) if isinstance(thing, dict) else None
    return thing


def text_at(thing: Any, *path: str | int) -> str:
    """The text there, empty where there is none."""
    found = at(thing, *path)
    return found if isinstance(found, str) else ""
