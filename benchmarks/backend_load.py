"""A backend for `bench_backend.py`: ComfyUI's answers without the work, and frames on order.

It takes every prompt as one that runs, and tells steps when it is told to, in the two frames
that a real server sends for each (`progress_state`, `progress`), as bytes on one socket. It
lives in the loop of the generator, so that one clock times both ends. A direct client of
that socket shows what the frames cost without us between.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

MOST = 10_000_000
VALUE = re.compile(rb'"progress", "data": \{"value": (\d+)')
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SAMPLER = "3"
GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64}},
    SAMPLER: {"class_type": "KSampler", "inputs": {"image": ["1", 0], "steps": 20}},
    "9": {"class_type": "SaveImage", "inputs": {"images": [SAMPLER, 0], "filename_prefix": "x"}},
}


class Backend:
    """The prompts that were sent, in order, and the sockets by client id."""

    def __init__(self) -> None:
        self.url = ""
        self.prompts: list[tuple[str, str]] = []
        self._sockets: dict[str, asyncio.Transport] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Line(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def end(self) -> None:
        """Forget the prompts and sockets; go on listening."""
        for transport in self._sockets.values():
            transport.abort()
        self._sockets.clear()
        self.prompts.clear()

    def close(self) -> None:
        """Listen no more."""
        self.end()
        if self._server is not None:
            self._server.close()

    def tell(self, place: int, step: int) -> None:
        """One step of a prompt, to whoever sent it."""
        prompt_id, client_id = self.prompts[place]
        about = {"node_id": SAMPLER, "prompt_id": prompt_id}
        state = {"value": step, "max": MOST, "state": "running"} | about
        both = (
            ("progress_state", {"prompt_id": prompt_id, "nodes": {SAMPLER: state}}),
            ("progress", {"value": step, "max": MOST, "prompt_id": prompt_id, "node": SAMPLER}),
        )
        told = [json.dumps({"type": kind, "data": data}).encode() for kind, data in both]
        self._sockets[client_id].write(b"".join(_frame(text) for text in told))

    def welcome(self, client_id: str, transport: asyncio.Transport) -> None:
        """A socket."""
        self._sockets[client_id] = transport

    def answer(self, method: str, path: str, body: bytes) -> Any:
        """What a request is answered."""
        first, _, rest = path.strip("/").partition("/")
        match method, first:
            case "POST", "prompt":
                asked = json.loads(body)
                self.prompts.append((asked["prompt_id"], asked["client_id"]))
                number = len(self.prompts)
                return {"prompt_id": asked["prompt_id"], "number": number, "node_errors": {}}
            case "GET", "queue":
                extra = [{"client_id": client_id} for _, client_id in self.prompts]
                running = [
                    [place, prompt[0], GRAPH, extra[place], ["9"]]
                    for place, prompt in enumerate(self.prompts)
                ]
                return {"queue_running": running, "queue_pending": []}
            case "GET", "object_info":
                return {rest: {"input": {"required": {"ckpt_name": [["bench"], {}]}}}}
            case "GET", "system_stats":
                return {"system": {"comfyui_version": "0.33.0"}, "devices": []}
        return {}


class _Line(asyncio.Protocol):
    """One connection: requests one after another, or a socket; what a client sends on that is
    nothing that matters here."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._rest = b""
        self._is_socket = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self._rest += b"" if self._is_socket else data
        while not self._is_socket and self._answered():
            pass

    def _answered(self) -> bool:
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        size = int(found[1]) if found else 0
        if not end or len(rest) < size:
            return False
        method, target, *_ = head.decode().split(" ", 2)
        body, self._rest = rest[:size], rest[size:]
        where = urlsplit(target)
        if where.path == "/ws":
            self._upgrade(head, where.query.removeprefix("clientId="))
            return False
        told = json.dumps(self._backend.answer(method, where.path, body)).encode()
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(told) + told)
        return True

    def _upgrade(self, head: bytes, client_id: str) -> None:
        self._is_socket = True
        key = re.search(rb"sec-websocket-key: *(\S+)", head, re.IGNORECASE)
        assert key is not None, head
        accept = base64.b64encode(hashlib.sha1(key[1] + MAGIC).digest())
        self._transport.write(
            b"HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-accept: " + accept + b"\r\n\r\n"
        )
        self._backend.welcome(client_id, self._transport)


class Direct(asyncio.Protocol):
    """A client of the backend's own socket: the floor of what a step can take."""

    def __init__(self, client_id: str, take: Callable[[list[bytes]], None]) -> None:
        self._client_id = client_id
        self._take = take
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(
            f"GET /ws?clientId={self._client_id} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n"
            "connection: upgrade\r\nsec-websocket-version: 13\r\n"
            "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        told, end, self._rest = (self._rest + data).rpartition(b"}}")
        steps = VALUE.findall(told + end)
        if steps:
            self._take(steps)


def _frame(text: bytes) -> bytes:
    if len(text) < 126:
        return bytes((0x81, len(text))) + text
    return b"\x81\x7e" + len(text).to_bytes(2, "big") + text
