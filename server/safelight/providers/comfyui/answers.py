"""What a ComfyUI server answers over HTTP, as types. Only what is used is read.

A queue carries everybody's graphs, so its entries stay undecoded but for their ids.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .graph import BadGraph, Graph, read_graph


class Accepted(msgspec.Struct, frozen=True):
    """A prompt is in the queue; with `node_errors` only a part of it."""

    prompt_id: str
    number: float = 0
    node_errors: Any = None


class Uploaded(msgspec.Struct, frozen=True):
    """The name that a picture was given; another one if its own was taken."""

    name: str
    subfolder: str = ""

    @property
    def value(self) -> str:
        """As an input of LoadImage names it."""
        return f"{self.subfolder}/{self.name}" if self.subfolder else self.name


class Status(msgspec.Struct, frozen=True):
    """How a prompt ended; an interrupted one says `error`, too."""

    status_str: str = ""
    completed: bool = False
    messages: list[list[Any]] = []


class Entry(msgspec.Struct, frozen=True):
    """One prompt in the history. `prompt` is number, id, graph, extra data, outputs."""

    prompt: list[Any] = []
    outputs: dict[str, Any] = {}
    status: Status | None = None

    @property
    def graph(self) -> Graph:
        """The graph that ran; empty if it has not the form of one."""
        return _graph(self.prompt[2]) if len(self.prompt) > 2 else {}


class _Extra(msgspec.Struct):
    client_id: str | None = None


class Waiting(msgspec.Struct, frozen=True):
    """One prompt in the queue. `ahead` is how many run or wait before it."""

    prompt_id: str
    number: float
    running: bool
    ahead: int
    body: tuple[msgspec.Raw, ...]

    @property
    def graph(self) -> Graph:
        """The graph, decoded now; empty if it has not the form of one."""
        try:
            return _graph(msgspec.json.decode(self.body[2]))
        except (IndexError, msgspec.DecodeError, RecursionError):
            return {}

    @property
    def client_id(self) -> str | None:
        """To whom its news go."""
        try:
            return msgspec.json.decode(self.body[3], type=_Extra).client_id
        except (IndexError, msgspec.DecodeError, RecursionError):
            return None

    @property
    def outputs(self) -> list[str] | None:
        """The ids of the nodes that it runs for."""
        try:
            return msgspec.json.decode(self.body[4], type=list[str])
        except (IndexError, msgspec.DecodeError, RecursionError):
            return None


def _graph(given: Any) -> Graph:
    try:
        return read_graph(given)
    except BadGraph:
        return {}


class _Queue(msgspec.Struct):
    queue_running: list[tuple[msgspec.Raw, ...]]
    queue_pending: list[tuple[msgspec.Raw, ...]]


class Queue(msgspec.Struct, frozen=True):
    """Everybody's prompts, by id."""

    running: int
    pending: int
    prompts: dict[str, Waiting]

    @classmethod
    def of(cls, body: bytes) -> Queue:
        """Raises DecodeError or RecursionError. What is pending comes in the order of a
        heap, and is sorted into the order in which it will run."""
        found = msgspec.json.decode(body, type=_Queue)
        running = [_named(item) for item in found.queue_running if len(item) > 1]
        pending = sorted(
            (_named(item) for item in found.queue_pending if len(item) > 1), key=lambda n: n[:2]
        )
        prompts: dict[str, Waiting] = {}
        for place, (number, prompt_id, item) in enumerate((*running, *pending)):
            prompts[prompt_id] = Waiting(prompt_id, number, place < len(running), place, item)
        return cls(len(running), len(pending), prompts)


def _named(item: tuple[msgspec.Raw, ...]) -> tuple[float, str, tuple[msgspec.Raw, ...]]:
    return msgspec.json.decode(item[0], type=float), msgspec.json.decode(item[1], type=str), item


class System(msgspec.Struct, frozen=True):
    """The server itself."""

    comfyui_version: str | None = None


class Stats(msgspec.Struct, frozen=True):
    """GET /system_stats."""

    system: System
    devices: list[dict[str, Any]] = []
