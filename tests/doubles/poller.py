"""A client of the long-poll transport that writes its requests by hand.

Frames are lists, as in `served.Phone`, and everything received is kept in order. Polls
only when it is told to, so that it can be absent, late or doubled.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import httpx2

from tests.doubles.served import PATIENCE

PATH = "/socket/longpoll"
NDJSON = {"content-type": "application/x-ndjson"}


class Poller:
    """One session, once it is opened."""

    def __init__(self, http: httpx2.AsyncClient, query: str = "vsn=2.0.0", **headers: str) -> None:
        self.http = http
        self.token: str | None = None
        self.received: list[Any] = []
        self._looked = 0
        self._query = query
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def address(self) -> str:
        """What phoenix.js asks: its own parameters, then the session's token."""
        return f"{PATH}?{self._query}&" + (f"token={self.token}" if self.token else "")

    async def get(self) -> dict[str, Any]:
        """One poll: the body of its answer. Its frames are kept."""
        async with asyncio.timeout(PATIENCE):
            answer = await self.http.get(self.address, headers=self._headers)
        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        self.received += [json.loads(frame) for frame in body.get("messages", ())]
        return body

    async def open(self) -> dict[str, Any]:
        """A fresh session; this one's token from here on."""
        body = await self.get()
        assert body["status"] == 410, body
        self.token = body["token"]
        return body

    async def post(self, *frames: list[Any] | bytes) -> int:
        """A batch; the status in its answer."""
        lines = [
            base64.b64encode(f).decode() if isinstance(f, bytes) else json.dumps(f) for f in frames
        ]
        return await self.write("\n".join(lines).encode())

    async def write(self, body: bytes, **headers: str) -> int:
        """Any body; the status in its answer."""
        sent = headers or NDJSON
        answer = await self.http.post(self.address, content=body, headers=self._headers | sent)
        assert answer.status_code == 200
        status: int = answer.json()["status"]
        return status

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """Poll until a frame is wanted; goes on behind the one that was wanted last."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for frame in self.received[self._looked :]:
                    self._looked += 1
                    if wanted(frame):
                        return frame
                body = await self.get()
                assert body["status"] in (200, 204), body

    async def join(self, topic: str, payload: Any = None, join_ref: str = "7") -> Any:
        """Join and return the reply's payload."""
        assert await self.post([join_ref, join_ref, topic, "phx_join", payload or {}]) == 200
        reply = await self.until(lambda f: f[1] == join_ref and f[3] == "phx_reply")
        return reply[4]

    async def until_event(self, type: str) -> dict[str, Any]:
        """The next task event of a type."""
        frame = await self.until(lambda f: f[3] == "progress" and f[4].get("type") == type)
        event: dict[str, Any] = frame[4]
        return event

    def told(self, topic: str) -> list[dict[str, Any]]:
        """The task events received so far on a topic."""
        return [f[4] for f in self.received if f[2] == topic and f[3] == "progress"]
