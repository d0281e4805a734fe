"""The wire of the ComfyUI double: requests as they are read, sockets as they are written.

Frames are written at once and as they are given, well formed or not. Knows nothing of
prompts.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from websockets.exceptions import InvalidState
from websockets.server import ServerProtocol

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 24
JPEG = b"\xff\xd8\xff\xe0" + b"j" * 24


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Line:
    """One socket of a client: when it opened and closed, and the frames that it sent."""

    def __init__(
        self, writer: asyncio.StreamWriter, protocol: ServerProtocol, asked: Asked
    ) -> None:
        self.asked = asked
        self.frames: list[Any] = []
        self.sent = 0
        self.opened_at = time.monotonic()
        self.closed_at = float("inf")
        self.closed = asyncio.Event()
        self.arrived = asyncio.Event()
        self._writer = writer
        self._protocol = protocol

    def tell(self, type: str, **data: Any) -> None:
        """A text frame."""
        self.text(json.dumps({"type": type, "data": data}))

    def text(self, frame: str) -> None:
        """Any text."""
        self._send(lambda: self._protocol.send_text(frame.encode()))

    def binary(self, frame: bytes) -> None:
        """Any bytes."""
        self._send(lambda: self._protocol.send_binary(frame))

    def drop(self) -> None:
        """Without a word."""
        self._writer.transport.abort()
        self.closed.set()

    def _send(self, act: Any) -> None:
        try:
            act()
        except InvalidState:
            return
        self.sent += 1
        self.flush()

    def flush(self) -> None:
        """Write what the protocol has to say."""
        for data in self._protocol.data_to_send():
            if data and not self._writer.is_closing():
                self._writer.write(data)


def binary(told: dict[str, Any], prompt_id: str) -> bytes:
    """A binary frame as it was recorded, around made-up bytes of the same type."""
    if told["event"] == 3:
        node = told["node_id"].encode()
        return _words(3, len(node)) + node + told["text"].encode()
    image = PNG if told["magic"].startswith("89") else JPEG
    if told["event"] == 1:
        return _words(1, 2 if image is PNG else 1) + image
    return preview(image, prompt_id, told["metadata"]["node_id"])


def preview(image: bytes, prompt_id: str, node: str) -> bytes:
    """A preview that says whose it is."""
    head = json.dumps({"node_id": node, "prompt_id": prompt_id, "image_type": "image/x"}).encode()
    return _words(4, len(head)) + head + image


def legacy(image: bytes) -> bytes:
    """A preview that does not say whose it is."""
    return _words(1, 1) + image


def _words(*words: int) -> bytes:
    return b"".join(word.to_bytes(4, "big") for word in words)


def head_of(asked: Asked) -> bytes:
    """Its headers, as they were."""
    return "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items()).encode()


async def read_request(reader: asyncio.StreamReader) -> Asked:
    """The next request of a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *rest = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in rest)}
    if headers.get("transfer-encoding") == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, target, _ = line.split(" ")
    parts = urlsplit(target)
    return Asked(method, unquote(parts.path), parts.query, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    whole = b""
    while size := int(await reader.readline(), 16):
        whole += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return whole
