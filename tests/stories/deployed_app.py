"""The deployed app, as a program: what it sends, what it listens to, and its habits.

A model of its own of the app's SwiftPhoenixClient (V2) and of its screen, over a real
WebSocket and real HTTP; nothing of Safelight's own clients is in it. It knows only what
the old server's clients knew: three events, four statuses, no cursors, no `seq`, and it
leaves at the first terminal word that it hears. Every wait is bounded.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import websockets
from websockets.asyncio.client import ClientConnection

TIMEOUT_SECONDS = 10.0
"""Of SwiftPhoenixClient's pushes, and of everything else here."""

PUSHES = {"image": "image_generate", "video": "video_generate", "text": "llm_generate"}
RESPONSES = {"image": "image_response", "video": "video_response", "text": "llm_response"}
LISTENED = ("status", "progress", *RESPONSES.values())
TERMINAL = ("completed", "failed")
"""The app knows no others."""


class Screen:
    """What the person saw of one channel: each push that the app listens to, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []

    def payloads(self, event: str) -> list[dict[str, Any]]:
        """The payloads of one event."""
        return [payload for name, payload in self.heard if name == event]

    @property
    def statuses(self) -> list[str]:
        """Every status that was shown."""
        return [p["status"] for e, p in self.heard if e in ("status", "progress")]

    @property
    def endings(self) -> set[str]:
        """The terminal words that were shown; more than one is the old disaster."""
        refused = {"failed" for _, p in self.heard if p.get("success") is False}
        return {word for word in self.statuses if word in TERMINAL} | refused

    @property
    def tasks(self) -> set[str]:
        """Every task that the channel spoke of."""
        return {p["task_id"] for _, p in self.heard if "task_id" in p}

    @property
    def result(self) -> dict[str, Any]:
        """What it drew in the end."""
        return next(p["result_data"] for _, p in reversed(self.heard) if p.get("result_data"))


class DeployedApp:
    """One install of the app. `rest` may lead through a bad network."""

    def __init__(self, connection: ClientConnection, url: str, rest: str | None = None) -> None:
        self._connection = connection
        self._url = rest or url
        self._ref = 0
        self._join_refs: dict[str, str] = {}
        self._replies: dict[str, dict[str, Any]] = {}
        self.screens: dict[str, Screen] = {}
        self.posts = 0

    # -- REST ------------------------------------------------------------------

    async def submit(
        self, type: str, prompt: str, *, key: str | None = None, **input_data: Any
    ) -> dict[str, Any]:
        """POST the task; when the answer is lost send the very same again. Its `data`."""
        body = {"input_data": {"type": type, "prompt": prompt, **input_data}}
        headers = {} if key is None else {"Idempotency-Key": key}
        for _ in range(5):
            self.posts += 1
            try:
                answer = await self._post("/api/tasks", body, headers)
            except httpx2.TransportError:
                continue
            document: dict[str, Any] = answer.json()
            assert answer.status_code in (200, 201, 202), document
            assert document["success"] is True and isinstance(document["message"], str)
            data: dict[str, Any] = document["data"]
            assert {"task_id", "status", "progress"} <= data.keys()
            return data
        raise AssertionError("the network never let an answer through")

    async def show(self, id: str) -> dict[str, Any]:
        """GET the task's `data`."""
        async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, verify=False) as http:
            answer = await http.get(f"{self._url}/api/tasks/{id}")
        data: dict[str, Any] = answer.json()["data"]
        old = "task_id status progress input_data created_at updated_at result_data".split()
        assert set(old) <= data.keys()
        return data

    async def generate(self, prompt: str, model: str | None = None) -> dict[str, Any]:
        """POST /api/llm/generate, which answers the text at once."""
        body = {"prompt": prompt, "model": model, "options": {}}
        answer = await self._post("/api/llm/generate", body, {})
        document: dict[str, Any] = answer.json()
        return document

    async def _post(self, path: str, body: Any, headers: dict[str, str]) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, verify=False) as http:
            return await http.post(self._url + path, json=body, headers=headers)

    # -- the socket ------------------------------------------------------------

    async def join(self, topic: str) -> dict[str, Any]:
        """`channel.join()`: the reply's payload, `{"status", "response"}`."""
        return await self.reply(await self.send_join(topic))

    async def send_join(self, topic: str) -> str:
        """Join without waiting for the reply."""
        ref = self._join_refs[topic] = self._next()
        self.screens[topic] = Screen()
        await self._send(ref, ref, topic, "phx_join", {})
        return ref

    async def push(self, topic: str, event: str, payload: dict[str, Any]) -> dict[str, Any]:
        """`channel.push(…)`: the reply's payload."""
        return await self.reply(await self.send_push(topic, event, payload))

    async def send_push(self, topic: str, event: str, payload: dict[str, Any]) -> str:
        """Push without waiting for the reply."""
        ref = self._next()
        await self._send(self._join_refs.get(topic), ref, topic, event, payload)
        return ref

    async def reply(self, ref: str) -> dict[str, Any]:
        """The reply to a ref; the app's own time-out is the bound."""
        await self._until(lambda: ref in self._replies)
        return self._replies.pop(ref)

    async def watch_to_the_end(self, topic: str) -> Screen:
        """Listen until the first terminal word, then leave at once, as the app does."""
        screen = self.screens[topic]
        await self._until(lambda: any(word in TERMINAL for word in screen.statuses))
        ref = self._next()
        await self._send(self._join_refs.pop(topic), ref, topic, "phx_leave", {})
        assert (await self.reply(ref))["status"] == "ok"
        return screen

    async def hear(self, topic: str, event: str) -> dict[str, Any]:
        """The first payload of an event."""
        screen = self.screens[topic]
        await self._until(lambda: bool(screen.payloads(event)))
        return screen.payloads(event)[0]

    async def _until(self, there: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not there():
                self._take(json.loads(await self._connection.recv()))

    def _take(self, frame: list[Any]) -> None:
        """File one message, as SwiftPhoenixClient gives it to its channels: lifecycle
        events of an earlier join are dropped, and all else goes by topic and event."""
        join_ref, ref, topic, event, payload = frame
        lifecycle = event in ("phx_reply", "phx_close", "phx_error")
        if lifecycle and join_ref is not None and topic in self._join_refs:
            if join_ref != self._join_refs[topic]:
                return
        if event == "phx_reply":
            self._replies[ref] = payload
        elif event in LISTENED and topic in self._join_refs:
            self.screens[topic].heard.append((event, payload))

    async def _send(self, *frame: Any) -> None:
        await self._connection.send(json.dumps(frame))

    def _next(self) -> str:
        self._ref += 1
        return str(self._ref)


@asynccontextmanager
async def deployed_app(url: str, rest: str | None = None) -> AsyncIterator[DeployedApp]:
    """The app with its socket open: nothing in it is new but the host name."""
    address = url.replace("http", "ws", 1) + "/socket/websocket?vsn=2.0.0"
    async with websockets.connect(address, open_timeout=TIMEOUT_SECONDS) as connection:
        yield DeployedApp(connection, url, rest)
