"""The endpoint under check: plain HTTP, and sockets whose frames are written by hand.

Nothing here mends, retries or forgives, so that a check sees what was really sent.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

PROGRESS = "progress"
SHORT = {"kind": "text"}
TERMINAL = ("completed", "failed", "canceled")


class Unreachable(Exception):
    """Nobody answers at the address."""


class Frame(msgspec.Struct, frozen=True):
    """One text frame of the server: as it came, and taken apart. V1 has no join_ref."""

    raw: str
    join_ref: Any
    ref: Any
    topic: Any
    event: Any
    payload: Any

    @property
    def response(self) -> Any:
        """The `response` of a reply."""
        return self.payload["response"]


class Line:
    """One socket. Everything received is kept, in order."""

    def __init__(self, connection: ClientConnection, vsn: str, made: set[str]) -> None:
        self.connection = connection
        self.received: list[Frame | bytes] = []
        self._made = made
        self._vsn = vsn
        self._ref = 1000

    async def send(self, join_ref: Any, ref: Any, topic: str, event: str, payload: Any) -> None:
        """Write one frame, as the version has it."""
        if self._vsn == "2.0.0":
            frame: Any = [join_ref, ref, topic, event, payload]
        else:
            frame = {"topic": topic, "event": event, "payload": payload, "ref": ref}
        await self.connection.send(msgspec.json.encode(frame).decode())

    async def send_anything(self, data: str | bytes) -> None:
        """Write what may be no frame; the server may close while it is on its way."""
        try:
            await self.connection.send(data)
        except ConnectionClosed:
            return

    async def push(self, join_ref: Any, topic: str, event: str, payload: Any) -> Frame:
        """Send with a fresh ref and return the reply."""
        self._ref += 1
        ref = str(self._ref)
        await self.send(join_ref, ref, topic, event, payload)
        return await self.reply_to(ref)

    async def join(self, topic: str, payload: Any = None, join_ref: str = "7") -> Frame:
        """Join and return the reply."""
        await self.send(join_ref, join_ref, topic, "phx_join", payload or {})
        return await self.reply_to(join_ref)

    async def receive(self) -> Frame | bytes:
        """The next frame, whatever it is."""
        data = await self.connection.recv()
        frame: Frame | bytes = data if isinstance(data, bytes) else _frame(data, self._vsn)
        self.received.append(frame)
        if isinstance(frame, Frame) and frame.event == "phx_reply":
            self._made |= _named(frame.payload.get("response"))
        return frame

    async def until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """The next text frame that is wanted."""
        while True:
            frame = await self.receive()
            if isinstance(frame, Frame) and wanted(frame):
                return frame

    async def reply_to(self, ref: str) -> Frame:
        """The reply that carries this ref."""
        return await self.until(lambda f: f.event == "phx_reply" and f.ref == ref)

    async def until_end(self, topic: str) -> list[Frame]:
        """The task events of a topic up to the one that ends its task."""
        told = []
        while True:
            frame = await self.until(lambda f: f.topic == topic and f.event == PROGRESS)
            told.append(frame)
            if frame.payload.get("type") in TERMINAL:
                return told

    def texts(self, topic: str) -> list[Frame]:
        """The text frames received so far on a topic."""
        return [f for f in self.received if isinstance(f, Frame) and f.topic == topic]

    async def closed(self) -> int:
        """Wait until the server closes; the code that it gave."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006


