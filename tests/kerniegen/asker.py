"""A client of a ComfyUI-compatible server, for tests: one socket, and requests."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

SECONDS = 20.0
"""How long anything may take."""


class Asker:
    """`heard` are all text messages so far; `binary` all others, in full."""

    def __init__(self, url: str, socket: ClientConnection, client_id: str) -> None:
        self.http = httpx2.Client(base_url=url, timeout=SECONDS)
        self.socket = socket
        self.client_id = client_id
        self.heard: list[dict[str, Any]] = []
        self.binary: list[bytes] = []

    def submit(self, graph: dict[str, Any], fault: str = "", **body: Any) -> str:
        """POST a prompt and return its id."""
        headers = {"x-kernie-fault": fault} if fault else {}
        asked = {"prompt": graph, "client_id": self.client_id, **body}
        answer = self.http.post("/prompt", json=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["prompt_id"])

    def hear(self, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Listen until a message is the one that is waited for."""
        deadline = time.monotonic() + SECONDS
        while True:
            message = self.socket.recv(timeout=max(0.0, deadline - time.monotonic()))
            if isinstance(message, bytes):
                self.binary.append(message)
                continue
            self.heard.append(json.loads(message))
            if until(self.heard[-1]):
                return self.heard[-1]

    def hear_type(self, kind: str) -> dict[str, Any]:
        """Listen until a message of this type."""
        return dict(self.hear(lambda message: message["type"] == kind)["data"])

    def hear_end(self, prompt_id: str) -> dict[str, Any]:
        """Listen until a prompt is over, and return its history."""
        self.hear(lambda m: m["data"].get("node", "") is None and _of(m) == prompt_id)
        return self.past(prompt_id)

    def run(self, graph: dict[str, Any], fault: str = "", **body: Any) -> dict[str, Any]:
        """Submit a prompt and return its history, once there is some."""
        return self.hear_end(self.submit(graph, fault, **body))

    def past(self, prompt_id: str) -> dict[str, Any]:
        """The history of a prompt."""
        return dict(self.http.get(f"/history/{prompt_id}").json()[prompt_id])

    def files(self, past: dict[str, Any], node_id: str = "9", key: str = "images") -> list[bytes]:
        """What a node gave out, downloaded."""
        told = past["outputs"][node_id][key]
        asked = [{name: f[name] for name in ("filename", "subfolder", "type")} for f in told]
        return [self.http.get("/view", params=each).content for each in asked]

    def lost(self) -> int:
        """Listen until the socket ends, and return its close code."""
        try:
            self.hear(lambda message: False)
        except ConnectionClosed:
            return self.socket.close_code or 0
        raise AssertionError("the socket did not end")


@contextmanager
def asker(url: str, client_id: str = "", previews: bool = True) -> Iterator[Asker]:
    """A client that is connected; it tells that it understands previews with metadata."""
    client_id = client_id or str(uuid.uuid4())
    address = url.replace("http", "ws", 1) + f"/ws?clientId={client_id}"
    with connect(address, max_size=None) as socket:
        found = Asker(url, socket, client_id)
        with found.http:
            if previews:
                flags = {"supports_preview_metadata": True}
                socket.send(json.dumps({"type": "feature_flags", "data": flags}))
            yield found


def _of(message: dict[str, Any]) -> str:
    return str(message["data"].get("prompt_id", ""))