class Endpoint:
    """One server. `patience` bounds every check, in seconds; `tasks` are the fields that
    the tasks of checks have in common, which should make them cheap and short; `slow` the
    parameters with which one runs until it is cancelled. Without these a check that needs
    a running task takes an ended one as well."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        url: str,
        token: str | None,
        *,
        tasks: Mapping[str, Any],
        slow: Mapping[str, Any],
        patience: float,
    ) -> None:
        self.http = http
        self.patience = patience
        self._socket = url.replace("http", "ws", 1) + "/socket/websocket"
        self._token = token
        self._tasks = {name: value for name, value in tasks.items() if value is not None}
        self._slow = slow
        self._made: set[str] = set()

    @property
    def runs_on(self) -> bool:
        """Whether a slow task runs until it is cancelled."""
        return bool(self._slow)

    def slow_body(self, **more: Any) -> dict[str, Any]:
        """A body of a task that should still run when the next request comes."""
        params = {**self._tasks.get("params", {}), **self._slow}
        return self.body(**({"params": params} if params else {}), **more)

    def body(self, **more: Any) -> dict[str, Any]:
        """A native body that no other request equals."""
        return {**self._tasks, "prompt": f"a test of conformance, {fresh()}", **more}

    async def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        """POST JSON (or bytes as they are); header names are given with underscores."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("content-type", "application/json")
        answer = await self.ask("POST", path, content=content, headers=named)
        if answer.status_code in (200, 202):
            self._made |= _made_by(answer.json().get("data"))
        return answer

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """GET; header names are given with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("GET", path, headers=named)

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Any request. Raises Unreachable."""
        try:
            return await self.http.request(method, path, **more)
        except httpx2.ConnectError as trouble:
            raise Unreachable(f"{self.http.base_url}: {trouble}") from None

    async def create(self, body: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """Create a task over REST and return the answer's `data`."""
        answer = await self.post("/api/tasks", body or self.body(), **headers)
        if answer.status_code not in (200, 202):
            raise ValueError(f"POST /api/tasks answered {answer.status_code}: {answer.text[:300]}")
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def ended(self, id: str) -> dict[str, Any]:
        """Wait for a task's end by long-poll and return its last event."""
        cursor = "0"
        while True:
            answer = await self.get(f"/api/tasks/{id}/events?after={cursor}&wait=20")
            data = answer.json()["data"]
            if data["gap"]:
                raise ValueError(f"a gap was told to who goes on after {cursor}")
            for event in data["events"]:
                if event["type"] in TERMINAL:
                    last: dict[str, Any] = event
                    return last
            cursor = data["cursor"]

    async def tidy(self) -> None:
        """Cancel the tasks that were made and delete those that have ended, so that no
        check waits behind the tasks of another."""
        made, self._made = self._made, set()
        for id in made:
            try:
                await self.ask("POST", f"/api/tasks/{id}/cancel")
                await self.ask("DELETE", f"/api/tasks/{id}")
            except httpx2.HTTPError:
                return  # an endpoint that does not answer is told by the checks

    @asynccontextmanager
    async def line(
        self, vsn: str | None = "2.0.0", subprotocols: list[str] | None = None
    ) -> AsyncIterator[Line]:
        """A socket of that version; None leaves `vsn` out, which means V1."""
        query = "" if vsn is None else f"?vsn={vsn}"
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        connection = await websockets.connect(
            self._socket + query,
            additional_headers=headers,
            compression=None,
            max_size=None,
            proxy=None,
            close_timeout=2,
            subprotocols=subprotocols,  # type: ignore[arg-type]
        )
        try:
            yield Line(connection, vsn or "1.0.0", self._made)
        finally:
            # To close what the server has closed over unsent bytes fails inside asyncio.
            if connection.state is not State.CLOSED:
                await connection.close()


def fresh() -> str:
    """A word that was never used before."""
    return secrets.token_hex(8)


@asynccontextmanager
async def connect(
    url: str,
    token: str | None = None,
    *,
    tasks: Mapping[str, Any] = SHORT,
    slow: Mapping[str, Any] | None = None,
    patience: float = 60.0,
) -> AsyncIterator[Endpoint]:
    """The endpoint at a base address such as `http://127.0.0.1:4747`."""
    base = url.rstrip("/")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=patience) as http:
        yield Endpoint(http, base, token, tasks=tasks, slow=slow or {}, patience=patience)


def _made_by(data: Any) -> set[str]:
    """The ids of the tasks that a POST has made, alone or in a batch."""
    rows = data.get("results") if isinstance(data, dict) else None
    told = [row.get("data") for row in rows if isinstance(row, dict)] if rows else [data]
    return {
        id for one in told if isinstance(one, dict) and one.get("created") for id in _named(one)
    }


def _named(told: Any) -> set[str]:
    """The id of the task that an answer tells of."""
    task = told.get("task", told) if isinstance(told, dict) else None
    id = task.get("task_id") if isinstance(task, dict) else None
    return {id} if isinstance(id, str) else set()


def _frame(raw: str, vsn: str) -> Frame:
    plain = msgspec.json.decode(raw)
    if vsn == "2.0.0":
        return Frame(raw, *plain)
    return Frame(raw, None, plain["ref"], plain["topic"], plain["event"], plain["payload"])
